"""What every I/O manager does, wherever its files lie."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nbpipe.core.ports import IOManager
from nbpipe.core.records import StoredValue
from nbpipe.errors import MissingValueError, StoredValueError, UnstorableValueError
from nbpipe.io.files import FileIOManager
from nbpipe.io.memory import MemoryIOManager
from nbpipe.io.targets import StoreTarget

_UIDS = itertools.count()
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
EARLIER = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.fixture(params=["local", "fsspec", "uploads", "memory"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IOManager:
    if request.param == "memory":
        return MemoryIOManager("files", env="dev")
    if request.param == "uploads":  # as object stores, which may be used by threads
        monkeypatch.setattr(MemoryFileSystem, "async_impl", True)
    url = "values" if request.param == "local" else f"memory://{uuid.uuid4().hex}/values"
    return FileIOManager("files", url, env="dev", root=tmp_path)


def target(asset: str = "orders", partition: str = "", env: str = "dev") -> StoreTarget:
    return StoreTarget(env=env, asset=asset, partition=partition, uid=f"uid{next(_UIDS)}")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("line\r\n", "text"),
        (b"\x00\xff", "bytes"),
        ({"a": [1, 2.5, None]}, "json"),
        (None, "json"),
        ((1, 2), "pickle"),
        (np.float64(2.5), "npy-scalar"),
    ],
)
def test_a_value_comes_back_equal_and_of_its_type(manager: IOManager, value: object, form: str) -> None:
    stored = manager.store(value, target())
    loaded = manager.load(stored)
    assert (stored.format, stored.io, stored.size > 0) == (form, "files", True)
    assert loaded == value
    assert type(loaded) is type(value)


def test_values_of_a_group_are_there_once_it_is_flushed(manager: IOManager) -> None:
    values = ["x", b"y" * (9 << 20), {"a": 1}, *range(40)]
    group = manager.group()
    stored = [group.store(value, target(partition=str(number))) for number, value in enumerate(values)]
    assert group.size == sum(each.size for each in stored)
    group.flush()
    assert [manager.load(each) for each in stored] == values
    again = group.store("z", target())
    group.flush()
    assert manager.load(again) == "z"
    assert again.preview.kind == "none"  # nobody keeps the previews of many values


def test_a_value_that_can_not_be_stored_leaves_its_group_as_it_was(manager: IOManager) -> None:
    group = manager.group()
    stored = group.store("x", target())
    with pytest.raises(UnstorableValueError):
        group.store((n for n in ()), target())
    group.flush()
    assert manager.load(stored) == "x"


def test_a_table_comes_back_equal(manager: IOManager) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    stored = manager.store(frame, target())
    pd.testing.assert_frame_equal(manager.load(stored), frame)
    assert stored.metadata["rows"] == 2
    assert stored.preview.columns == ("a", "b")


def test_what_is_loaded_is_never_the_stored_object(manager: IOManager) -> None:
    value = [1]
    stored = manager.store(value, target())
    value.append(2)
    first = manager.load(stored)
    first.append(3)
    assert manager.load(stored) == [1]


def test_a_loaded_array_can_be_written_to(manager: IOManager) -> None:
    loaded = manager.load(manager.store(np.arange(3), target()))
    loaded[0] = 7
    assert loaded.tolist() == [7, 1, 2]


def test_each_store_writes_a_new_file(manager: IOManager) -> None:
    old, new = manager.store("old", target()), manager.store("new", target())
    assert old.path != new.path
    assert (manager.load(old), manager.load(new)) == ("old", "new")


def test_an_id_can_not_be_used_twice(manager: IOManager) -> None:
    where = target()
    stored = manager.store("old", where)
    if manager.local_path(stored).startswith("memory://"):
        return  # object stores have no exclusive creation; ids are unique
    with pytest.raises(StoredValueError, match="exists"):
        manager.store("new", where)


def test_equal_content_has_an_equal_data_version(manager: IOManager) -> None:
    versions = {manager.store([1, 2], target()).data_version for _ in range(2)}
    assert len(versions) == 1
    assert manager.store([2, 1], target()).data_version not in versions


@pytest.mark.parametrize("partition", ["", "_", "2024-01-01|eu", "a/b", "..", ".", "ü ñ", "x" * 1000, "%", "%2F"])
def test_any_partition_key_has_its_own_place(manager: IOManager, partition: str) -> None:
    others = [manager.store(key, target(partition=key)) for key in ("", "_", "a", "b", "x" * 999, "/")]
    stored = manager.store("mine", target(partition=partition))
    assert manager.load(stored) == "mine"
    assert stored.path not in {other.path for other in others}


def test_a_path_is_copied_and_the_copy_is_handed_out(manager: IOManager, tmp_path: Path) -> None:
    source = tmp_path / "report.csv"
    source.write_text("a,b\n")
    stored = manager.store(source, target())
    source.unlink()
    loaded = manager.load(stored)
    assert (stored.format, stored.opaque, stored.metadata["name"]) == ("file", False, "report.csv")
    assert isinstance(loaded, Path)
    assert (loaded.read_text(), loaded.suffix) == ("a,b\n", ".csv")
    assert not manager.shareable(source, stored)


def test_a_deleted_value_is_missing_and_can_be_deleted_again(manager: IOManager) -> None:
    stored = manager.store("gone", target("orders"))
    manager.delete(stored)
    manager.delete(stored)
    with pytest.raises(MissingValueError, match=r"asset 'orders'.*the file is gone.*materialize"):
        manager.load(stored)


def test_a_refused_value_leaves_no_file(manager: IOManager) -> None:
    with pytest.raises(UnstorableValueError, match=r"asset 'orders'.*generator.*list"):
        manager.store((each for each in [1]), target("orders"))
    assert manager.sweep(lambda _path: False, older_than=LATER) == 0


def test_sweeping_removes_what_no_record_names(manager: IOManager) -> None:
    kept, lost = manager.store("kept", target()), manager.store("lost", target())
    assert manager.sweep({kept.path}.__contains__, older_than=LATER) == lost.size
    assert manager.load(kept) == "kept"
    with pytest.raises(MissingValueError):
        manager.load(lost)
    assert manager.load(manager.store("next", target())) == "next"


def test_sweeping_leaves_what_is_fresh(manager: IOManager) -> None:
    fresh = manager.store("fresh", target())
    assert manager.sweep(lambda _path: False, older_than=EARLIER) == 0
    assert manager.load(fresh) == "fresh"


def test_sweeping_leaves_other_environments(manager: IOManager) -> None:
    other = manager.store("other", target(env="prod"))
    assert manager.sweep(lambda _path: False, older_than=LATER) == 0
    assert manager.load(other) == "other"


def test_the_place_of_a_file_can_be_told(manager: IOManager) -> None:
    stored = manager.store("x", target())
    assert manager.local_path(stored).endswith(stored.path)


def _resized(stored: StoredValue) -> StoredValue:
    return StoredValue(**{**{name: getattr(stored, name) for name in stored.__struct_fields__}, "size": 1})


@pytest.mark.parametrize("change", [_resized])
def test_a_file_of_another_size_is_not_read(manager: IOManager, change: Callable[[StoredValue], StoredValue]) -> None:
    stored = manager.store("four", target())
    with pytest.raises(MissingValueError, match="4 bytes, 1 were written"):
        manager.load(change(stored))


def test_a_path_outside_of_the_storage_is_refused(manager: IOManager) -> None:
    stored = manager.store("x", target())
    fields: dict[str, Any] = {name: getattr(stored, name) for name in stored.__struct_fields__}
    with pytest.raises(MissingValueError, match="outside"):
        manager.load(StoredValue(**{**fields, "path": "../secret.txt"}))


def test_a_missing_figure_companion_is_no_trouble(manager: IOManager) -> None:
    from matplotlib.figure import Figure

    stored = manager.store(Figure(), target())
    assert stored.preview.image.startswith(b"\x89PNG")
    assert type(manager.load(stored)) is Figure
    manager.delete(stored)
    assert manager.sweep(lambda _path: False, older_than=LATER) == 0


def test_the_memory_file_system_is_really_used() -> None:
    assert "memory" in fsspec.available_protocols()
