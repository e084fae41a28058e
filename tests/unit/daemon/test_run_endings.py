"""What the end of a run means for the partitions of its backfill."""

from __future__ import annotations

import pytest

from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.subsets import PartitionSubset
from nbpipe.core.records import RunAsset
from nbpipe.daemon.run_endings import became, objection, requested_of
from nbpipe.execution.reconcile import GONE
from nbpipe.storage.outcomes import NOT_STARTED
from tests import stores

SETS = {"x": parse_partitions("static:a,b,c,d")}


def row(key, outcome, error=None, version=None):
    return RunAsset(run_id="r1", asset="x", partition=key, outcome=outcome, error=error, version=version)


@pytest.mark.parametrize(
    ("status", "error", "rows", "stopping", "expected"),
    [
        ("success", None, [row("a", "success"), row("b", "unchanged")], False, "done:a,b"),
        ("success", None, [row("a", "success"), row("b", "skipped", "nothing to do", 0)], False, "done:a skipped:b"),
        (
            "failure",
            "x",
            [row("a", "success"), row("b", "failed", "x"), row("c", "skipped", "up")],
            False,
            "done:a failed:b",
        ),
        ("failure", "x", [row("a", "failed", "x"), row("b", "skipped", NOT_STARTED)], False, "failed:a"),
        ("failure", "x", [row("a", "skipped", NOT_STARTED), row("b", "skipped", "x")], False, "failed:a,b"),
        ("failure", GONE, [row("a", "success"), row("b", "failed", GONE), row("c", "skipped", "x")], False, "done:a"),
        ("failure", GONE, [row("a", "failed", "x"), row("b", "failed", GONE)], False, "failed:a"),
        ("failure", GONE, [row("a", "skipped", NOT_STARTED)], False, ""),
        ("canceled", "asked", [row("a", "success"), row("b", "canceled")], True, "done:a"),
        ("canceled", "asked", [row("a", "canceled"), row("b", "canceled")], True, ""),
        ("canceled", "asked", [row("a", "success"), row("b", "canceled")], False, "done:a failed:b"),
        ("canceled", "asked", [row("a", "canceled"), row("b", "canceled")], False, "failed:a,b"),
        ("success", None, [row("a", "success"), row("gone", "success")], False, "done:a"),
    ],
)
def test_what_is_done_failed_or_to_run_again(status, error, rows, stopping, expected):
    run = stores.run(status=status, error=error)
    requested = requested_of(rows, SETS)
    found, _ = became(run, rows, requested, SETS, stopping=stopping)
    told = []
    for side in ("done", "failed", "skipped", "lost"):
        families = getattr(found["x"], side)
        if families:
            told.append(f"{side}:{','.join(PartitionSubset(SETS['x'], families))}")
    assert " ".join(told) == expected


@pytest.mark.parametrize(
    ("status", "error", "rows", "expected"),
    [
        ("success", None, [row("a", "success")], None),
        ("failure", "unknown key 'x'\nmore", [row("a", "success"), row("b", "unchanged")], "unknown key 'x'"),
        ("failure", "boom", [row("a", "success"), row("b", "skipped", "nothing to do", 0)], "boom"),
        ("failure", None, [row("a", "success")], "no reason is known"),
        ("failure", "boom", [row("a", "success"), row("b", "failed", "boom")], None),
        ("failure", "boom", [row("a", "success"), row("b", "skipped", NOT_STARTED)], None),
        ("failure", GONE, [row("a", "success")], None),
        ("canceled", "asked", [row("a", "success")], None),
    ],
)
def test_a_run_that_failed_after_all_was_stored_is_told(status, error, rows, expected):
    run = stores.run("r1", status=status, error=error)
    requested = requested_of(rows, SETS)
    ended, _ = became(run, rows, requested, SETS, stopping=False)
    told = objection(run, ended, requested)
    assert told == (expected and f"run r1 failed, though all of its partitions are stored: {expected}")


def test_what_was_requested_is_read_from_the_places_in_the_run():
    found = requested_of([row("a", "queued"), row("c", "success")], {**SETS, "y": SETS["x"]})
    assert {key: list(PartitionSubset(SETS["x"], families)) for key, families in found.items()} == {"x": ["a", "c"]}
