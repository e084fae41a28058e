"""Backfills as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from nbpipe.cli.backfill_progress import failure_lines, rate_text
from nbpipe.commands.backfill_results import (
    BackfillAsset,
    BackfillDetails,
    BackfillDraft,
    BackfillError,
    PlannedAsset,
    nothing_to_do,
    row_of,
)
from nbpipe.core.backfills.records import Backfill
from nbpipe.core.records import RunAsset
from nbpipe.pages.catalogue import page_of
from nbpipe.pages.page import plain_lines

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
BACKFILL = Backfill(
    id="b1", env="default", status="failure", selection="day", partitions="all", assets=("day",), total=1200,
    done=1000, failed=2, skipped=3, lost=5, created_at=NOON, error="a.ipynb is broken",
)  # fmt: skip
DRAFT = BackfillDraft(
    selection="day",
    partitions="all",
    total=14,
    runs=14,
    assets=(PlannedAsset(asset="day", total=14, partitions=tuple(f"2024-01-{n:02}" for n in range(1, 15))),),
    notes=("left out: x",),
)


def text(command, data):
    return "\n".join(plain_lines(page_of(command, data)))


def details(**changes):
    row = row_of(msgspec.structs.replace(BACKFILL, **changes))
    asset = BackfillAsset(
        asset="day", total=1200, done=1000, failed=2, skipped=3, lost=5, left=190,
        failed_partitions=("2024-01-01", "2024-01-07"), lost_partitions=(), left_partitions=(),
    )  # fmt: skip
    error = BackfillError(asset="day", partition="2024-01-07", run_id="r1", error="ValueError: no\nmore")
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return BackfillDetails(**fields, env="default", parameters={"n": 2}, progress=(asset,), runs=(), errors=(error,))


def test_details_tell_what_became_of_it_and_what_to_do_next():
    said = text("backfill show", details())
    for part in (
        "backfill b1  failure",
        "1,200 partitions: 1,000 done, 3 skipped, 2 failed, 5 lost, 190 left",
        "n = 2",
        "a.ipynb is broken",
        "day failed: 2024-01-01, 2024-01-07",
        "day@2024-01-07: ValueError: no",
        "`nbpipe backfill resume b1` tries again what is not done",
    ):
        assert part in said
    assert "more" not in said


@pytest.mark.parametrize(
    ("status", "shown", "resume"),
    [
        ("queued", "stopped", True),
        ("canceled", "canceled", True),
        ("success", "success", False),
        ("running", "running", False),
    ],
)
def test_one_that_nobody_works_on_is_called_stopped(status, shown, resume):
    said = text("backfill start", details(status=status))
    assert f"b1  {shown}" in said
    assert ("resume b1` goes on" in said) == resume


def test_a_draft_tells_how_much_there_is_to_do():
    said = text("backfill start", DRAFT)
    assert said.startswith("left out: x")
    assert "2024-01-01, 2024-01-02, 2024-01-03, 2024-01-04 ... 2024-01-14 (14 in all)" in said
    assert said.endswith("14 in 14 runs; nothing was started")
    empty = msgspec.structs.replace(DRAFT, total=0, runs=0, assets=())
    assert "nothing to do" in text("backfill start", empty)
    assert "nothing to do" in text("backfill", nothing_to_do(empty, "default"))


def test_listings():
    assert "1,003  1,200" in text("backfill list", [row_of(BACKFILL)])
    assert "no backfills yet" in text("backfill list", [])
    assert "is canceled" in text("backfill cancel", row_of(msgspec.structs.replace(BACKFILL, status="canceled")))
    assert "its runs are ending" in text("backfill cancel", row_of(msgspec.structs.replace(BACKFILL, status="running")))


@pytest.mark.parametrize(("rate", "said"), [(12.345, "12.3/s"), (0.5, "30/min"), (0.002, "7.2/h")])
def test_rates_are_told_so_that_people_can_count(rate, said):
    assert rate_text(rate) == said


@pytest.mark.parametrize(("number", "last"), [(5, "day@k4: x"), (6, "and 1 more failure"), (9, "and 4 more failures")])
def test_many_failures_of_one_run_are_cut_short(number, last):
    rows = [RunAsset(run_id="r", asset="day", partition=f"k{n}", outcome="failed", error="x\ny") for n in range(number)]
    lines = failure_lines(tuple(rows))
    assert lines[0] == "day@k0: x"
    assert lines[-1] == last
