"""Live and job store the same content, also after a person has changed every value that is bound."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nbpipe.commands.workspace import Workspace
from nbpipe.errors import MissingValueError
from tests.live import Person
from tests.notebooks import read_notebook
from tests.runs import materialized

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

#: Each folder with a configuration is a project of its own.
PROJECTS = [NOTEBOOKS, *sorted(path.parent for path in NOTEBOOKS.glob("*/nbpipe.toml"))]


CHANGE = """
def _spoil(value):
    kind = type(value)
    if kind.__module__.startswith("pandas") and hasattr(value, "iloc"):
        value.iloc[0] = value.iloc[-1]
        value.attrs["spoiled"] = True
        if value.ndim == 2:
            value["spoiled"] = 1
    elif kind.__module__.startswith("numpy") and getattr(value, "shape", ()):
        value[...] = 0
    elif isinstance(value, list):
        value.clear()
    elif isinstance(value, dict):
        value.clear()
    else:
        for name in list(getattr(value, "__dict__", {})):
            setattr(value, name, None)
"""


def versions(root: Path) -> dict[str, str]:
    with Workspace.open(root) as workspace:
        return {key: state.current.stored.data_version for key, state in workspace.states().items() if state.current}


def copied(project: Path, folder: Path) -> Path:
    """Copy a project without the notebooks with partitions, which no single job computes."""
    ignored = shutil.ignore_patterns(".nbpipe", ".ipynb_checkpoints", "inbox", "03_*", "04_*")
    return shutil.copytree(project, folder, ignore=ignored)


def run_live(path: Path, monkeypatch: pytest.MonkeyPatch, *, spoil: bool) -> None:
    monkeypatch.chdir(path.parent)
    monkeypatch.syspath_prepend(path.parent)
    me = Person(path)
    try:
        me.type(CHANGE)
        for cell in read_notebook(path)["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] != "code" or "%lineage" in source or "%materialize" in source:
                continue
            shown = me.type(source, cell["id"])
            if isinstance(shown.error, MissingValueError):
                break  # another notebook comes first
            shown.ok()
            if spoil:
                for name in me.session.notebook_assets():
                    if name in me.names:
                        me.type(f"_spoil({name})").ok()
    finally:
        me.stop()


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_live_and_job_store_the_same_content(tmp_path, monkeypatch, project):
    root = copied(project, tmp_path / "job")
    run = materialized(root)
    assert run.status == "success", run.error
    as_job = versions(root)
    assert as_job
    for spoil in (False, True):
        root = copied(project, tmp_path / f"live {spoil}")
        for path in in_order(root):
            run_live(path, monkeypatch, spoil=spoil)
        assert versions(root) == as_job


def in_order(root: Path) -> list[Path]:
    """Return notebooks so that each comes once what it reads has been made; one may come twice."""
    with Workspace.open(root) as workspace:
        definitions = workspace.definitions
        paths = [definitions.assets[key].cell.notebook for key in workspace.graph.arrange(definitions.assets)]
    return [root / path for path, before in zip(paths, [None, *paths], strict=False) if path != before]
