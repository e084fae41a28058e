"""What a body may give for a batch of partitions."""

from collections import OrderedDict
from contextlib import nullcontext

import pytest

from nbpipe.errors import DefinitionError
from nbpipe.kernel.partitions.batches import pairs

KEYS = ("a", "b", "c")


def given(keys, value, **options):
    return list(pairs("x", keys, value, nullcontext, **options))


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        (KEYS, {"a": 1, "b": 2, "c": 3}, [("a", 1), ("b", 2), ("c", 3)]),
        (KEYS, OrderedDict(c=3, b=2, a=1), [("c", 3), ("b", 2), ("a", 1)]),
        (KEYS, iter({"a": 1, "b": None, "c": 3}.items()), [("a", 1), ("b", None), ("c", 3)]),
        (("a",), 7, [("a", 7)]),
        (("a",), None, [("a", None)]),
        (("a",), {"a": 7}, [("a", 7)]),
        (("a",), {"a": {"n": 7}}, [("a", {"n": 7})]),
        (("a",), [("a", 7)], [("a", [("a", 7)])]),
        (("a",), iter([("a", 7)]), [("a", 7)]),
        ((), {}, []),
    ],
)
def test_values_come_with_their_keys(keys, value, expected):
    assert given(keys, value) == expected


@pytest.mark.parametrize(
    ("keys", "value", "came", "words"),
    [
        (KEYS, {"a": 1, "d": 2}, ["a"], "gave a value for 'd', which is not among partition.keys"),
        (KEYS, {"a": 1, 2: 2}, ["a"], r"gave a value for 2, which is not among partition.keys \(a, b, c\)"),
        (KEYS, iter([("a", 1), ("a", 1)]), ["a"], "gave a second value for a"),
        (("a",), {}, [], "asset x gave no value for a"),
        (("a",), {"n": 7}, [], r"for 'n', which is not among partition.keys \(a\): a cell that reads them gives {key"),
        (("2024-01-02",), {"2024-01-03": 7}, [], "which is not among partition.keys: did you mean '2024-01-02'"),
        (("a",), {"a": 7, "b": 8}, ["a"], "for 'b', which is not among"),
        (KEYS, {"b": 1}, ["b"], "gave no value for a, c"),
        (tuple("abcdef"), {}, [], "gave no value for a, b, c and 3 more"),
        (KEYS, [1, 2, 3], [], "gave one list for 3 partitions: in a range run its value is a dict"),
        (KEYS, iter("abc"), [], "gave str for a batch: yield pairs of key and value"),
        (("abc",), iter(["abc"]), [], "gave str for a batch"),
    ],
)
def test_what_was_given_before_an_error_counts(keys, value, came, words):
    found = []

    def take():
        for key, _ in pairs("x", keys, value, nullcontext):
            found.append(key)

    with pytest.raises(DefinitionError, match=words):
        take()
    assert found == came


def test_excused_keys_need_no_value():
    assert given(KEYS, {"a": 1, "c": 2}, excused={"b": "holiday"}) == [("a", 1), ("c", 2)]
    assert given(("b",), {}, excused={"b": "holiday"}) == []
