"""The current partition of a notebook, seen from each of its sets."""

from datetime import UTC, datetime

import pytest

from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.errors import UnknownNameError
from nbpipe.kernel.partitions.choice import Choices

NOW = datetime(2024, 4, 15, 12, 30, tzinfo=UTC)
DAILY, BERLIN = "daily:2024-01-01", "hourly:2024-01-01T00@Europe/Berlin"
BOTH = "date=daily:2024-01-01 x region=static:eu,us"
SPECS = (DAILY, BERLIN, "weekly:2024-01-01", "monthly:2024-01-01", BOTH, "static:eu,us", "region=static:us,eu")
SETS = tuple(map(parse_partitions, SPECS))


@pytest.mark.parametrize(
    ("chosen", "spec", "expected"),
    [
        ((), DAILY, "2024-04-14"),
        ((), BOTH, "2024-04-14|us"),
        ((), "static:a,b", "b"),
        ((), "dynamic:none", None),
        ((), "daily:2030-01-01", None),
        (("2024-02-06",), DAILY, "2024-02-06"),
        (("2024-02-06",), BERLIN, "2024-02-06T01"),
        (("2024-02-06",), "weekly:2024-01-01", "2024-02-05"),
        (("2024-02-06",), "monthly:2024-01-01", "2024-02-01"),
        (("2024-02-06",), BOTH, "2024-02-06|us"),
        (("2024-02-06",), "static:eu,us", "us"),
        (("2024-02-06",), "monthly:2024-03-01", "2024-03-01"),
        (("2024-02-06", "eu"), BOTH, "2024-02-06|eu"),
        (("2024-02-06", "eu"), DAILY, "2024-02-06"),
        (("2024-02-06|eu",), "static:eu,us", "us"),
        (("2024-02-06|eu",), "region=static:us,eu", "eu"),
        (("2024-02-06|eu",), "monthly:2024-01-01", "2024-02-01"),
        (("2024-02-06", "2024-03-01T05"), DAILY, "2024-03-01"),
        (("2024-03-01T05", "2024-02-06"), BERLIN, "2024-02-06T01"),
        (("2030-01-01",), DAILY, "2030-01-01"),
    ],
)
def test_the_newest_choice_that_says_something_counts(chosen, spec, expected):
    choices = Choices()
    for key in chosen:
        choices = choices.with_key(SETS, key)
    assert choices.key(parse_partitions(spec), NOW) == expected


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("ue", "a day is written as 2024-01-31; .*keys are eu, us"),
        ("eu2", "did you mean 'eu'"),
        ("2023-01-01", "the first one is 2024-01-01"),
    ],
)
def test_a_key_of_no_set_is_refused(key, words):
    with pytest.raises(UnknownNameError, match=words):
        Choices().with_key(SETS, key)


def test_one_dimension_can_be_moved():
    of = parse_partitions(BOTH)
    choices = Choices().with_part(of, 1, "eu", NOW)
    assert choices.key(of, NOW) == "2024-04-14|eu"
    choices = choices.with_part(of, 0, "2024-02-06", NOW)
    assert choices.key(of, NOW) == "2024-02-06|eu"
    assert choices.key(parse_partitions(DAILY), NOW) == "2024-02-06"
    with pytest.raises(UnknownNameError):
        choices.with_part(of, 1, "uk", NOW)
