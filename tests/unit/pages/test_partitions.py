"""Pages about partitions."""

from __future__ import annotations

import pytest

from nbpipe.commands.dynamic_keys import KeysAdded, KeysDeleted
from nbpipe.commands.partitions import DimensionRow, PartitionsFound
from nbpipe.pages.page import plain_lines
from nbpipe.pages.partitions import added, deleted, found

NO_COUNTS = dict.fromkeys(("materialized", "running", "failed", "missing", "stale", "skipped", "fresh"), 0)


def lines(page):
    return [line.rstrip() for line in plain_lines(page)]


def partitions(spec="daily:2024-01-01", *, dimensions=(), ranges=None, more=None, **counts):
    whole = {**NO_COUNTS, **counts}
    statuses = ("running", "failed", "missing", "stale", "skipped", "fresh")
    return PartitionsFound(
        asset="a",
        partitions=spec,
        dimensions=dimensions or (DimensionRow(name="", kind="time", spec=spec, keys=1),),
        total=sum(whole[name] for name in statuses),
        ranges=ranges or {},
        more=more or {},
        **whole,
    )


def test_each_status_has_its_number_share_and_ranges():
    data = partitions(
        missing=1,
        fresh=1_999,
        ranges={"missing": ("2024-01-05",), "fresh": ("2024-01-01..2024-01-04", "2024-01-06..2029-06-22")},
    )
    assert lines(found(data)) == [
        "a  daily:2024-01-01  2,000 partitions",
        "  missing            1  < 1 %",
        "      2024-01-05",
        "  fresh          1,999  > 99 %",
        "      2024-01-01..2024-01-04  2024-01-06..2029-06-22",
    ]


def test_what_is_left_out_is_counted():
    days = tuple(f"2024-01-{day:02}" for day in range(1, 21, 2))
    told = lines(found(partitions(failed=1_213, fresh=9, ranges={"failed": days}, more={"failed": 1_203})))
    assert told[2] == "      " + "  ".join(days[:8])
    assert told[3] == "      " + "  ".join([*days[8:], "and 1,203 more"])


def test_a_key_is_data_and_no_control_sequence():
    told = lines(found(partitions(failed=1, fresh=1, ranges={"failed": ("\x1b[31mred",)})))
    assert "\\x1b[31mred" in told[2]


def test_an_empty_dynamic_set_of_two_dimensions_says_how_to_fill_it():
    dimensions = (
        DimensionRow(name="date", kind="time", spec="daily:2024-01-01", keys=3),
        DimensionRow(name="who", kind="dynamic", spec='dynamic:"big customers"', keys=0),
    )
    told = lines(found(partitions("x", dimensions=dimensions)))
    assert told[1:] == ['  "big customers" has no keys: nbpipe partitions add "big customers" KEY...']


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (added(KeysAdded(set="s", added=("a",), known=(), total=3)), ["s: key a added, 3 in all"]),
        (added(KeysAdded(set="s", added=(), known=("a",), total=3)), ["s: no new key", "there already: a"]),
        (
            added(KeysAdded(set="s", added=tuple("abcdefghijkl"), known=(), total=12)),
            ["s: 12 keys a, b, c, d, e, f, g, h, i, j, ... (2 more) added, 12 in all"],
        ),
        (
            deleted(KeysDeleted(set="s", deleted=("a", "b"), gone=("c",), total=0)),
            [
                "s: 2 keys a, b deleted, 0 left; what is stored of them stays, and is back when they are added again",
                "deleted before: c",
            ],
        ),
        (deleted(KeysDeleted(set="s", deleted=(), gone=("c",), total=0)), ["s: c had been deleted before"]),
    ],
)
def test_what_became_of_keys(page, expected):
    assert lines(page) == expected
