"""`%backfill` in a person's kernel: a process of its own works on it while cells go on."""

from __future__ import annotations

from pathlib import Path

from nbpipe.errors import ExecutionError, RefusedError
from tests.live import Person, person
from tests.runs import eventually

DAY = "%%asset day --partitions daily:2024-01-01..2024-01-03\nday = partition.key"
TOTAL = "%%asset total\ntotal = sorted(day)"


def latest(me: Person):
    (found,) = me.session.workspace.store.backfills.backfills(limit=1)
    return found


def test_it_can_be_waited_for_and_what_it_made_is_there(project: Path):
    with person(project, [DAY, TOTAL]) as me:
        shown = me.type("%backfill --missing --wait").ok()
        assert any("4 done of 4" in each.get("text/plain", "") for each in shown.displays)
        assert latest(me).status == "success"
        me.type("shown = %asset total").ok()
        assert me.names["shown"] == ["2024-01-01", "2024-01-02", "2024-01-03"]
        assert me.type("%backfill --missing --wait").ok().error is None
        assert "4" in str(me.type("%backfill list").ok().result.result.data)


def test_it_goes_on_while_other_cells_run_and_a_failure_is_told_when_it_is_waited_for(project: Path):
    with person(project, [DAY, TOTAL]) as me:
        shown = me.type("%backfill day --partitions 2024-01-01").ok()
        assert any("application/vnd.jupyter.widget-view+json" in each for each in shown.displays)
        me.type("1 + 1").ok()
        assert eventually(lambda: latest(me).status == "success")
        me.edit(0, DAY.replace("day = ", "day = 1 / 0, "))
        assert isinstance(me.type("%backfill day --all --wait").error, RefusedError | ExecutionError)


def test_a_canceled_one_is_shown_and_a_dry_run_starts_nothing(project: Path):
    with person(project, [DAY, TOTAL]) as me:
        found = me.type("%backfill --all --dry-run").ok().result.result
        assert found.data.total == 4
        assert me.session.workspace.is_untouched or not me.session.workspace.store.backfills.backfills()
        me.type("%backfill day --all").ok()
        me.type(f"%backfill cancel {latest(me).id}").ok()
        assert eventually(lambda: latest(me).status == "canceled")


def test_wrong_use_is_an_error_and_help_is_printed(project: Path):
    with person(project, [DAY, TOTAL]) as me:
        assert "say which partitions" in me.type("%backfill day").said
        assert "--missing" in me.type("%backfill --help").ok().out
