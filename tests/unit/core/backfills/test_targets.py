"""What a backfill covers."""

from __future__ import annotations

import msgspec
import pytest
from pyroaring import BitMap

from nbpipe.core.backfills.targets import Asked, choose
from nbpipe.core.partitions.chunks import ChunkFacts, PartitionFacts
from nbpipe.core.partitions.ranges import parse_ranges, range_texts
from nbpipe.core.partitions.sets import CHUNK
from nbpipe.core.partitions.state import AssetPartitions, assess_partitions
from nbpipe.errors import DeclarationError, RefusedError, UsageError
from tests.unit.core.backfills.models import NOW, asset, book_of

DAY, WEEK = "daily:2024-01-01", "weekly:2024-01-01"
ALL_DAYS, ALL_WEEKS = "2024-01-01..2024-01-14", "2024-01-01..2024-01-08"


def facts(of, executed="", failed=""):
    """Return facts of some partitions: executed by the recipe 1, and failed ones."""
    chunks = {}
    for name, texts in (("materialized", executed), ("failed", failed)):
        for outer, bitmap in parse_ranges(of, texts.split(), NOW).families.items():
            for ordinal in bitmap:
                fields = chunks.setdefault((outer, ordinal // CHUNK), {"materialized": BitMap(), "failed": BitMap()})
                fields[name].add(ordinal % CHUNK)
    return PartitionFacts(
        {
            place: ChunkFacts(**fields, codes=((1, fields["materialized"]),) if fields["materialized"] else ())
            for place, fields in chunks.items()
        }
    )


def chosen(specs, asked, *, stored=(), failed=(), stale=(), whole=None):
    """Choose; return ranges by asset, and the notes."""
    book = book_of(specs)
    assets = [
        AssetPartitions(
            asset=one.key,
            of=book.of(one.key),
            facts=facts(book.of(one.key), dict(stored).get(one.key, ""), dict(failed).get(one.key, "")),
            drift={1: ("code changed",) if one.key in stale else ()},
        )
        for one in specs
        if book.of(one.key)
    ]
    found = choose(
        specs,
        book,
        Asked(**asked),
        states=assess_partitions(assets, NOW),
        whole=whole or {one.key: "missing" for one in specs},
        now=NOW,
    )
    return {key: " ".join(range_texts(subset)) for key, subset in found.subsets.items()}, list(found.notes)


def pipeline():
    return [asset("day", "", DAY), asset("week", "day", WEEK), asset("total", "week")]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"everything": True}, {"day": ALL_DAYS, "week": ALL_WEEKS, "total": ""}),
        ({"statuses": ("missing",)}, {"day": ALL_DAYS, "week": ALL_WEEKS, "total": ""}),
        ({"ranges": "2024-01-01..2024-01-07"}, {"day": "2024-01-01..2024-01-07", "week": "2024-01-01", "total": ""}),
        (
            {"ranges": "2024-01-01..2024-01-07", "statuses": ("missing", "failed")},
            {"day": "2024-01-01..2024-01-07", "week": "2024-01-01", "total": ""},
        ),
    ],
)
def test_of_a_project_that_was_never_run(asked, expected):
    assert chosen(pipeline(), asked) == (expected, [])


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("missing",), {"day": "2024-01-08..2024-01-13"}),
        (("failed",), {"day": "2024-01-03 2024-01-14"}),
        (("stale",), {"day": "2024-01-01..2024-01-02 2024-01-04..2024-01-07"}),
        (("missing", "failed"), {"day": "2024-01-03 2024-01-08..2024-01-14"}),
    ],
)
def test_by_status_it_is_exactly_those(statuses, expected):
    specs = [asset("day", "", DAY)]
    found, _ = chosen(
        specs,
        {"statuses": statuses},
        stored={"day": "2024-01-01..2024-01-07"},
        failed={"day": "2024-01-03 2024-01-14"},
        stale={"day"},
    )
    assert found == expected


def test_what_lacks_an_input_that_is_not_asked_for_is_left_out_with_a_note():
    found, notes = chosen(pipeline(), {"statuses": ("missing",)}, failed={"day": "2024-01-02"})
    assert found == {"day": "2024-01-01 2024-01-03..2024-01-14", "week": "2024-01-08", "total": ""}
    assert len(notes) == 1
    assert "week@2024-01-01 needs 2024-01-02 of day" in notes[0]


def test_what_lacks_an_input_within_a_range_is_left_out_with_a_note_too():
    specs = [asset("day", "", DAY), asset("sum", "day", DAY, own=True)]
    stored = {"day": ALL_DAYS, "sum": "2024-01-03..2024-01-07"}
    asked = {"ranges": "2024-01-03..2024-01-05", "statuses": ("stale",)}
    found, notes = chosen(specs, asked, stored=stored, stale={"sum"})
    assert found == {"sum": "2024-01-04..2024-01-05"}
    assert len(notes) == 1
    assert "sum@2024-01-03 needs 2024-01-02 of sum" in notes[0]


def test_an_asset_without_partitions_that_would_read_nothing_is_left_out():
    found, notes = chosen(
        [*pipeline()[:1], asset("total", "day")], {"statuses": ("missing",)}, failed={"day": ALL_DAYS}
    )
    assert found == {}
    assert notes == ["left out: total reads day, of which there is nothing"]


def test_assets_without_partitions_run_by_their_own_status_or_if_something_above_them_does():
    specs = [asset("config"), asset("day", "config", DAY), asset("total", "day"), asset("report", "total")]
    stored = {"day": ALL_DAYS}
    whole = {"config": "fresh", "total": "stale", "report": "fresh"}
    assert chosen(specs, {"statuses": ("stale",)}, stored=stored, whole=whole)[0] == {"total": ""}
    assert chosen(specs, {"statuses": ("missing",)}, stored=stored, whole=whole)[0] == {}
    assert chosen(specs, {"everything": True}, stored=stored, whole=whole)[0].keys() == {
        "config",
        "day",
        "total",
        "report",
    }


def test_assets_of_one_cell_are_asked_for_together():
    specs = [
        msgspec.structs.replace(asset(key, "", DAY, notebook="n"), siblings=("train", "test"))
        for key in ("train", "test")
    ]
    found, _ = chosen(
        specs, {"statuses": ("missing",)}, stored={"train": "2024-01-01..2024-01-13", "test": "2024-01-03..2024-01-14"}
    )
    assert found == dict.fromkeys(("train", "test"), "2024-01-01..2024-01-02 2024-01-14")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, UsageError),
        ({"everything": True, "statuses": ("missing",)}, UsageError),
        ({"everything": True, "ranges": "2024-01-01"}, UsageError),
        ({"ranges": "2024-01-07..2024-01-01"}, DeclarationError),
    ],
)
def test_nothing_and_nonsense_are_refused(asked, error):
    with pytest.raises(error):
        chosen(pipeline(), asked)


def test_a_range_of_assets_without_partitions_is_refused():
    with pytest.raises(RefusedError, match="has partitions"):
        chosen([asset("total")], {"ranges": "2024-01-01"})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"everything": True}, "all"),
        ({"statuses": ("missing", "stale")}, "missing or stale"),
        ({"ranges": "a..b"}, "a..b"),
        ({"ranges": "a..b", "statuses": ("failed",)}, "a..b, failed"),
    ],
)
def test_what_was_asked_for_can_be_read(asked, words):
    assert Asked(**asked).words == words
