"""Runs of partitioned assets, with real kernels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nbpipe import clock
from nbpipe.commands.materialize import carry_out, prepare
from nbpipe.commands.references import find
from nbpipe.commands.run_results import details_of
from nbpipe.commands.runs import find_run, prepare_retry
from nbpipe.commands.workspace import Workspace
from nbpipe.core.references import Reference
from nbpipe.errors import RefusedError
from tests.notebooks import replace_in_cell, write_notebook

JANUARY = [f"2024-01-{day:02}" for day in range(1, 32)]

DAY = "%%asset day --partitions daily:2024-01-01\nint(partition.key[-2:])"
MONTH = "%%asset month --partitions monthly:2024-01-01\nsum(day.values())"
TOTAL = "%%asset total\nsum(month.values())"


def materialize(root: Path, selection: str, **wanted):
    """Run a selection; return the run and what became of each asset and partition."""
    with Workspace.open(root) as workspace:
        plan = prepare(workspace, selection, **wanted)
        return ended(workspace, carry_out(workspace, plan))


def retry(root: Path, run_id: str, *, from_failure: bool):
    with Workspace.open(root) as workspace:
        plan = prepare_retry(workspace, find_run(workspace, run_id), from_failure=from_failure)
        return ended(workspace, carry_out(workspace, plan, parent=run_id))


def ended(workspace: Workspace, result):
    run = workspace.store.run(result.run_id)
    found: dict[str, dict[str, str]] = {}
    for row in workspace.store.run_assets(run.id):
        found.setdefault(row.asset, {})[row.partition] = row.outcome
    return run, result, found


def value(root: Path, asset: str, partition: str = ""):
    with Workspace.open(root) as workspace:
        made = find(workspace, Reference(asset, partition))
        return workspace.io.manager(made.stored.io).load(made.stored)


def count(found: dict[str, str]) -> dict[str, int]:
    return {outcome: list(found.values()).count(outcome) for outcome in sorted({*found.values()})}


def test_days_their_month_and_the_total_run_together(project: Path) -> None:
    write_notebook(project / "a.ipynb", [DAY, MONTH, TOTAL])
    run, result, found = materialize(project, "*", partitions="2024-01-01..2024-01-31")
    assert (run.status, run.error, run.partition) == ("success", None, "2024-01-01..2024-01-31")
    assert list(found["day"]) == JANUARY
    assert {key: count(each) for key, each in found.items()} == {
        "day": {"success": 31},
        "month": {"success": 1},
        "total": {"success": 1},
    }
    assert [(step.assets, step.status) for step in result.steps] == [(("day", "month", "total"), "success")]
    assert result.steps[0].partitions == {"day": tuple(JANUARY), "month": ("2024-01-01",)}
    assert value(project, "day", "2024-01-17") == 17
    assert value(project, "month", "2024-01-01") == value(project, "total") == sum(range(1, 32))


def test_two_notebooks_take_turns_and_partitions_wait_for_each_other(project: Path) -> None:
    write_notebook(project / "a.ipynb", [DAY, TOTAL])
    write_notebook(project / "b.ipynb", [MONTH])
    run, result, found = materialize(project, "*", partitions="2024-01-01..2024-02-29")
    assert (run.status, run.error) == ("success", None)
    assert [step.assets for step in result.steps] == [("day",), ("month",), ("total",)]
    assert found["month"] == {"2024-01-01": "success", "2024-02-01": "success"}
    assert value(project, "month", "2024-02-01") == sum(range(1, 30))


def test_one_partition_of_an_asset_whose_upstream_is_stored(project: Path) -> None:
    write_notebook(project / "a.ipynb", [DAY, MONTH])
    with pytest.raises(RefusedError, match=re.escape("day month --partitions 2024-01-01..2024-01-31")):
        materialize(project, "month", partition="2024-01-01")
    materialize(project, "day", partitions="2024-01-01..2024-01-31")
    run, result, _ = materialize(project, "month", partition="2024-01-01")
    assert (run.partition, result.steps[0].assets) == ("2024-01-01", ("month",))


def test_a_failing_day_stops_only_what_reads_it(project: Path) -> None:
    body = DAY.replace("int(", "1 // (partition.key != '2024-01-03') and int(")
    write_notebook(project / "a.ipynb", [body, MONTH, TOTAL, "%%asset again --partitions daily:2024-01-01\nday + 1"])
    run, result, found = materialize(project, "*", partitions="2024-01-01..2024-02-29")
    assert run.status == "failure"
    assert "1 of 60 partitions of day failed: 2024-01-03: ZeroDivisionError" in run.error
    assert "a.ipynb, cell 1" in run.error
    assert count(found["day"]) == {"failed": 1, "success": 59}
    assert found["month"] == {"2024-01-01": "skipped", "2024-02-01": "success"}
    assert count(found["again"]) == {"skipped": 1, "success": 59}
    assert found["total"] == {"": "success"}
    assert value(project, "total") == sum(range(1, 30))
    assert result.steps[0].status == "failure"

    replace_in_cell(project / "a.ipynb", 0, "'2024-01-03'", "''")
    again, _, repaired = retry(project, run.id, from_failure=True)
    assert (again.status, again.parent) == ("success", run.id)
    assert repaired["day"] == repaired["again"] == {"2024-01-03": "success"}
    assert repaired["month"] == {"2024-01-01": "success"}


def test_a_cell_that_takes_a_range_gives_a_dict_and_keeps_what_came_before_a_failure(project: Path) -> None:
    body = (
        "%%asset each --partitions static:a,b,c,d --backfill 2\n"
        "def made():\n    for key in partition.keys:\n        yield key, key * len(partition.keys)\n"
        "        if key == 'c':\n            raise ValueError('no d')\n"
        "each = made()"
    )
    write_notebook(project / "a.ipynb", [body])
    run, _, found = materialize(project, "each", partitions="*")
    assert found["each"] == {"a": "success", "b": "success", "c": "success", "d": "failed"}
    assert run.partition == "4 partitions"
    assert "1 of 4 partitions of each failed: d: ValueError: no d" in run.error
    assert value(project, "each", "b") == "bb"


def test_a_partition_that_has_nothing_to_do_is_skipped_and_not_repeated(project: Path) -> None:
    body = (
        "%%asset each --partitions static:a,b,c\n"
        "if partition.key == 'b':\n    context.skip('nothing came')\n"
        "1 // (partition.key != 'c')"
    )
    write_notebook(project / "a.ipynb", [body, "%%asset below --partitions static:a,b,c\neach"])
    run, _, found = materialize(project, "*", partitions="*")
    assert found["each"] == {"a": "success", "b": "skipped", "c": "failed"}
    with Workspace.open(project) as workspace:
        details = details_of(workspace.store, run)
        assert ("each", "b", "skipped", "nothing came") in [
            (each.asset, each.partition, each.outcome, each.error) for each in details.outcomes
        ]
    _, _, again = retry(project, run.id, from_failure=True)
    assert set(again["each"]) == {"c"}


def test_keys_of_a_dynamic_set(project: Path) -> None:
    write_notebook(project / "a.ipynb", ["%%asset each --partitions dynamic:customers\npartition.key"])
    with pytest.raises(RefusedError, match="nbpipe partitions add customers"):
        materialize(project, "each", partitions="*")
    names = ["o/b", "a|b", "c d", "ü"]
    with Workspace.open(project) as workspace:
        workspace.store.partitions.add_keys(workspace.env, "customers", names, at=clock.now())
    run, _, found = materialize(project, "each", partitions="*")
    assert (run.status, run.error) == ("success", None)
    assert list(found["each"]) == names
    assert [value(project, "each", name) for name in names] == names


def test_only_what_is_missing_or_stale_is_executed(project: Path) -> None:
    write_notebook(
        project / "a.ipynb",
        [
            DAY.replace("2024-01-01", "2024-01-01..2024-01-31"),
            MONTH.replace("monthly:2024-01-01", "monthly:2024-01-01..2024-01-01"),
        ],
    )
    materialize(project, "day", partitions="2024-01-01..2024-01-29")
    _, _, found = materialize(project, "*", stale=True)
    assert found == {"day": {"2024-01-30": "success", "2024-01-31": "success"}, "month": {"2024-01-01": "success"}}
    with Workspace.open(project) as workspace:
        assert not prepare(workspace, "*", stale=True).steps
    replace_in_cell(project / "a.ipynb", 0, "int(", "1 + int(")
    _, _, found = materialize(project, "*", stale=True, partitions="2024-01-01..2024-01-03")
    assert count(found["day"]) == {"success": 3}
    assert found["month"] == {"2024-01-01": "success"}


def test_a_kernel_that_is_killed_leaves_what_was_committed(project: Path) -> None:
    dying = "if partition.key == '2024-01-10':\n    os.kill(os.getpid(), 9)\nint("
    write_notebook(project / "a.ipynb", ["import os", DAY.replace("int(", dying)])
    run, _, found = materialize(project, "day", partitions="2024-01-01..2024-01-31")
    assert run.status == "failure"
    became = [found["day"][key] for key in JANUARY]
    assert became == sorted(became, key=["success", "failed", "skipped"].index)
    assert (became[0], became[9], became[-1]) == ("success", "failed", "skipped")
    assert "of 31 partitions of day failed" in run.error
    assert value(project, "day", "2024-01-01") == 1
    replace_in_cell(project / "a.ipynb", 1, "'2024-01-10'", "''")
    again, _, found = retry(project, run.id, from_failure=True)
    assert again.status == "success"
    assert "2024-01-01" not in found["day"]
    assert list(found["day"]) == [key for key, outcome in zip(JANUARY, became, strict=True) if outcome != "success"]
