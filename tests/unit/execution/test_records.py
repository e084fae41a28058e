"""Records are readable at any moment, and hold no secrets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nbpipe.errors import RefusedError
from nbpipe.execution.records import (
    RecordWriter,
    cleared,
    record_hash,
    record_path,
    write_atomically,
)

CODE = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [{"text": "x"}], "execution_count": 3}


@pytest.mark.parametrize(
    "notebook",
    [
        {"cells": [CODE, {"cell_type": "markdown", "source": "t"}], "metadata": {"widgets": {}}, "nbformat": 4},
        {"worksheets": [{"cells": [{**CODE, "prompt_number": 3}]}], "metadata": {}, "nbformat": 3},
    ],
)
def test_a_cleared_notebook_has_no_outputs_counts_or_widgets(notebook):
    found = json.loads(cleared(json.dumps(notebook).encode(), "n.ipynb"))
    cell = found.get("worksheets", [found])[0]["cells"][0]
    assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert "prompt_number" not in cell
    assert "widgets" not in found["metadata"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"cells": [1]}', b'{"cells": 3}', b"null"])
def test_what_is_no_notebook_is_refused_by_name(content):
    with pytest.raises(RefusedError, match=r"bad\.ipynb can't be read as a notebook"):
        cleared(content, "bad.ipynb")


def test_records_are_named_by_run_step_and_notebook():
    assert record_path("r1", 2, "a b/Ünï.ipynb") == ".nbpipe/runs/r1/2-Ünï.ipynb"


def test_a_failed_write_leaves_the_old_content_and_no_other_file(tmp_path: Path, monkeypatch):
    target = tmp_path / "x.ipynb"
    write_atomically(target, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_who_may_read_a_record_is_what_the_umask_says(tmp_path: Path):
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "r.ipynb", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "r.ipynb").stat().st_mode & 0o777 == 0o600


def notebook(*outputs: dict[str, object], source: str = "a\nb") -> dict[str, object]:
    cell = {"cell_type": "code", "source": source, "metadata": {}, "outputs": list(outputs), "execution_count": 1}
    return {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_texts_are_kept_by_lines_and_the_hash_is_of_the_file(tmp_path: Path):
    writer = RecordWriter(tmp_path / "r.ipynb")
    html = {"text/html": "<p>\n</p>", "application/json": {"a": [1]}, "image/png": "iVBO\n"}
    writer.write(
        notebook(
            {"output_type": "stream", "name": "stdout", "text": "x\ny"},
            {"output_type": "display_data", "data": html, "metadata": {}},
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
        )
    )
    content = (tmp_path / "r.ipynb").read_bytes()
    cell = json.loads(content)["cells"][0]
    assert writer.hash == record_hash(content)
    assert cell["source"] == ["a\n", "b"]
    assert cell["outputs"][0]["text"] == ["x\n", "y"]
    assert cell["outputs"][1]["data"] == {
        "text/html": ["<p>\n", "</p>"],
        "application/json": {"a": [1]},
        "image/png": "iVBO\n",
    }


def test_half_a_surrogate_pair_can_be_written(tmp_path: Path):
    writer = RecordWriter(tmp_path / "r.ipynb")
    writer.write(notebook({"output_type": "stream", "name": "stdout", "text": "\ud83d"}))
    assert json.loads((tmp_path / "r.ipynb").read_bytes())["cells"][0]["outputs"][0]["text"] == ["\ud83d"]


def test_secrets_are_blotted_out_wherever_they_stand(tmp_path: Path):
    writer = RecordWriter(tmp_path / "r.ipynb", secrets=("two\nlines",))
    data = {"text/plain": "two\nlines", "application/json": {"deep": ["two\nlines"]}}
    writer.write(
        notebook(
            {"output_type": "stream", "name": "stdout", "text": "is two\nlines"},
            {"output_type": "display_data", "data": data, "metadata": {}},
            source="x = 'two\nlines'",
        )
    )
    text = (tmp_path / "r.ipynb").read_text(encoding="utf-8")
    assert "lines" not in text
    assert text.count("***") == 4


def test_it_is_written_by_time_if_something_is_new(tmp_path: Path):
    writer = RecordWriter(tmp_path / "r.ipynb", every=0.0)
    assert not writer.due()
    writer.dirty = True
    assert writer.due()
    writer.write(notebook())
    assert not writer.due()
    slow = RecordWriter(tmp_path / "s.ipynb", every=1_000.0)
    slow.dirty = True
    assert not slow.due()
