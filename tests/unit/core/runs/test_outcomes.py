"""What has become of an asset with partitions in a run."""

from __future__ import annotations

import pytest

from nbpipe.core.runs.outcomes import AssetOutcome


@pytest.mark.parametrize(
    ("counts", "outcome", "told"),
    [
        ({}, "unchanged", "unchanged"),
        ({"idle": 3}, "unchanged", "skipped"),
        ({"idle": 2, "unchanged": 1}, "unchanged", "unchanged"),
        ({"idle": 2, "success": 1}, "success", "success"),
        ({"idle": 2, "skipped": 1}, "skipped", "skipped"),
        ({"idle": 2, "running": 1}, "running", "running"),
    ],
)
def test_what_had_nothing_to_do_is_done_and_told_as_skipped(counts, outcome, told):
    found = AssetOutcome(counts)
    assert (found.outcome, found.told) == (outcome, told)
    assert found.done == counts.get("idle", 0) + counts.get("unchanged", 0) + counts.get("success", 0)
