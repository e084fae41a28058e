"""Which partitions are executed: those asked for, and what follows from them."""

from datetime import UTC, datetime

import msgspec
import pytest

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.ranges import parse_ranges, range_texts
from nbpipe.core.runs.partition_choice import follow, roots_of
from tests.unit.core.assets import spec

NOW = datetime(2024, 4, 15, tzinfo=UTC)
DAILY, MONTHLY = "daily:2024-01-01", "monthly:2024-01-01"
JANUARY, MARCH = "2024-01-01..2024-01-31", "2024-03-01..2024-03-31"


def asset(key, upstream="", partitions=None, *, own=False, **options):
    """Write an asset; a mapping is given as `UPSTREAM=RULE`."""
    rules = tuple(tuple(rule.split("=", 1)) for rule in options.pop("map", ()))
    written = AssetOptions(partitions=partitions, map=rules, backfill=options.pop("backfill", None))
    found = spec(key, upstream, options=written, **options)
    if own:
        found = msgspec.structs.replace(found, inputs=tuple(sorted((*found.inputs, key))))
    return found


def book_of(*specs):
    return PartitionBook({one.key: one.options.partitions for one in specs if one.options.partitions}, None, "default")


def chosen(specs, roots, available=None, others=()):
    """Follow from ranges written as texts; return texts, and what is left out."""
    book = book_of(*specs, *others)

    def read(texts):
        return {key: parse_ranges(book.of(key), text.split(), NOW) for key, text in texts.items()}

    found = follow(specs, book, read(roots), read(available or {}), NOW)
    subsets = {key: " ".join(range_texts(subset)) for key, subset in found.subsets.items()}
    left = [
        (one.asset, " ".join(range_texts(one.partitions)), one.upstream, " ".join(range_texts(one.lacking)), one.asked)
        for one in found.left_out
    ]
    return subsets, left


def test_the_roots_are_the_partitioned_assets_that_no_other_one_feeds():
    specs = [
        asset("raw"),
        asset("day", "raw", DAILY),
        asset("other", "", DAILY),
        asset("month", "day other", MONTHLY),
        asset("total", "month"),
    ]
    assert roots_of(specs, book_of(*specs)) == ("day", "other")
    assert roots_of(specs[3:], book_of(*specs)) == ("month",)


@pytest.mark.parametrize(
    ("days", "stored", "month", "left"),
    [
        (JANUARY, "", "2024-01-01", None),
        ("2024-01-01..2024-02-29", "", "2024-01-01..2024-02-01", None),
        ("2024-01-05", "", "", "2024-01-01"),
        ("2024-01-05", JANUARY, "2024-01-01", None),
        ("2024-01-05..2024-01-31", "2024-01-01..2024-01-04", "2024-01-01", None),
        ("2024-01-31..2024-02-29", "", "2024-02-01", "2024-01-01"),
    ],
)
def test_what_days_feed_follows_if_the_others_are_there(days, stored, month, left):
    specs = [asset("day", "", DAILY), asset("month", "day", MONTHLY)]
    subsets, left_out = chosen(specs, {"day": days}, {"day": stored})
    assert subsets == {"day": days, "month": month}
    assert [one[:3] for one in left_out] == ([("month", left, "day")] if left else [])
    assert not any(one[-1] for one in left_out)


def test_a_chain_is_followed_and_what_is_left_out_stops_it():
    specs = [asset("day", "", DAILY), asset("month", "day", MONTHLY), asset("late", "month", MONTHLY)]
    subsets, left = chosen(specs, {"day": "2024-01-31..2024-02-29"})
    assert subsets["late"] == "2024-02-01"
    assert left == [("month", "2024-01-01", "day", "2024-01-01..2024-01-30", False)]


@pytest.mark.parametrize(
    ("rule", "stored", "expected"),
    [("all", "", "2024-01-01..2024-04-14"), ("latest", "2024-04-14", ""), ("latest", "", "")],
)
def test_all_needs_nothing_and_latest_what_is_the_latest(rule, stored, expected):
    specs = [asset("day", "", DAILY), asset("each", "day", DAILY, map=[f"day={rule}"])]
    assert chosen(specs, {"day": "2024-01-05"}, {"day": stored})[0]["each"] == expected


def test_latest_follows_when_the_latest_is_chosen():
    specs = [asset("day", "", DAILY), asset("each", "day", "static:a,b", map=["day=latest"])]
    assert chosen(specs, {"day": "2024-04-13..2024-04-14"})[0]["each"] == "a b"


def test_what_was_asked_for_and_lacks_something_is_told_as_such():
    day, month = asset("day", "", DAILY), asset("month", "day", MONTHLY)
    subsets, left = chosen([month], {"month": "2024-01-01..2024-02-01"}, {"day": JANUARY}, others=[day])
    assert subsets == {"month": "2024-01-01"}
    assert left == [("month", "2024-02-01", "day", "2024-02-01..2024-02-29", True)]


def test_an_asset_without_partitions_lacks_what_it_reads_alone():
    specs = [asset("day", "", DAILY), asset("last", "day", map=["day=latest"]), asset("total", "day")]
    left = chosen(specs, {"day": "2024-01-05"})[1]
    assert [(one[0], one[2:]) for one in left] == [("last", ("day", "2024-04-14", True))]
    assert chosen(specs, {"day": "2024-04-14"})[1] == []


@pytest.mark.parametrize(
    ("wanted", "stored", "expected"),
    [
        ("2024-01-01..2024-01-10", "", "2024-01-01..2024-01-10"),
        ("2024-01-03..2024-01-10", "", ""),
        ("2024-01-03..2024-01-10", "2024-01-02", "2024-01-03..2024-01-10"),
        ("2024-01-03..2024-01-10", "2024-01-05", "2024-01-06..2024-01-10"),
        ("2024-01-03 2024-01-05 2024-01-06", "2024-01-02", "2024-01-03"),
    ],
)
def test_a_chain_of_own_partitions_begins_where_one_is_there(wanted, stored, expected):
    balance = asset("balance", "", DAILY, own=True, map=["balance=offset(-1)"])
    assert chosen([balance], {"balance": wanted}, {"balance": stored})[0] == {"balance": expected}


def test_assets_of_one_cell_have_the_same_partitions():
    pair = {"siblings": ("a", "b"), "index": 1}
    specs = [
        asset("day", "", DAILY),
        asset("a", "day", MONTHLY, **pair),
        asset("b", "day", MONTHLY, **pair),
        asset("c", "b", MONTHLY, index=2),
    ]
    assert roots_of(specs[1:3], book_of(*specs)) == ("a", "b")
    assert chosen(specs[1:], {"b": "2024-01-01"}, {"day": JANUARY}, others=specs[:1])[0] == dict.fromkeys(
        "abc", "2024-01-01"
    )


def test_two_dimensions_follow_one_by_one():
    both = f"date={DAILY} x region=static:eu,us"
    specs = [asset("sales", "", both), asset("day", "sales", DAILY), asset("region", "sales", "static:eu,us")]
    subsets, left = chosen(specs, {"sales": "2024-01-01..2024-01-03|*"})
    assert subsets["day"] == "2024-01-01..2024-01-03"
    assert subsets["region"] == ""
    assert [one[:3] for one in left] == [("region", "eu us", "sales")]
    subsets, left = chosen(specs, {"sales": "2024-01-01..2024-01-03|eu"}, {"sales": "2024-01-02|us *|eu"})
    assert subsets["day"] == "2024-01-02"
    assert subsets["region"] == "eu"


def test_an_order_that_sets_do_not_share_does_not_choose():
    specs = [asset("day", "", DAILY), asset("part", "~day", "static:a,b")]
    assert roots_of(specs, book_of(*specs)) == ("day", "part")
    assert chosen(specs, {"day": "2024-01-05", "part": "b"})[0]["part"] == "b"


def test_keys_of_windows_that_have_not_ended_are_followed_too():
    specs = [asset("day", "", DAILY), asset("again", "day", DAILY)]
    assert chosen(specs, {"day": "2024-04-20"})[0]["again"] == "2024-04-20"
