"""Sets of partitions and their text."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.core.partitions.ranges import parse_range
from nbpipe.core.partitions.registries import KeyRegistry
from nbpipe.core.partitions.sets import PartitionSet, dynamic, static
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.subsets import everything
from nbpipe.errors import DeclarationError, UnknownNameError

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "count", "latest"),
    [
        ("daily:2024-01-01", 60, "2024-02-29"),
        ("daily:2024-01-01..2024-01-31", 31, "2024-01-31"),
        ("daily:2024-03-01", 0, None),
        ("daily:2024-01-01@Pacific/Auckland", 61, "2024-03-01"),
        ("hourly:2024-03-01T00", 12, "2024-03-01T11"),
        ("weekly:2024-01-01", 8, "2024-02-19"),
        ("monthly:2024-01-01", 2, "2024-02-01"),
        ("cron(0 6 * * 1-5):2024-01-01", 44, "2024-02-29"),
        ("cron(*/30 * * * *):2024-02-29T23:30", 25, "2024-03-01T11:30"),
        ("cron(0 2,3 * * *):2024-01-01T02..2024-02-01T03", 64, "2024-02-01T03"),
        ("static:a,b,c", 3, "c"),
        ('static:"New York","a|b",größe,"a/b"', 4, "a/b"),
        ("date=daily:2024-01-01 x region=static:eu,us", 120, "2024-02-29|us"),
        ('region=static:"a|b",c x date=daily:2024-01-01', 120, "c|2024-02-29"),
        ("a=static:1,2 x b=static:1,2 x c=static:1,2", 8, "2|2|2"),
    ],
)
def test_a_set_reads_writes_counts_and_finds_its_latest(text, count, latest):
    found = parse_partitions(text)
    assert parse_partitions(str(found)) == found
    assert found.count(NOW) == count
    assert found.latest_complete(NOW) == latest
    if latest is not None:
        assert found.is_valid(latest)
        assert found.key(found.position(latest)) == latest


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("hourly:2024-01-01..2024-10-27@Europe/Berlin", "hourly:2024-01-01T00..2024-10-27T23@Europe/Berlin"),
        ("cron(0  6 * * 1-5):2024-01-06", "cron(0 6 * * 1-5):2024-01-08"),
        ("daily:2024-01-01@UTC", "daily:2024-01-01"),
        ("  date=daily:2024-01-01  x  r=static:'a b'", 'date=daily:2024-01-01 x r=static:"a b"'),
    ],
)
def test_other_ways_to_write_a_set_mean_the_same(text, canonical):
    assert str(parse_partitions(text)) == canonical


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 0, "missing"),
        ("dialy:2024-01-01", 0, "did you mean 'daily'"),
        ("foo", 0, "write one of"),
        ("daily", 5, "a start is missing"),
        ("daily:", 6, "a start is missing"),
        ("daily:2024-13-01", 6, "no such day"),
        ("daily(3):2024-01-01", 5, "no brackets"),
        ("weekly:2024-01-03", 7, "Mondays"),
        ("daily:2024-02-01..2024-01-01", 18, "comes before"),
        ("daily:2024-02-01..x", 18, "2024-01-31"),
        ("daily:2024-01-01..2024-01-02..2024-01-03", 30, "two parts"),
        ("daily:2024-01-01@Europe/Berln", 17, "Europe/Berlin"),
        ("daily:2024-01-01@UTC@UTC", 21, "one time zone"),
        ("hourly:2024-10-27T02@Europe/Berlin", 7, "comes twice"),
        ("cron:2024-01-01", 0, "in brackets"),
        ("cron(99 * * * *):2024-01-01", 5, "Bad minute"),
        ("cron(0 6 * * *):yesterday", 16, "2024-01-01"),
        ("static:", 7, "keys are missing"),
        ("static:a,,b", 9, "can't be empty"),
        ("static:a,b,a", 11, "twice"),
        ("static:New York", 10, "stands in quotes"),
        ("static:'eu", 7, "never closed"),
        ("dynamic:", 8, "name of the registered keys"),
        ("dynamic:a,b", 10, "one name"),
        ("daily:2024-01-01 x r=static:a", 0, "has a name"),
        ("d=daily:2024-01-01 x d=static:a", 21, "two dimensions"),
        ("d=daily:2024-01-01 x ", 21, "missing"),
        ("1d=daily:2024-01-01", 0, "can't name a dimension"),
    ],
)
def test_a_text_that_is_none_is_refused_with_its_column(text, column, words):
    with pytest.raises(DeclarationError, match=words) as caught:
        parse_partitions(text)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("daily:2024-01-01", "2023-12-31", "the first one is 2024-01-01"),
        ("daily:2024-01-01..2024-01-31", "2024-02-01", "the last one is 2024-01-31"),
        ("daily:2024-01-01", "2024-1-2", "2024-01-31"),
        ("static:europe,asia", "europa", "did you mean 'europe'"),
        ("static:europe,asia", "zzz", "keys are europe, asia"),
        ("dynamic:customers", "a", "has no keys yet"),
        ("date=daily:2024-01-01 x r=static:eu", "2024-01-01", r"its form is date\|r"),
        ("date=daily:2024-01-01 x r=static:eu", "2024-01-01|'eu'", r"written as 2024-01-01\|eu"),
    ],
)
def test_a_key_that_is_none_is_refused(text, key, words):
    found = parse_partitions(text)
    assert not found.is_valid(key)
    with pytest.raises(UnknownNameError, match=words):
        found.position(key)


def test_windows_are_aware_and_in_the_zone_of_the_set():
    found = parse_partitions("r=static:eu x date=daily:2024-01-01@Europe/Berlin")
    begin, end = found.window("eu|2024-03-31")
    assert (begin.isoformat(), end.isoformat()) == ("2024-03-31T00:00:00+01:00", "2024-04-01T00:00:00+02:00")
    assert found.window("eu|2024-03-31", "r") is None


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("daily:2024-01-01", "daily:2020-01-01..2030-01-01", "2024-02-01"),
        ("cron(0 6 * * 1-5):2024-01-01", "cron(0 6 * * 1-5):1999-01-01", "2024-02-01"),
        ("cron(*/7 * * * *):2024-01-01", "cron(*/7 * * * *):1999-01-01", "2024-02-01T00:14"),
        ("r=static:a,b x d=daily:2024-01-01", "r=static:a,b,c x d=daily:2023-01-01..2025-01-01", "b|2024-02-01"),
    ],
)
def test_a_longer_set_leaves_every_address_where_it_was(before, after, key):
    assert parse_partitions(before).address(key) == parse_partitions(after).address(key)


def test_an_inserted_static_key_comes_in_its_place_but_is_registered_last():
    known = KeyRegistry().register(("a", "c"))
    found = parse_partitions("static:a,b,c").with_registries({"": known})
    assert [found.position(key)[1] for key in "abc"] == [0, 2, 1]
    (part,) = found.dimensions
    assert [part.key(ordinal) for ordinal in part.ordered(part.members(NOW))] == ["a", "b", "c"]
    assert sorted(part.between("a", "b")) == [0, 2]


def test_a_removed_dynamic_key_gets_its_ordinal_back():
    registry = KeyRegistry().register(("x", "y")).remove(("x", "unknown"))
    assert "x" not in registry
    found = PartitionSet((dynamic("", "customers", registry),))
    assert not found.is_valid("x")
    assert found.count(NOW) == 1
    again = PartitionSet((dynamic("", "customers", registry.register(("z", "x"))),))
    assert [again.position(key)[1] for key in "xyz"] == [0, 1, 2]


def test_dynamic_keys_come_and_range_in_the_order_of_their_registration():
    registry = KeyRegistry().register(("z", "a", "m", "b")).remove(("a",))
    found = PartitionSet((dynamic("", "customers", registry),))
    assert list(everything(found, NOW)) == ["z", "m", "b"]
    assert list(parse_range(found, "z..m", NOW)) == ["z", "m"]
    assert found.latest_complete(NOW) == "b"
    with pytest.raises(DeclarationError, match="comes before"):
        parse_range(found, "m..z", NOW)


@pytest.mark.parametrize("key", ["", " a", "a ", "a\nb", "\t"])
def test_a_key_that_can_not_be_read_is_not_registered(key):
    with pytest.raises(DeclarationError):
        KeyRegistry().register((key,))


KEYS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" |,x\"'\\.()="), min_size=1
)


@given(st.lists(KEYS.filter(lambda key: key == key.strip()), min_size=1, unique=True, max_size=5), st.data())
def test_any_key_survives_being_written(keys, data):
    one = PartitionSet((static("", tuple(keys)),))
    assert parse_partitions(str(one)) == one
    both = PartitionSet((static("a", tuple(keys)), static("b", tuple(keys))))
    assert parse_partitions(str(both)) == both
    key = both.join((data.draw(st.sampled_from(keys)), data.draw(st.sampled_from(keys))))
    assert both.key(both.position(key)) == key
