from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nbpipe.io.sharing import is_shareable, share


def attributed(attrs: dict[str, Any]) -> pd.Series[int]:
    series = pd.Series([1])
    series.attrs = attrs
    return series


@pytest.mark.parametrize(
    ("value", "shareable"),
    [
        (1, True),
        ("x", True),
        (None, True),
        ((1, ("x", frozenset({2}))), True),
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), True),
        (np.float64(1), True),
        (pa.table({"a": [1]}), True),
        (pd.DataFrame({"a": [1], "b": ["x"]}), True),
        (pd.Series([1.5]), True),
        (pd.Series(["x"], dtype="category"), True),
        (attributed({"unit": "m"}), True),
        ([1], False),
        ((1, [2]), False),
        ({"a": 1}, False),
        (np.arange(3), False),
        (tuple(range(20_000)), False),
        (pd.DataFrame({"a": [[1]]}), False),
        (pd.Series(["x"], dtype=object), False),
        (pd.Series([1], index=pd.Index([(1, 2)], tupleize_cols=False)), False),
        (pd.Series([(1,)], dtype="category"), False),
        (attributed({"list": [1]}), False),
        (object(), False),
    ],
)
def test_only_what_nobody_can_change_is_shared(value: object, *, shareable: bool) -> None:
    assert is_shareable(value) is shareable


def test_changes_of_one_side_never_reach_the_other() -> None:
    held = pd.DataFrame(
        {
            "i": [1, 2],
            "n": pd.array([1, 2], dtype="Int64"),
            "s": ["x", "y"],
            "t": pd.date_range("2024", periods=2, tz="UTC"),
            "c": pd.Categorical(["x", "y"]),
        }
    )
    expected = held.copy(deep=True)
    shared = share(held)
    held.loc[0, "i"] = 9
    held["n"].array[0] = 9
    held["s"].array[0] = "z"
    held["t"].array[0] = held["t"].array[1]
    held["c"].array[0] = "y"
    held.index.name = "changed"
    held.columns.name = "changed"
    held["new"] = 1
    held.attrs["x"] = 1
    pd.testing.assert_frame_equal(shared, expected)
    assert shared.attrs == {}


def test_a_copy_of_plain_columns_takes_no_memory() -> None:
    held = pd.DataFrame({"i": np.arange(3)})
    assert np.shares_memory(share(held)["i"].to_numpy(), held["i"].to_numpy())


def test_other_values_are_handed_on_as_they_are() -> None:
    value = ("x", 1)
    assert share(value) is value
