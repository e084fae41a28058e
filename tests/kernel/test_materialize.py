"""`%materialize` in a person's kernel: a process of its own carries the run out, and no run outlives it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nbpipe.errors import ExecutionError
from nbpipe.kernel.materializing import start_run
from tests.live import person
from tests.runs import eventually

CELLS = ["%%asset a\na = 1", "%%asset b\nb = a + 1"]


def test_values_are_reloaded_and_files_beside_the_notebook_are_no_modules_of_ours(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    (project / "click.py").write_text("raise SystemExit('a file of the project was imported')", encoding="utf-8")
    monkeypatch.chdir(project)
    with person(project, CELLS) as me:
        me.run_all()
        me.names["b"] = "a person's own"
        me.type("%materialize a b").ok()
        assert (me.names["a"], me.names["b"]) == (1, 2)
        assert [me.current(asset).version for asset in ("a", "b")] == [2, 2]
        assert [run.status for run in me.session.workspace.store.runs()] == ["success"]


def test_a_run_whose_process_cannot_work_has_failed(project: Path, monkeypatch: pytest.MonkeyPatch):
    with person(project, CELLS) as me:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        assert isinstance(me.type("%materialize a").error, ExecutionError)
        run_id = start_run(me.session, "a")
        assert run_id is not None
        store = me.session.workspace.store
        ended = eventually(lambda: (run := store.run(run_id)) and run.status == "failure" and run)
        assert ended.error == "the process that ran it ended early"
        assert me.state("a").activity == ""
