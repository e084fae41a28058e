"""Each environment has a state and values of its own, and what is shown names the one it is about."""

from __future__ import annotations

import json
from pathlib import Path

from tests.live import person
from tests.notebooks import write_notebook
from tests.terminal import nbpipe

CONFIG = '[env.prod]\nstorage = "prod values"\n'
CELLS = ["%%asset a\na = 1"]


def test_statuses_runs_and_records_name_their_environment(project: Path) -> None:
    (project / "nbpipe.toml").write_text(CONFIG)
    write_notebook(project / "n.ipynb", CELLS)
    made = nbpipe(project, "materialize", "*", "--env", "prod")
    assert made.out.endswith("\nenvironment prod\n"), made
    for words in (["status"], ["runs"], ["show", "a"], ["why", "a"], ["load", "a"]):
        assert nbpipe(project, *words, "--env", "prod").out.endswith("\nenvironment prod\n"), words
        assert "environment prod" not in nbpipe(project, *words, "--env", "prod", "--json").out
    (run,) = nbpipe(project, "runs", "--env", "prod", "--json").data
    record = json.loads((project / run["notebooks"][0]).read_text())
    assert record["metadata"]["nbpipe"] == {"run": run["id"], "environment": "prod"}
    assert [file.suffix for file in (project / "prod values").rglob("*") if file.is_file()] == [".json"]
    assert [row["status"] for row in nbpipe(project, "status", "--json").data] == ["missing"]
    assert nbpipe(project, "runs", "--json").data == []


def test_a_notebook_names_its_environment(project: Path, monkeypatch) -> None:
    (project / "nbpipe.toml").write_text(CONFIG)
    monkeypatch.setenv("NBPIPE_ENV", "prod")
    with person(project, CELLS) as me:
        me.run_all()
        shown = me.type("%status").ok().result.result._repr_mimebundle_()
        assert shown["text/plain"].endswith("\nenvironment prod")
        assert "environment prod" in shown["text/html"]
