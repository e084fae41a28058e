"""Which partitions feed which, in both directions."""

from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import ChunkFacts, PartitionFacts, number_of, whole_facts
from nbpipe.core.partitions.fitting import link
from nbpipe.core.partitions.inputs import link_version
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.mapping_syntax import parse_map, parse_mapping
from nbpipe.core.partitions.mappings import overlapping
from nbpipe.core.partitions.ranges import parse_range
from nbpipe.core.partitions.registries import KeyRegistry
from nbpipe.core.partitions.sets import CHUNK, registry_name
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.subsets import PartitionSubset, everything, nothing, single
from nbpipe.errors import DeclarationError

NOW = datetime(2024, 4, 15, tzinfo=UTC)


def made(up, down, rule):
    return link(
        "up",
        parse_partitions(up) if up else None,
        parse_partitions(down) if down else None,
        parse_mapping(rule) if rule else None,
    )


def keys(subset):
    found = list(subset)
    return found if len(found) < 4 else [found[0], found[-1], len(found)]


DAILY, HOURLY, WEEKLY, MONTHLY = "daily:2024-01-01", "hourly:2024-01-01T00", "weekly:2024-01-01", "monthly:2024-01-01"
BERLIN, NEW_YORK, LORD_HOWE = "@Europe/Berlin", "@America/New_York", "@Australia/Lord_Howe"
DATE_REGION = "date=daily:2024-01-01 x region=static:eu,us"


@pytest.mark.parametrize(
    ("up", "down", "rule", "key", "expected"),
    [
        (DAILY, DAILY, None, "2024-02-01", ["2024-02-01"]),
        (DAILY, DAILY, "identity", "2024-02-01", ["2024-02-01"]),
        (DAILY, DAILY, "all", "2024-02-01", ["2024-01-01", "2024-04-14", 105]),
        (DAILY, DAILY, "latest", "2024-02-01", ["2024-04-14"]),
        (DAILY, DAILY, "offset(-1)", "2024-02-01", ["2024-01-31"]),
        (DAILY, DAILY, "offset(-1)", "2024-01-01", []),
        (DAILY, DAILY, "offset(-6,0)", "2024-02-01", ["2024-01-26", "2024-02-01", 7]),
        (DAILY, DAILY, "offset(-6,0)", "2024-01-02", ["2024-01-01", "2024-01-02"]),
        (DAILY, DAILY, "keys(2024-01-01,2024-01-03)", "2024-02-01", ["2024-01-01", "2024-01-03"]),
        (HOURLY, DAILY, None, "2024-02-01", ["2024-02-01T00", "2024-02-01T23", 24]),
        (HOURLY + BERLIN, DAILY + BERLIN, "window", "2024-03-31", ["2024-03-31T00", "2024-03-31T23", 23]),
        (
            HOURLY.replace("01-01", "10-01").replace("2024", "2023") + BERLIN,
            DAILY.replace("2024", "2023") + BERLIN,
            None,
            "2023-10-29",
            ["2023-10-29T00", "2023-10-29T23", 25],
        ),
        (HOURLY + NEW_YORK, DAILY + NEW_YORK, None, "2024-03-10", ["2024-03-10T00", "2024-03-10T23", 23]),
        (HOURLY + LORD_HOWE, DAILY + LORD_HOWE, None, "2024-04-07", ["2024-04-07T00", "2024-04-07T23", 24]),
        (HOURLY + BERLIN, DAILY, None, "2024-02-01", ["2024-02-01T01", "2024-02-02T00", 24]),
        (DAILY, HOURLY, None, "2024-02-01T05", ["2024-02-01"]),
        (DAILY, DAILY + BERLIN, None, "2024-02-01", ["2024-01-31", "2024-02-01"]),
        (DAILY, DAILY + BERLIN, "identity", "2024-02-01", ["2024-02-01"]),
        (DAILY, WEEKLY, None, "2024-02-05", ["2024-02-05", "2024-02-11", 7]),
        (DAILY, MONTHLY, None, "2024-02-01", ["2024-02-01", "2024-02-29", 29]),
        (WEEKLY, MONTHLY, None, "2024-02-01", ["2024-01-29", "2024-02-26", 5]),
        (WEEKLY, DAILY, None, "2024-02-01", ["2024-01-29"]),
        (DAILY, "cron(0 6 * * 1-5):2024-01-01", None, "2024-02-02", ["2024-02-02", "2024-02-05", 4]),
        ("cron(*/30 * * * *):2024-01-01", DAILY, None, "2024-02-01", ["2024-02-01T00:00", "2024-02-01T23:30", 48]),
        (
            "cron(0 6,18 * * 1-5):2024-01-01",
            "cron(0 6,18 * * 1-5):2024-01-01",
            "offset(-1)",
            "2024-02-05T06",
            ["2024-02-02T18"],
        ),
        (
            "cron(*/30 8-9 * * 1):2024-01-01",
            "cron(*/30 8-9 * * 1):2024-01-01",
            "offset(-2,-1)",
            "2024-02-05T08:00",
            ["2024-01-29T09:00", "2024-01-29T09:30"],
        ),
        ("static:a,b", "static:x,y", "static(a:x,b:x,b:y)", "x", ["a", "b"]),
        ("static:a,b", "static:x,y", "static(a:x,b:x,b:y)", "y", ["b"]),
        ("static:a,b", "static:b,c", None, "b", ["b"]),
        ("static:a,b", "static:b,c", None, "c", []),
        ("static:a,b", "static:b,c", "latest", "c", ["b"]),
        ("static:a,b,c", DAILY, "keys(a,c)", "2024-01-01", ["a", "c"]),
        ("static:a,b,c", DAILY, "all", "2024-01-01", ["a", "b", "c"]),
        (DATE_REGION, DATE_REGION, None, "2024-02-01|us", ["2024-02-01|us"]),
        (DATE_REGION, DATE_REGION, "offset(-1)", "2024-02-01|us", ["2024-01-31|us"]),
        (DATE_REGION, DATE_REGION, "region=all", "2024-02-01|us", ["2024-02-01|eu", "2024-02-01|us"]),
        (DATE_REGION, DATE_REGION, "date=latest,region=static(eu:us)", "2024-02-01|us", ["2024-04-14|eu"]),
        (DATE_REGION, DAILY, None, "2024-02-01", ["2024-02-01|eu", "2024-02-01|us"]),
        (DATE_REGION, MONTHLY, "date=window,region=keys(us)", "2024-02-01", ["2024-02-01|us", "2024-02-29|us", 29]),
        (DATE_REGION, "static:us,eu", None, "us", ["2024-01-01|us", "2024-04-14|us", 105]),
        (DAILY, DATE_REGION, None, "2024-02-01|us", ["2024-02-01"]),
        ("region=static:eu,us x date=hourly:2024-01-01T00", DATE_REGION, None, "2024-02-01|us", [
            "us|2024-02-01T00",
            "us|2024-02-01T23",
            24,
        ]),
        (DAILY, None, None, "", ["2024-01-01", "2024-04-14", 105]),
        (DAILY, None, "latest", "", ["2024-04-14"]),
        (None, DAILY, None, "2024-02-01", [""]),
        (None, DATE_REGION, None, "2024-02-01|us", [""]),
        (DATE_REGION, None, "date=latest", "", ["2024-04-14|eu", "2024-04-14|us"]),
    ],
)  # fmt: skip
def test_what_feeds_a_partition_and_back(up, down, rule, key, expected):
    found = made(up, down, rule)
    above = found.upstream_of(single(found.down, key), NOW)
    assert keys(above) == expected
    for text in list(above)[:3]:
        assert key in found.downstream_of(single(found.up, text), NOW)


SETS = [
    "hourly:2024-03-29T20..2024-04-02T05@Europe/Berlin",
    "hourly:2024-03-30T00..2024-04-02T00",
    "hourly:2024-04-05T00..2024-04-09T00@Australia/Lord_Howe",
    "daily:2024-03-28..2024-04-09@Europe/Berlin",
    "daily:2024-03-28..2024-04-09@America/New_York",
    "weekly:2024-03-25..2024-04-08",
    "cron(0 */6 * * *):2024-03-28..2024-04-09@Europe/Berlin",
    "cron(30 2,3 * * 0-5):2024-03-28..2024-04-09@Europe/Berlin",
]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (HOURLY, HOURLY + BERLIN),
        (HOURLY + NEW_YORK, HOURLY + BERLIN),
        (HOURLY + LORD_HOWE, HOURLY + BERLIN),
        (HOURLY + "@Asia/Kolkata", HOURLY + "@Asia/Tokyo"),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 7])
def test_hours_of_two_zones_map_together_as_they_do_alone(up, down, step):
    found = made(up, down, None)
    (chosen,) = everything(found.down, NOW).families.values()
    some = chosen[:2400:step]
    (together,) = found.upstream_of(PartitionSubset(found.down, {(): some}), NOW).families.values()
    alone = BitMap()
    for ordinal in some:
        alone = alone | found.parts[0].mapping.upstream(BitMap((ordinal,)))
        window = found.down.dimensions[0].grain
        hours = found.up.dimensions[0]
        first, last = hours.grain.at(window.start(ordinal)), hours.grain.at(window.end(ordinal) - 1)
        assert all(hour in together for hour in range(first, last + 1) if hours.contains(hour))
    assert together == alone


@cache
def windows(text):
    of = parse_partitions(text)
    return {key: tuple(end.timestamp() for end in of.window(key)) for key in everything(of, NOW)}


@pytest.mark.parametrize("up", SETS)
@pytest.mark.parametrize("down", SETS)
@settings(max_examples=6)
@given(data=st.data())
def test_windows_agree_with_a_model_that_compares_every_pair(up, down, data):
    found = made(up, down, None)
    ends_above, ends_below = windows(up), windows(down)
    above, below = list(ends_above), list(ends_below)

    def overlap(one, other):
        (a, b), (c, d) = ends_above[one], ends_below[other]
        return max(a, c) < min(b, d)

    def subset(of, texts):
        some = nothing(of)
        for text in texts:
            some |= single(of, text)
        return some

    chosen = data.draw(st.lists(st.sampled_from(below), max_size=8))
    expected = {one for one in above if any(overlap(one, other) for other in chosen)}
    assert set(found.upstream_of(subset(found.down, chosen), NOW)) == expected
    chosen = data.draw(st.lists(st.sampled_from(above), max_size=8))
    expected = {other for other in below if any(overlap(one, other) for one in chosen)}
    assert set(found.downstream_of(subset(found.up, chosen), NOW)) == expected


PRODUCTS = [
    None,
    "daily:2024-04-01",
    "static:a,b",
    "date=daily:2024-04-01 x r=static:a,b",
    "r=static:b,c x date=weekly:2024-03-25",
    "date=daily:2024-04-01 x s=static:p,q x r=static:a,b",
]


@pytest.mark.parametrize("up", PRODUCTS)
@pytest.mark.parametrize("down", PRODUCTS)
@pytest.mark.parametrize("rule", [None, "all", "date=offset(-1,0)", "date=latest,r=all", "r=static(a:b,b:b)"])
def test_mappings_of_many_partitions_are_those_of_each_together(up, down, rule):
    try:
        found = made(up, down, rule)
    except DeclarationError:
        return  # the table of refusals decides which
    pairs = {
        (above, below)
        for below in everything(found.down, NOW)
        for above in found.upstream_of(single(found.down, below), NOW)
    }
    together = everything(found.down, NOW)
    assert set(found.upstream_of(together, NOW)) == {above for above, _ in pairs}
    for above in everything(found.up, NOW):
        back = found.downstream_of(single(found.up, above), NOW) & together
        assert set(back) == {below for one, below in pairs if one == above}


@pytest.mark.parametrize(
    ("up", "down", "rule", "words"),
    [
        (DAILY, "static:a", None, r"different kinds.*--map up=all"),
        (DAILY, "static:a", "identity", "different kinds"),
        (DAILY, WEEKLY, "offset(-1)", r"same windows.*--map up=window"),
        (HOURLY, HOURLY + BERLIN, "identity", r"same windows.*--map up=window"),
        (DAILY, WEEKLY, "static(a:b)", "keys that are listed"),
        ("static:a", "static:b", None, r"no key in common.*static\(UP:DOWN"),
        ("static:a", "static:b", "window", "windows of time"),
        ("static:a", "static:b", "static(a:c)", "there is no partition 'c'"),
        ("static:a", "static:b", "keys(aa)", "there is no partition 'aa'"),
        (DATE_REGION, DATE_REGION, "dat=all", "did you mean 'date'"),
        (DAILY, DAILY, "date=all", "no dimension"),
        ("a=daily:2024-01-01 x b=daily:2024-01-01", DAILY, None, "more than one dimension"),
        ("a=daily:2024-01-01 x b=daily:2024-01-01", DAILY, "offset(-1)", r"which of a, b.*--map up=a=offset\(-1\)"),
        ("a=daily:2024-01-01 x b=static:x", "c=daily:2024-01-01 x d=static:y", None, "nothing in common"),
        (DATE_REGION, None, "date=offset(-1)", r"both sides.*--map up=date=all"),
        (None, DAILY, "window", "needs a dimension"),
    ],
)
def test_a_mapping_that_does_not_fit_says_which_would(up, down, rule, words):
    with pytest.raises(DeclarationError, match=words):
        made(up, down, rule)


@pytest.mark.parametrize(
    "text",
    [
        "identity",
        "all",
        "latest",
        "window",
        "offset(-1)",
        "offset(-6,0)",
        "keys(a,b)",
        'keys("a,b","New York")',
        "static(a:x,b:y)",
        'static("a:b":"(",b:y)',
        "date=window,region=all",
        "date=offset(-1),region=static(eu:us)",
    ],
)
def test_a_mapping_is_written_as_it_was_read(text):
    assert str(parse_mapping(text)) == text
    assert parse_map(f"orders={text}") == ("orders", parse_mapping(text))


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 0, "missing a part"),
        ("orders", 6, "missing a part"),
        ("orders=", 7, "a mapping is missing"),
        ("orders=windw", 7, "did you mean 'window'"),
        ("orders=foo", 7, "write one of"),
        ("orders=all(1)", 10, "no brackets"),
        ("orders=offset", 13, r"offset\(-1\)"),
        ("orders=offset(x)", 14, "whole number"),
        ("orders=offset(0,-6)", 14, r"offset\(-6,0\)"),
        ("orders=offset(1,2,3)", 18, "first and a last"),
        ("orders=keys(a,)", 14, "a key is missing"),
        ("orders=static(a)", 14, "UPSTREAM:DOWNSTREAM"),
        ("orders=date=window,all", 19, "NAME=RULE"),
        ("orders=date=window,date=all", 19, "twice"),
        ("orders=keys('a)", 12, "never closed"),
    ],
)
def test_a_mapping_that_is_none_is_refused_with_its_column(text, column, words):
    with pytest.raises(DeclarationError, match=words) as caught:
        parse_map(text)
    assert caught.value.column == column


def test_an_asset_without_partitions_is_one_partition():
    assert list(everything(WHOLE, NOW)) == [""]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("hourly:2023-01-01T00", "daily:2023-01-01"),
        ("hourly:2023-01-01T00@America/St_Johns", "hourly:2023-01-01T00@Europe/Berlin"),
        ("cron(*/7 * * * *):2023-01-01", "cron(5 */2 * * *):2023-01-01"),
    ],
)
def test_many_ranges_map_as_each_does_alone(up, down):
    source, target = (parse_partitions(text).dimensions[0].grain for text in (up, down))
    first = parse_partitions(up).dimensions[0].first
    few = BitMap(range(first, first + 3 * CHUNK, 97)) | BitMap(range(first + 5, first + 5 + CHUNK, 11))
    few |= BitMap(range(first + 8 * CHUNK, first + 8 * CHUNK + 20, 2))
    few |= BitMap(range(first + 4 * CHUNK, first + 5 * CHUNK))
    few &= source.existing(few.min(), few.max() + 1)
    assert len(few) > 400
    many = BitMap(few)
    alone = BitMap.union(BitMap(), *(overlapping(source, target, BitMap((one,))) for one in few))
    for _ in range(2):
        assert overlapping(source, target, many) == alone
    assert many == few


def test_ranges_map_at_once():
    found = made("hourly:1900-01-01T00", "daily:1900-01-01", None)
    whole = parse_range(found.down, "1900-01-01..2023-12-31", NOW)
    assert len(found.upstream_of(whole, NOW)) == len(whole) * 24


@pytest.mark.parametrize(
    ("up", "down", "rule", "single", "lenient"),
    [
        (None, None, None, True, False),
        (None, DAILY, None, True, False),
        (DAILY, None, None, False, True),
        (DAILY, None, "latest", True, False),
        (DAILY, None, "keys(2024-01-01)", True, False),
        (DAILY, DAILY, None, True, False),
        (DAILY, DAILY, "all", False, True),
        (DAILY, DAILY, "latest", True, False),
        (DAILY, DAILY, "offset(-1)", True, False),
        (DAILY, DAILY, "offset(-6,0)", False, False),
        (DAILY, DAILY, "keys(2024-01-01)", True, False),
        (DAILY, DAILY, "keys(2024-01-01,2024-01-02)", False, False),
        (DAILY, HOURLY, None, True, False),
        (HOURLY, DAILY, None, False, False),
        (MONTHLY, DAILY, None, True, False),
        (WEEKLY, DAILY, None, True, False),
        (DAILY, WEEKLY, None, False, False),
        (WEEKLY, MONTHLY, None, False, False),
        (MONTHLY, WEEKLY, None, False, False),
        (DAILY + BERLIN, HOURLY, None, False, False),
        (DAILY + BERLIN, DAILY, None, False, False),
        (DAILY + BERLIN, DAILY, "identity", True, False),
        (DAILY, "cron(0 6 * * *):2024-01-01", None, False, False),
        ("static:a,b", "static:a,b", None, True, False),
        ("static:a,b", "static:x,y", "static(a:x,b:y)", True, False),
        ("static:a,b", "static:x,y", "static(a:x,b:x)", False, False),
        ("static:a", None, None, False, True),
        (DATE_REGION, DATE_REGION, None, True, False),
        (DATE_REGION, DAILY, None, False, False),
        (DATE_REGION, DAILY, "region=keys(eu)", True, False),
        (DAILY, DATE_REGION, None, True, False),
        (DATE_REGION, None, None, False, True),
        (DATE_REGION, None, "date=latest,region=keys(eu)", True, False),
    ],
)
def test_whether_one_or_many_feed_follows_from_the_mapping_alone(up, down, rule, single, lenient):
    found = made(up, down, rule)
    assert (found.single, found.lenient) == (single, lenient)


def test_what_stands_for_the_data_of_an_upstream_changes_with_it():
    found = made(None, DAILY, None)
    outer, inner = found.down.position("2024-02-01")
    versions = [link_version(found, whole_facts(data), outer, inner, NOW) for data in (None, "one", "two", "one")]
    assert len(set(versions)) == 3
    assert versions[1] == versions[3]
    assert {len(version) for version in versions} == {16}


def test_one_partition_is_stood_for_by_its_own_data():
    found = made(DAILY, DAILY, None)
    outer, inner = found.down.position("2024-02-01")
    chunk = ChunkFacts().materialize(inner % CHUNK, version=number_of("one"), inputs=0, code=0)
    facts = PartitionFacts({(outer, inner // CHUNK): chunk})
    assert link_version(found, facts, outer, inner, NOW) == f"{number_of('one'):016x}"


def test_keys_of_a_registered_set_count_once_they_are_registered():
    registered = parse_partitions("dynamic:customers")
    for known, expected in (((), []), (("bo",), ["bo"]), (("bo", "ana"), ["ana", "bo"])):
        up = registered.with_registries({registry_name(registered.dimensions[0]): KeyRegistry().register(known)})
        found = link("up", up, parse_partitions(DAILY), parse_mapping("keys(ana,bo)"))
        day = single(found.down, "2024-02-01")
        assert sorted(found.upstream_of(day, NOW)) == expected
