from __future__ import annotations

import datetime as dt
import decimal
import itertools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbpipe.core.records import StoredValue
from nbpipe.io.formats.columns import read_parquet, write_parquet
from nbpipe.io.formats.pandas_identity import same_frame
from nbpipe.io.memory import MemoryIOManager
from nbpipe.io.targets import StoreTarget

UTC = dt.UTC


def round_trip(value: object) -> tuple[StoredValue, Any]:
    manager = MemoryIOManager()
    stored = manager.store(value, StoreTarget(env="e", asset="a", uid="1"))
    return stored, manager.load(stored)


def version(value: object) -> str:
    return round_trip(value)[0].data_version


def column(values: object, **options: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": pd.Series(values, **options)})


def with_attrs(attrs: dict[Any, Any]) -> pd.DataFrame:
    frame = column([1])
    frame.attrs = attrs
    return frame


class Special(pd.DataFrame):
    @property
    def _constructor(self) -> type[Special]:
        return Special


DAYS = pd.date_range("2024-01-01", periods=3, freq="D")
MULTI = pd.MultiIndex.from_product([["b", "a"], DAYS[:2]], names=["k", None])
UTC_MULTI = pd.MultiIndex.from_product([["x"], pd.date_range("2024", periods=2, tz="UTC")])

FRAMES: dict[str, tuple[Any, str]] = {
    "integers": (column([1, 2]), "parquet"),
    "small integers": (column([1, 2], dtype="uint8"), "parquet"),
    "floats": (column([1.5, np.nan, -0.0, np.inf]), "parquet"),
    "half floats": (column([1.5], dtype="float16"), "parquet"),
    "booleans": (column([True, False]), "parquet"),
    "text": (column(["x", None]), "parquet"),
    "text as objects": (column(["x", None], dtype=object), "parquet"),
    "text as objects with NaN": (column(["x", np.nan], dtype=object), "parquet"),
    "text with None and NaN": (column(["x", None, np.nan], dtype=object), "pickle"),
    "Python strings": (column(["x", None], dtype="string[python]"), "parquet"),
    "Arrow strings": (column(["x", None], dtype="string[pyarrow]"), "parquet"),
    "bytes": (column([b"x", None], dtype=object), "parquet"),
    "nullable integers": (column([1, None], dtype="Int64"), "parquet"),
    "nullable booleans": (column([True, None], dtype="boolean"), "parquet"),
    "nullable floats": (column([1.5, None], dtype="Float32"), "parquet"),
    "Arrow integers": (column([1, None], dtype="int64[pyarrow]"), "parquet"),
    "categories": (column(["x", "y"], dtype=pd.CategoricalDtype(["z", "y", "x"], ordered=True)), "parquet"),
    "integer categories": (column([1, 2], dtype=pd.CategoricalDtype([3, 2, 1])), "parquet"),
    "categories with gaps": (column(["x", None], dtype="category"), "parquet"),
    "days": (column(DAYS), "parquet"),
    "seconds": (column(np.array([1, 2], dtype="M8[s]")), "parquet"),
    "nanoseconds": (column(np.array([1, 2], dtype="M8[ns]")), "parquet"),
    "UTC": (column(pd.date_range("2024", periods=2, tz="UTC")), "parquet"),
    "time zone": (column(pd.date_range("2024", periods=2, tz="Europe/Berlin")), "parquet"),
    "durations": (column(np.array([1, 2], dtype="m8[ns]")), "parquet"),
    "durations in seconds": (column(np.array([1, 2], dtype="m8[s]")), "parquet"),
    "periods": (column(pd.period_range("2024", periods=2, freq="M")), "parquet"),
    "intervals": (column(pd.interval_range(0, 2)), "parquet"),
    "sparse": (column(pd.arrays.SparseArray([0, 0, 1])), "pickle"),
    "lists": (column([[1, 2], [3]]), "parquet"),
    "lists with gaps": (column([[1, None], None]), "parquet"),
    "arrays": (column([np.array([1, 2]), np.array([3])]), "parquet"),
    "dicts": (column([{"x": 1}, {"x": 2}]), "parquet"),
    "dicts of different keys": (column([{"x": 1}, {"y": 2}]), "pickle"),
    "tuples": (column([(1, 2), (3, 4)]), "pickle"),
    "dates": (column([dt.date(2024, 1, 1), None]), "parquet"),
    "decimals": (column([decimal.Decimal("1.20"), decimal.Decimal("2.00")]), "parquet"),
    "decimals of different scale": (column([decimal.Decimal("1.20"), decimal.Decimal(2)]), "pickle"),
    "truth with gaps": (column([True, None]), "parquet"),
    "mixed": (column([1, "x", None]), "pickle"),
    "integers as objects": (column([1, 2], dtype=object), "parquet"),
    "numbers of two kinds as objects": (column([1, 2.5], dtype=object), "pickle"),
    "surrogates": (column(["\ud800"], dtype=object), "pickle"),
    "empty": (pd.DataFrame(), "parquet"),
    "no rows": (column([], dtype="int64"), "parquet"),
    "no columns": (pd.DataFrame(index=[1, 2]), "parquet"),
    "integer names": (pd.DataFrame({5: [1], 7: [2]}), "parquet"),
    "range of names": (pd.DataFrame(np.zeros((2, 2))), "parquet"),
    "mixed names": (pd.DataFrame([[1, 2]], columns=["a", 1]), "pickle"),
    "dates as names": (pd.DataFrame([[1, 2, 3]], columns=DAYS), "pickle"),
    "duplicate names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "pickle"),
    "named columns": (pd.DataFrame([[1]], columns=pd.Index(["a"], name="q")), "parquet"),
    "levels of names": (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_product([["a"], ["x", "y"]])), "parquet"),
    "range index": (pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(3, 9, 3, name="q")), "parquet"),
    "integer index": (pd.DataFrame({"a": [1, 2]}, index=[5, 3]), "parquet"),
    "text index": (pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="k")), "parquet"),
    "index named like a column": (pd.DataFrame({"a": [1]}, index=pd.Index([9], name="a")), "parquet"),
    "index with a frequency": (pd.DataFrame({"a": [1, 2, 3]}, index=DAYS), "parquet"),
    "index in UTC": (pd.DataFrame({"a": [1]}, index=pd.date_range("2024", periods=1, tz="UTC")), "parquet"),
    "index of periods": (pd.DataFrame({"a": [1]}, index=pd.period_range("2024", periods=1, freq="Q")), "parquet"),
    "index of categories": (
        pd.DataFrame({"a": [1]}, index=pd.CategoricalIndex(["x"], categories=["y", "x"])),
        "parquet",
    ),
    "levels": (pd.DataFrame({"a": range(4)}, index=MULTI), "parquet"),
    "levels in UTC": (pd.DataFrame({"a": range(2)}, index=UTC_MULTI), "parquet"),
    "levels that are not all used": (pd.DataFrame({"a": range(4)}, index=MULTI).iloc[:2], "parquet"),
    "attributes": (with_attrs({"source": "x", "rows": [1]}), "parquet"),
    "attributes that are no JSON": (with_attrs({"when": dt.date(2024, 1, 1)}), "pickle"),
    "no duplicate labels allowed": (column([1]).set_flags(allows_duplicate_labels=False), "pickle"),
    "a subclass": (Special({"a": [1]}), "pickle"),
    "a series": (pd.Series([1.5, 2], name="x"), "parquet"),
    "a series without a name": (pd.Series(["x"]), "parquet"),
    "a series with a number as its name": (pd.Series([1], name=3), "parquet"),
    "a series with a tuple as its name": (pd.Series([1], name=(1, 2)), "pickle"),
    "a series of objects": (pd.Series(["x", None], dtype=object, index=DAYS[:2]), "parquet"),
}


@pytest.mark.parametrize(("value", "form"), FRAMES.values(), ids=FRAMES)
def test_pandas_objects_come_back_exactly(value: Any, form: str) -> None:
    stored, loaded = round_trip(value)
    assert type(loaded) is type(value)
    as_frames = [each.to_frame("v") if each.ndim == 1 else each for each in (value, loaded)]
    assert same_frame(*as_frames) is None
    assert (loaded.attrs, loaded.flags.allows_duplicate_labels) == (value.attrs, value.flags.allows_duplicate_labels)
    if value.ndim == 1:
        assert (type(loaded.name), loaded.name) == (type(value.name), value.name)
    assert stored.format == form
    assert stored.opaque == (form == "pickle")
    assert stored.metadata["rows"] == len(value)
    assert stored.preview.kind == "table"


def test_all_these_tables_have_different_data_versions() -> None:
    versions = {name: version(value) for name, (value, _) in FRAMES.items()}
    by_version = itertools.groupby(sorted(versions, key=versions.__getitem__), key=versions.__getitem__)
    assert [names for _, group in by_version if len(names := list(group)) > 1] == []


@pytest.mark.parametrize("rows", [250_000])
def test_big_tables_come_back_exactly(rows: int) -> None:
    frame = pd.DataFrame(
        {"i": np.arange(rows), "f": np.arange(rows) / 3, "s": ["x", None] * (rows // 2), "b": [True] * rows},
        index=np.arange(rows) * 2,
    )
    for value in (frame, frame.astype({"s": object}), frame.set_index("s"), frame["f"]):
        stored, loaded = round_trip(value)
        as_frames = [each.to_frame("v") if each.ndim == 1 else each for each in (value, loaded)]
        assert same_frame(*as_frames) is None
        assert stored.format == "parquet"


def test_the_file_is_read_by_pandas_itself() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index([3, 4], name="k"))
    manager = MemoryIOManager()
    stored = manager.store(frame, StoreTarget(env="e", asset="a", uid="1"))
    path = manager._place.local_copy(stored.path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame)


def test_the_original_is_not_touched() -> None:
    frame = pd.DataFrame({"a": [1]}, index=DAYS[:1])
    frame.attrs = {"x": 1}
    copy = frame.copy()
    round_trip(frame)
    pd.testing.assert_frame_equal(frame, copy)
    assert frame.attrs == {"x": 1}


ARROW: dict[str, tuple[Any, str]] = {
    "plain": (pa.table({"a": [1, None], "s": ["x", None]}), "parquet"),
    "nested": (pa.table({"l": [[1, None], None], "s": [{"x": 1}, None]}), "parquet"),
    "dictionaries": (pa.table({"d": pa.array(["x", "y", None]).dictionary_encode()}), "parquet"),
    "views": (pa.table({"v": pa.array(["x", None], getattr(pa, "string_view", pa.large_string)())}), "parquet"),
    "fixed sizes": (pa.table({"b": pa.array([b"ab", None], pa.binary(2))}), "parquet"),
    "metadata": (pa.table({"a": [1]}).replace_schema_metadata({"k": "v"}), "parquet"),
    "duplicate names": (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), "parquet"),
    "chunks": (pa.table({"a": pa.chunked_array([[1], [2, None]])}), "parquet"),
    "nothing": (pa.table({}), "parquet"),
    "decimals": (pa.table({"a": pa.array([decimal.Decimal("1.2"), None])}), "parquet"),
    "unions": (
        pa.table(
            {"u": pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])}
        ),
        "pickle",
    ),
}


@pytest.mark.parametrize(("value", "form"), ARROW.values(), ids=ARROW)
def test_arrow_tables_come_back_exactly(value: Any, form: str) -> None:
    stored, loaded = round_trip(value)
    assert loaded.schema.equals(value.schema, check_metadata=True)
    assert loaded.equals(value)
    assert stored.format == form


def test_chunks_slices_and_what_lies_under_nulls_are_not_content() -> None:
    whole = pa.table({"a": [1, None, 3], "s": ["x", None, "z"], "l": [[1], None, [2, 3]], "b": [True, None, False]})
    cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    noisy = pa.Array.from_buffers(
        pa.int64(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([1, 99, 3]).tobytes())], null_count=1
    )
    assert version(cut) == version(whole)
    assert version(whole.set_column(0, "a", noisy)) == version(whole)
    assert version(pa.concat_tables([whole, whole]).slice(3)) == version(whole)
    assert version(whole.slice(0, 2)) != version(whole)


POLARS: dict[str, tuple[Any, str]] = {
    "plain": (pl.DataFrame({"a": [1, None], "s": ["x", None], "f": [float("nan"), -0.0]}), "parquet"),
    "nested": (pl.DataFrame({"l": [[1, None], None], "d": [{"x": 1}, {"x": None}]}), "parquet"),
    "times": (
        pl.DataFrame(
            {
                "t": [dt.datetime(2024, 1, 1, tzinfo=UTC), None],
                "d": [dt.date(2024, 1, 1), None],
                "z": [dt.timedelta(1), None],
            }
        ),
        "parquet",
    ),
    "categories": (pl.DataFrame({"e": pl.Series(["x", None], dtype=pl.Enum(["y", "x"]))}), "parquet"),
    "a series": (pl.Series("q", [1.5, None]), "parquet"),
    "nothing": (pl.DataFrame(), "parquet"),
}


@pytest.mark.parametrize(("value", "form"), POLARS.values(), ids=POLARS)
def test_polars_objects_come_back_exactly(value: Any, form: str) -> None:
    stored, loaded = round_trip(value)
    assert type(loaded) is type(value)
    assert loaded.equals(value, null_equal=True)
    assert (
        (loaded.schema == value.schema)
        if isinstance(value, pl.DataFrame)
        else (loaded.dtype, loaded.name)
        == (
            value.dtype,
            value.name,
        )
    )
    assert stored.format == form


def test_a_preview_is_small_and_shows_an_index_that_says_something() -> None:
    frame = pd.DataFrame({f"c{i}": range(50) for i in range(30)}, index=pd.Index(range(100, 150), name="key"))
    preview = round_trip(frame)[0].preview
    assert (len(preview.rows), len(preview.columns)) == (10, 21)
    assert (preview.columns[0], preview.rows[0][0], preview.dtypes[0]) == ("key", "100", "int64")


def test_cells_of_a_preview_are_short_plain_text() -> None:
    frame = pd.DataFrame(
        {"a": ["x" * 10_000, "<b>\ud800"], "b": [list(range(10_000)), pd.Timestamp("2024-01-01")]}, dtype=object
    )
    preview = round_trip(frame)[0].preview
    assert all(len(cell) <= 120 for row in preview.rows for cell in row)
    assert preview.rows[1] == ("<b>\\ud800", "2024-01-01 00:00:00")


def test_data_versions_are_equal_in_every_process() -> None:
    code = (
        "import pandas as pd; from nbpipe.io.memory import MemoryIOManager; from nbpipe.io.targets import StoreTarget;"
        "f = pd.DataFrame({'a': pd.Categorical(['x', 'y']), 'b': [1.5, None], 'c': [[1], [2]]}, index=['p', 'q']);"
        "print(MemoryIOManager().store(f, StoreTarget(env='e', asset='a', uid='1')).data_version)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_frame_comes_back_the_same(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.text(max_size=3), unique=True, max_size=4))
    values = {
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(),
        bool: st.booleans(),
        "M8[ns]": st.integers(-(2**62), 2**62).map(pd.Timestamp),
        object: st.none() | st.text(max_size=3) | st.integers() | st.lists(st.integers(0, 3), max_size=2),
        "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        "Int64": st.none() | st.integers(-5, 5),
        "category": st.sampled_from("abc"),
    }
    rows = data.draw(st.integers(0, 4))
    frame = pd.DataFrame(index=data.draw(st.sampled_from([pd.RangeIndex(rows), DAYS.repeat(2)[:rows]])))
    for name in names:
        kind = data.draw(st.sampled_from(list(values)))
        cells = data.draw(st.lists(values[kind], min_size=rows, max_size=rows))
        frame[name] = pd.Series(cells, index=frame.index, dtype=kind)
    stored, loaded = round_trip(frame)
    assert same_frame(frame, loaded) is None
    again, _ = round_trip(frame.copy())
    assert stored.opaque or again.data_version == stored.data_version


def test_parquet_keeps_the_names_of_nested_parts() -> None:
    table = pa.table({"l": pa.array([[1]], pa.list_(pa.field("part", pa.int64())))})
    assert read_parquet(write_parquet(table)).schema == table.schema
