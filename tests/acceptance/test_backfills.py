"""Backfills with real kernels: several notebooks, ranges in one run, skips, failures, code that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

import nbpipe
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import ExecutionError
from tests.notebooks import edit_cell, parameters, write_notebook

DAYS = "daily:2024-01-01..2024-01-14"
DAY = f"%%asset day --partitions {DAYS}\nday = scale * int(partition.key[-2:])"
RANGE = f"%%asset sums --partitions {DAYS} --backfill single --map sums=offset(-1)\nsums = (sums or 0) + day"


def counts(root: Path, asset: str) -> dict[str, int]:
    with Workspace.open(root) as workspace:
        found = workspace.partition_states()[asset].counts
    return {
        name: getattr(found, name)
        for name in ("missing", "failed", "stale", "skipped", "fresh")
        if getattr(found, name)
    }


def runs(root: Path) -> list[tuple[str, ...]]:
    with Workspace.open(root) as workspace:
        return [run.assets for run in workspace.store.runs(limit=100)]


def test_two_notebooks_a_chain_and_a_total(project: Path) -> None:
    write_notebook(project / "a.ipynb", [parameters("scale = 1"), DAY])
    write_notebook(project / "b.ipynb", [RANGE, "%%asset total\ntotal = len(sums)"])
    found = nbpipe.backfill("*", everything=True, parameters={"scale": 2}, parallel=2)
    assert (found.status, found.total, found.done) == ("success", 29, 29)
    assert nbpipe.load("sums@2024-01-14") == 2 * sum(range(1, 15))
    assert nbpipe.load("total") == 14
    assert counts(project, "sums") == {"fresh": 14}
    # `day` and `sums` have the same partitions and run together: one run for each, and one for the total
    assert len(runs(project)) == 15


def test_what_is_skipped_is_never_tried_again_and_what_changed_is_stale(project: Path) -> None:
    body = "if partition.key.endswith('7'):\n    context.skip('no data on Sundays')\nday = 1"
    write_notebook(project / "a.ipynb", [f"%%asset day --partitions {DAYS}\n{body}"])
    found = nbpipe.backfill("day", missing=True, single_run=True)
    assert (found.status, found.done, found.skipped) == ("success", 13, 1)
    assert len(runs(project)) == 1
    assert counts(project, "day") == {"fresh": 13, "skipped": 1}
    for which in ("missing", "failed", "stale"):
        assert nbpipe.backfill("day", **{which: True}).id is None
    edit_cell(project / "a.ipynb", 0, f"%%asset day --partitions {DAYS}\n{body} + 1")
    assert counts(project, "day") == {"stale": 14}
    found = nbpipe.backfill("day", partitions="2024-01-07..2024-01-10", stale=True, single_run=True)
    assert (found.done, found.skipped, len(runs(project))) == (3, 1, 2)
    assert counts(project, "day") == {"stale": 10, "skipped": 1, "fresh": 3}


def test_a_failure_is_repaired_by_what_failed_and_what_is_missing_because_of_it(project: Path) -> None:
    check = "from pathlib import Path\nassert partition.key != '2024-01-03' or Path('repaired').exists()\nday = 1"
    write_notebook(project / "a.ipynb", [f"%%asset day --partitions {DAYS}\n{check}"])
    write_notebook(project / "b.ipynb", ["%%asset week --partitions weekly:2024-01-01..2024-01-08\nweek = len(day)"])
    with pytest.raises(ExecutionError, match="1 failed, 1 lost"):
        nbpipe.backfill("*", missing=True, single_run=True)
    assert len(runs(project)) == 2
    assert (counts(project, "day"), counts(project, "week")) == ({"failed": 1, "fresh": 13}, {"missing": 1, "fresh": 1})
    (project / "repaired").touch()
    found = nbpipe.backfill("*", missing=True, failed=True)
    assert (found.status, found.total) == ("success", 2)
    assert nbpipe.load("week@2024-01-01") == 7
