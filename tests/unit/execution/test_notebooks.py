"""Where cells are in the record, with and without injected parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.errors import ParameterError, RefusedError
from nbpipe.execution.notebooks import OpenNotebook
from tests.notebooks import code, parameters, write_notebook


def opened(folder: Path, *cells, **about) -> OpenNotebook:
    return OpenNotebook(write_notebook(folder / "n.ipynb", cells, **about), "n.ipynb")


def test_positions_move_only_below_injected_parameters(tmp_path: Path):
    notebook = opened(tmp_path, "'a'", parameters("n = 1"), "'b'", "'c'")
    assert [notebook.position(i) for i in range(4)] == [0, 1, 2, 3]
    notebook.inject({"n": 2})
    assert notebook.injected == 2
    assert [notebook.position(i) for i in range(4)] == [0, 1, 3, 4]
    assert [notebook.original(at) for at in (0, 1, 3, 4)] == [0, 1, 2, 3]
    assert notebook.node.cells[2].source == "# Parameters\nn = 2\n"


def test_parameters_that_papermill_injected_before_are_replaced(tmp_path: Path):
    notebook = opened(tmp_path, parameters("n = 1"), code("n = 5", tags=["injected-parameters"]), "'b'")
    notebook.inject({"n": 2})
    assert notebook.injected == 1
    assert [notebook.position(i) for i in range(3)] == [0, 1, 2]
    assert [cell.source for cell in notebook.node.cells] == ["n = 1", "# Parameters\nn = 2\n", "'b'"]


def test_without_a_parameters_cell_they_are_refused(tmp_path: Path):
    with pytest.raises(ParameterError, match="takes no parameters"):
        opened(tmp_path, "n = 1").inject({"n": 2})


def test_older_formats_are_upgraded(tmp_path: Path):
    notebook = opened(tmp_path, "1", nbformat_minor=0)
    assert notebook.node.nbformat_minor >= 5
    assert notebook.node.cells[0].id


def test_what_is_no_notebook_is_refused(tmp_path: Path):
    (tmp_path / "n.ipynb").write_text("{}", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"n\.ipynb can't be read"):
        OpenNotebook(tmp_path / "n.ipynb", "n.ipynb")
