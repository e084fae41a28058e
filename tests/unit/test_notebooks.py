"""The tutorials as they are kept: valid, without outputs, with ids that stay."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.notebooks import read_notebook

FOLDER = Path(__file__).parents[2] / "notebooks"
TUTORIALS = sorted(p for p in FOLDER.rglob("*.ipynb") if not {".nbpipe", ".ipynb_checkpoints"} & set(p.parts))


@pytest.fixture(params=TUTORIALS, ids=lambda path: path.relative_to(FOLDER).as_posix())
def tutorial(request) -> Path:
    return request.param


def test_there_are_tutorials():
    assert [path.name for path in TUTORIALS][:1] == ["01_quickstart.ipynb"]


def test_a_tutorial_is_a_valid_notebook_of_the_newest_format(tutorial):
    notebook = nbformat.read(tutorial, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)


def test_a_tutorial_is_kept_without_outputs(tutorial):
    for cell in read_notebook(tutorial)["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags"}


def test_the_ids_of_a_tutorial_are_words(tutorial):
    ids = [cell["id"] for cell in read_notebook(tutorial)["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(part.isalpha() for cell_id in ids for part in cell_id.split("-"))


def test_a_tutorial_runs_on_the_kernel_that_everybody_has(tutorial):
    assert read_notebook(tutorial)["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("data", sorted(FOLDER.rglob("data/*.csv")), ids=lambda path: path.name)
def test_source_and_licence_of_data_stand_beside_it(data):
    about = (data.parent / "README.md").read_text(encoding="utf-8")
    assert f"`{data.name}`" in about
    assert "Source:" in about
