from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nbpipe.core.records import StoredValue
from nbpipe.io.memory import MemoryIOManager
from nbpipe.io.targets import StoreTarget


def round_trip(value: object) -> tuple[StoredValue, Any]:
    manager = MemoryIOManager()
    stored = manager.store(value, StoreTarget(env="e", asset="a", uid="1"))
    return stored, manager.load(stored)


ALIGNED = np.dtype([("a", "i1"), ("b", "f8")], align=True)
PADDED = np.dtype({"names": ["a", "b"], "formats": ["i1", "<f8"], "offsets": [0, 8], "itemsize": 16})


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (np.arange(3), "npy"),
        (np.array(3.5), "npy"),
        (np.zeros((0, 3)), "npy"),
        (np.asfortranarray(np.arange(6).reshape(2, 3)), "npy"),
        (np.arange(12).reshape(3, 4)[::2, ::-1], "npy"),
        (np.array([1, 2], dtype=">i4"), "npy"),
        (np.array(["a", "bcd"]), "npy"),
        (np.array([b"a", b""]), "npy"),
        (np.array(["2024-01-01", "NaT"], dtype="M8[D]"), "npy"),
        (np.array([1 + 2j]), "npy"),
        (np.array([True, False]), "npy"),
        (np.zeros(2, dtype=[("a", "i4"), ("b", "U3", (2,))]), "npy"),
        (np.zeros(2, dtype=PADDED), "npy"),
        (np.zeros(2, dtype=ALIGNED), "pickle"),
        (np.zeros(2, dtype=[("ü✓", "i4")]), "pickle"),
        (np.zeros(2, dtype=np.dtype("f8", metadata={"unit": "m"})), "pickle"),
        (np.array([1, "a"], dtype=object), "pickle"),
        (np.ma.array([1, 2], mask=[0, 1]), "pickle"),
        (np.array([(1,)], dtype=[("a", "i4")]).view(np.recarray), "pickle"),
        (np.float32(1.5), "npy-scalar"),
        (np.datetime64("2024-01-01"), "npy-scalar"),
        (np.bool_(True), "npy-scalar"),
        (np.str_("a"), "pickle"),
    ],
)
def test_arrays_come_back_with_dtype_shape_and_order(value: Any, form: str) -> None:
    stored, loaded = round_trip(value)
    assert stored.format == form
    assert (type(loaded), loaded.dtype, loaded.shape) == (type(value), value.dtype, value.shape)
    assert loaded.dtype.metadata == value.dtype.metadata
    np.testing.assert_array_equal(loaded, value)
    if loaded.ndim > 1:
        assert loaded.flags.f_contiguous >= value.flags.f_contiguous


def test_the_file_is_read_by_numpy_itself() -> None:
    manager = MemoryIOManager()
    value = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    stored = manager.store(value, StoreTarget(env="e", asset="a", uid="1"))
    loaded = np.load(io.BytesIO(manager._place.read(stored.path)))
    np.testing.assert_array_equal(loaded, value)


def test_the_data_version_is_of_the_content_alone() -> None:
    value = np.arange(6.0).reshape(2, 3)
    wide = np.zeros((2, 6))
    wide[:, ::2] = value
    versions = {round_trip(each)[0].data_version for each in (value, np.asfortranarray(value), wide[:, ::2])}
    assert len(versions) == 1
    others = [value.astype("f4"), value.T, value.reshape(3, 2), -value]
    assert not versions & {round_trip(each)[0].data_version for each in others}


def test_bytes_between_the_fields_of_records_do_not_count() -> None:
    noisy = np.full(32, 7, dtype="u1").view(PADDED)
    clean = np.zeros(2, dtype=PADDED)
    clean["a"], clean["b"] = noisy["a"], noisy["b"]
    assert round_trip(noisy)[0].data_version == round_trip(clean)[0].data_version


@given(
    hnp.arrays(
        st.one_of(
            hnp.scalar_dtypes(),
            hnp.array_dtypes(),
            st.sampled_from(["f2", ">f8", "<i2", "?", "U3", "S2", "O"]).map(np.dtype),
        ),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    )
)
def test_any_array_comes_back_the_same(value: Any) -> None:
    _, loaded = round_trip(value)
    assert (loaded.dtype, loaded.shape) == (value.dtype, value.shape)
    assert loaded.tobytes() == value.tobytes() or value.dtype.hasobject
