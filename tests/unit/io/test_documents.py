from __future__ import annotations

import enum
import math
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.io.formats.catalogue import formats_for
from nbpipe.io.memory import MemoryIOManager
from nbpipe.io.targets import StoreTarget


class Colour(enum.IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


SHARED: list[int] = [1]
CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


def chosen(value: object) -> str:
    return MemoryIOManager().store(value, StoreTarget(env="e", asset="a", uid="1")).format


def back(value: object) -> Any:
    manager = MemoryIOManager()
    return manager.load(manager.store(value, StoreTarget(env="e", asset="a", uid="1")))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, "json"),
        (True, "json"),
        (2**200, "json"),
        (-0.0, "json"),
        (math.inf, "json"),
        ([], "json"),
        ({}, "json"),
        ({"b": 1, "a": [None, "é\n"]}, "json"),
        ("", "text"),
        ("a\r\nb\n", "text"),
        (b"", "bytes"),
        ((1, 2), "pickle"),
        ([(1, 2)], "pickle"),
        ({1: 2}, "pickle"),
        ({"a": {True: 1}}, "pickle"),
        ({1, 2}, "pickle"),
        (Colour.RED, "pickle"),
        ([Colour.RED], "pickle"),
        (Name("x"), "pickle"),
        ([Name("x")], "pickle"),
        (OrderedDict(a=1), "pickle"),
        (bytearray(b"x"), "pickle"),
        ("\ud800", "pickle"),
        (["\ud83d\ude00"], "pickle"),
        ([10**5000], "pickle"),
        ([SHARED, SHARED], "pickle"),
        (CIRCLE, "pickle"),
        (1j, "pickle"),
    ],
)
def test_only_what_comes_back_the_same_is_json_or_text(value: object, form: str) -> None:
    assert chosen(value) == form


def test_deep_nesting_is_no_trouble_for_the_check() -> None:
    value: list[Any] = []
    for _ in range(600):
        value = [value]
    assert chosen(value) == "json"


def test_two_places_of_one_list_stay_one_list() -> None:
    loaded = back([SHARED, SHARED])
    assert loaded[0] is loaded[1]


def test_the_order_of_keys_is_content() -> None:
    forms = [next(iter(formats_for(value))) for value in ({"a": 1, "b": 2},)]
    assert [form.name for form in forms] == ["json"]
    assert list(back({"b": 1, "a": 2})) == ["b", "a"]


def test_not_a_number_comes_back() -> None:
    loaded = back([math.nan, -0.0])
    assert math.isnan(loaded[0])
    assert math.copysign(1, loaded[1]) == -1


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=30,
)


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # types, order, -0.0


@given(_json)
def test_any_json_value_comes_back_the_same(value: Any) -> None:
    assert same(back(value), value)


@given(st.text(st.characters()))
def test_any_text_comes_back_the_same(value: str) -> None:
    assert back(value) == value


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()) | st.binary() | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text(max_size=3) | st.booleans(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_anything)
def test_any_plain_value_comes_back_the_same(value: Any) -> None:
    assert same(back(value), value)
