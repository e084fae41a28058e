from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.loading.notebooks import NotebookRead, decode_notebook, read_notebook
from tests.notebooks import code, markdown, write_notebook


def cell(source: Any = "x = 1", **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None, **more}


def notebook(*cells: Any, **more: Any) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells, **more}).encode()


def sources(read: NotebookRead) -> list[str]:
    return [each.source for each in read.text.cells]


def test_code_cells_are_read_with_all_that_matters(tmp_path):
    path = write_notebook(
        tmp_path / "a b/ä.ipynb", [markdown("# Title"), code("x = 1", id="one", tags=["parameters"]), "y = 2"]
    )
    text = read_notebook(path, tmp_path).text
    assert (text.path, text.kernel) == ("a b/ä.ipynb", "python3")
    first, second = text.cells
    assert (first.index, first.cell_id, first.source, first.tags, first.above) == (
        1,
        "one",
        "x = 1",
        ("parameters",),
        "# Title",
    )
    assert (second.index, second.cell_id, second.tags, second.above) == (2, "cell-2", (), "")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no json", "not-json"),
        (b'{"cells": [', "not-json"),
        (b"<<<<<<< HEAD\n{}", "not-json"),
        (b"\xff\xfe\x00", "not-json"),
        (b"[]", "not-a-notebook"),
        (b"3", "not-a-notebook"),
        (b"{}", "not-a-notebook"),
        (b'{"nbformat": "4"}', "not-a-notebook"),
        (b'{"nbformat": 4}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": 3}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 3}]}', "not-a-notebook"),
        (b'{"nbformat": 3, "worksheets": 3}', "not-a-notebook"),
        (b'{"nbformat": 3}', "not-a-notebook"),
        (b'{"nbformat": 5, "cells": []}', "unsupported-format"),
    ],
)
def test_what_is_no_notebook_is_a_diagnostic(data, code):
    read = decode_notebook(data, "a.ipynb")
    assert [(each.code, each.severity, each.notebook) for each in read.diagnostics] == [(code, "error", "a.ipynb")]
    assert read.text.cells == ()


def test_bytes_that_are_not_utf8_are_a_diagnostic():
    data = notebook(cell("name = 'X'")).replace(b"X", b"\xe4")
    assert [each.code for each in decode_notebook(data, "a.ipynb").diagnostics] in (["not-json"], ["not-utf8"])


@pytest.mark.parametrize("data", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_a_new_notebook(data):
    read = decode_notebook(data, "a.ipynb")
    assert (read.text.cells, read.diagnostics) == ((), ())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbf" + notebook(cell("x")), ["x"]),
        (notebook(cell(["a\n", "b"])), ["a\nb"]),
        (notebook(cell("x"), metadata=None), ["x"]),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x"}]}', ["x"]),
        (notebook(cell("x", metadata=None)), ["x"]),
        (notebook(cell("x", metadata={"tags": "parameters"})), ["x"]),
        (notebook(cell("x", metadata={"tags": [1, None]})), ["x"]),
        (notebook(cell("x"), metadata={"kernelspec": "python3"}), ["x"]),
        (notebook(cell("x"), metadata={"kernelspec": None, "language_info": {}}), ["x"]),
        (notebook(cell("x", cell_type="raw"), cell("y")), ["y"]),
        (notebook(cell("x"), {}, cell("y")), ["x", "y"]),
        (notebook(cell("x", outputs=[{"data": {"text/plain": ["…"] * 10}}])), ["x"]),
        (notebook(cell("x"), metadata={"kernelspec": {"name": "ir", "language": "R"}}), []),
        (notebook(cell("x"), metadata={"language_info": {"name": "julia"}}), []),
        (notebook(cell("x"), metadata={"language_info": {"name": "python"}}), ["x"]),
    ],
)
def test_odd_notebooks_are_read(data, expected):
    read = decode_notebook(data, "a.ipynb")
    assert sources(read) == expected
    assert read.diagnostics == ()


def test_a_notebook_without_kernelspec_names_no_kernel(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", ["x"], kernelspec=None)
    assert read_notebook(path, tmp_path).text.kernel is None


def test_format_3_is_upgraded_in_memory():
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 1, "source": "Title", "metadata": {}},
                    {"cell_type": "code", "input": "x = 1", "language": "python", "outputs": [], "metadata": {}},
                ],
                "metadata": {},
            }
        ],
    }
    first, second = (decode_notebook(json.dumps(old).encode(), "a.ipynb") for _ in range(2))
    assert sources(first) == ["x = 1"]
    assert first.text.cells[0].cell_id == "cell-1"
    assert first == second


def test_cells_without_ids_get_the_same_ones_each_time(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", [markdown("t"), "x", "y"], nbformat_minor=4)
    assert [each.cell_id for each in read_notebook(path, tmp_path).text.cells] == ["cell-1", "cell-2"]


def test_repeated_ids_are_told_apart():
    read = decode_notebook(notebook(cell("x", id="a"), cell("y", id="a"), cell("z", id=3)), "a.ipynb")
    assert [each.cell_id for each in read.text.cells] == ["a", "a-1", "cell-2"]


def test_the_hash_is_of_the_code_and_not_of_outputs():
    plain = decode_notebook(notebook(cell("x", id="a")), "a.ipynb").text
    shown = decode_notebook(notebook(cell("x", id="a", outputs=[{}], execution_count=3)), "b.ipynb").text
    edited = decode_notebook(notebook(cell("y", id="a")), "a.ipynb").text
    tagged = decode_notebook(notebook(cell("x", id="a", metadata={"tags": ["t"]})), "a.ipynb").text
    assert plain.content_hash == shown.content_hash
    assert len({plain.content_hash, edited.content_hash, tagged.content_hash}) == 3


def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path):
    (tmp_path / "folder.ipynb").mkdir()
    for name in ("gone.ipynb", "folder.ipynb"):
        read = read_notebook(tmp_path / name, tmp_path)
        assert [each.code for each in read.diagnostics] == ["unreadable"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ALMOST_A_CELL = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("cell_type", "source", "id", "metadata", "outputs", "input"), ANYTHING)
)
ALMOST_A_NOTEBOOK = st.fixed_dictionaries(
    {"nbformat": st.sampled_from([3, 4]) | ANYTHING},
    optional={"cells": st.lists(ALMOST_A_CELL) | ANYTHING, "metadata": ANYTHING, "worksheets": ANYTHING},
)


@given(st.binary() | ALMOST_A_NOTEBOOK.map(lambda value: json.dumps(value).encode()))
def test_nothing_in_a_file_is_fatal(data):
    read = decode_notebook(data, "a.ipynb")
    assert read.text.content_hash
    assert not (read.text.cells and read.diagnostics)
