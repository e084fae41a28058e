from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import numpy as np
import pytest

from nbpipe.errors import ParameterError
from nbpipe.execution.parameters import check_representable


@pytest.mark.parametrize("value", [None, True, 3, -2.5, "text", "", [], [1, ["a", None]], {}, {"a": {"b": [1.5]}}])
def test_what_a_notebook_holds_exactly_is_accepted(value):
    check_representable({"x": value})


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        b"x",
        {1, 2},
        {1: "a"},
        {"a": (1,)},
        [[b"x"]],
        float("nan"),
        float("inf"),
        dt.date(2024, 1, 1),
        Path("x"),
        decimal.Decimal(1),
        np.int64(3),
        object(),
    ],
)
def test_what_it_cannot_hold_is_refused_by_name_and_type(value):
    with pytest.raises(ParameterError, match=f"parameter 'x' has a value of type {type(value).__name__}"):
        check_representable({"ok": 1, "x": value})
