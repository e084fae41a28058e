"""`%materialize` in a person's kernel: a process of its own carries the run out, and no run outlives it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nbpipe.core.records import ACTIVE_RUN
from nbpipe.errors import ExecutionError
from nbpipe.kernel.materializing import start_run
from tests.live import Person, person
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


def _ended(me: Person, run_id: str | None) -> None:
    assert run_id is not None
    store = me.session.workspace.store
    assert eventually(lambda: (run := store.run(run_id)) and run.status not in ACTIVE_RUN and run).status == "success"


def test_what_a_run_made_that_nobody_waited_for_is_bound_before_the_next_cell(project: Path):
    with person(project, ["from pathlib import Path", "%%asset a\na = Path('number').read_text()"]) as me:
        (project / "number").write_text("1", encoding="utf-8")
        me.run_all()
        (project / "number").write_text("2", encoding="utf-8")
        run_id = start_run(me.session, "a")
        me.type("before = a").ok()
        _ended(me, run_id)
        assert me.names["a"] == me.names["before"] == "1"
        me.type("after = a").ok()
        assert (me.names["a"], me.names["after"]) == ("2", "2")
        me.type("a = 'my own'").ok()
        me.type("after = a").ok()
        assert me.names["after"] == "my own"


def test_a_name_that_a_person_bound_meanwhile_is_theirs(project: Path):
    with person(project, CELLS) as me:
        me.run_all()
        run_id = start_run(me.session, "a b")
        me.type("a = 'my own'").ok()
        del me.names["b"]
        _ended(me, run_id)
        me.type("seen = a").ok()
        assert me.names["seen"] == "my own"
        assert "b" not in me.names


def test_partitions_are_counted_while_they_are_made_and_the_current_one_is_bound(project: Path):
    cells = [
        "%%asset day --partitions daily:2024-01-01\n1 // (partition.key != '2024-01-03')",
        "%%asset total\nlen(day)",
    ]
    with person(project, cells) as me:
        shown = me.type("%materialize day total --partitions 2024-01-01..2024-01-05")
        assert isinstance(shown.error, ExecutionError)
        assert "1 of 5 partitions of day failed: 2024-01-03: ZeroDivisionError" in str(shown.error)
        assert (
            "day    failed (4 of 5 partitions, 1 failed): 2024-01-03: ZeroDivisionError"
            in shown.displays[-1]["text/plain"]
        )
        me.type("%materialize day --partition 2024-01-01").ok()
        store = me.session.workspace.store
        assert [run.partition for run in store.runs()] == ["2024-01-01", "2024-01-01..2024-01-05"]
        assert "day has partitions: say which with --partition" in me.type("%materialize day").err


def test_the_python_twin_takes_partitions(project: Path):
    with person(project, ["%%asset each --partitions static:a,b\npartition.key"]) as me:
        me.type("import nbpipe\nrun = nbpipe.materialize('each', partitions='a..b')").ok()
        assert me.names["run"].status == "success"
        me.type("run = nbpipe.materialize('each', partition='b')").ok()
        assert [run.partition for run in me.session.workspace.store.runs()] == ["b", "2 partitions"]
