"""Some partitions of a set, and their text."""

from datetime import UTC, datetime
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from nbpipe.core.partitions.ranges import parse_range
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.subsets import (
    PartitionSubset,
    buckets,
    everything,
    families_from_bytes,
    families_to_bytes,
    nothing,
    runs,
)
from nbpipe.errors import DeclarationError, StateError

NOW = datetime(2024, 1, 11, tzinfo=UTC)
DAYS = parse_partitions("daily:2024-01-01")
BOTH = parse_partitions("date=daily:2024-01-01 x region=static:eu,us,asia")
THREE = parse_partitions("a=static:1,2 x date=daily:2024-01-08 x b=static:x,y")


@pytest.mark.parametrize(
    ("of", "text", "keys"),
    [
        (DAYS, "2024-01-02", ["2024-01-02"]),
        (DAYS, "2024-01-02..2024-01-03", ["2024-01-02", "2024-01-03"]),
        (DAYS, "2024-01-20..2024-01-20", ["2024-01-20"]),
        (BOTH, "2024-01-02|us", ["2024-01-02|us"]),
        (
            BOTH,
            "2024-01-02|us..2024-01-03|asia",
            ["2024-01-02|us", "2024-01-02|asia", "2024-01-03|us", "2024-01-03|asia"],
        ),
        (BOTH, "2024-01-02..2024-01-03|eu", ["2024-01-02|eu", "2024-01-03|eu"]),
        (BOTH, "2024-01-02|*", ["2024-01-02|eu", "2024-01-02|us", "2024-01-02|asia"]),
        (THREE, "1..2|2024-01-08|y", ["1|2024-01-08|y", "2|2024-01-08|y"]),
        (parse_partitions("static:a..b,'c|d',e"), "a..b", ["a..b"]),
        (parse_partitions("static:a..b,'c|d',e"), "'a..b'..'c|d'", ["a..b", "c|d"]),
        (DAYS, "2024-01-05, 2024-01-01..2024-01-02,2024-01-02", ["2024-01-01", "2024-01-02", "2024-01-05"]),
        (BOTH, "2024-01-02|us,2024-01-01..2024-01-02|eu", ["2024-01-01|eu", "2024-01-02|eu", "2024-01-02|us"]),
        (parse_partitions("static:'a,b',a,'c d',b"), "a,b", ["a,b"]),
        (parse_partitions("static:'a,b',a,'c d',b"), "c d, a, b", ["a", "c d", "b"]),
    ],
)
def test_ranges_include_both_ends(of, text, keys):
    assert list(parse_range(of, text, NOW)) == keys


@pytest.mark.parametrize(
    ("of", "text", "column", "words"),
    [
        (DAYS, "2024-01-03..2024-01-02", 0, "comes before.*write 2024-01-02..2024-01-03"),
        (DAYS, "2024-01-03..2024-02-31", 12, "no such day"),
        (DAYS, "2024-01-03..", 12, "a key is missing"),
        (DAYS, "2023-01-03..2024-01-01", 0, "the first one is 2024-01-01"),
        (DAYS, "2024-01-01..2024-01-02..2024-01-03", 24, "two ends"),
        (DAYS, "", 0, "missing"),
        (DAYS, "2024-01-01, 2024-01-0x", 12, "no partition '2024-01-0x'"),
        (DAYS, "2024-01-01,", 11, "missing at this comma"),
        (BOTH, "2024-01-02", 0, r"date\|region"),
        (BOTH, "2024-01-02|e..2024-01-03|eu", 11, "did you mean|keys are"),
        (parse_partitions("dynamic:customers"), "a..b", 0, "no keys yet"),
    ],
)
def test_a_range_that_is_none_is_refused_with_its_column(of, text, column, words):
    with pytest.raises(DeclarationError, match=words) as caught:
        parse_range(of, text, NOW)
    assert caught.value.column == column


@pytest.mark.parametrize("of", [DAYS, BOTH, THREE, parse_partitions("b=static:q,p x a=static:y,x")])
def test_keys_come_in_the_order_of_dimensions(of):
    keys = list(everything(of, NOW))
    assert len(keys) == len(set(keys)) == of.count(NOW) == len(everything(of, NOW))
    if of is THREE:
        assert keys[:5] == ["1|2024-01-08|x", "1|2024-01-08|y", "1|2024-01-09|x", "1|2024-01-09|y", "1|2024-01-10|x"]
    if of.dimensions[0].name == "b":
        assert keys == ["q|y", "q|x", "p|y", "p|x"]


def test_keys_are_made_one_at_a_time():
    huge = parse_partitions("a=hourly:1700-01-01T00 x b=static:x,y")
    assert list(islice(everything(huge, NOW), 2)) == ["1700-01-01T00|x", "1700-01-01T00|y"]


def some(of):
    return st.lists(st.sampled_from(list(everything(of, NOW))), max_size=12)


@pytest.mark.parametrize("of", [DAYS, BOTH, THREE])
@given(data=st.data())
def test_algebra_is_that_of_sets(of, data):
    left, right = data.draw(some(of)), data.draw(some(of))

    def subset(keys):
        found = nothing(of)
        for key in keys:
            found |= parse_range(of, key, NOW)
        return found

    a, b = subset(left), subset(right)
    assert set(a | b) == set(left) | set(right)
    assert set(a & b) == set(left) & set(right)
    assert set(a - b) == set(left) - set(right)
    assert families_from_bytes(families_to_bytes(a.families)) == a.families
    assert bool(a) == bool(left)
    assert all(key in a for key in left)


@pytest.mark.parametrize("data", [b"", b"x", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_damaged_data_is_an_error(data):
    with pytest.raises(StateError, match="damaged"):
        families_from_bytes(data)


@given(st.sets(st.integers(0, 200)))
def test_runs_are_the_ranges(numbers):
    found = list(runs(BitMap(numbers)))
    assert {number for low, high in found for number in range(low, high)} == numbers
    assert all(high < low for (_, high), (low, _) in pairwise(found))


@given(st.sets(st.integers(0, 300), min_size=1), st.integers(1, 50), st.data())
def test_slices_cover_the_set_and_count_its_parts(numbers, width, data):
    part = data.draw(st.sets(st.sampled_from(sorted(numbers))))
    found = buckets(BitMap(numbers), {"part": BitMap(part)}, width)
    assert len(found) == min(width, len(numbers))
    assert sum(counts["part"] for _, _, counts in found) == len(part)
    assert (found[0][0], found[-1][1]) == (min(numbers), max(numbers))
    sizes = [sum(low <= number <= high for number in numbers) for low, high, _ in found]
    assert sum(sizes) == len(numbers)
    assert max(sizes) - min(sizes) <= 1


def test_a_subset_takes_little_room():
    of = parse_partitions("hourly:1900-01-01T00")
    whole = everything(of, NOW)
    assert len(whole) > 1_000_000
    assert len(families_to_bytes(whole.families)) < 500
    assert isinstance(whole, PartitionSubset)
