from __future__ import annotations

import importlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbpipe.errors import MissingValueError, UnstorableValueError
from nbpipe.io.memory import MemoryIOManager
from nbpipe.io.targets import StoreTarget

TARGET = StoreTarget(env="e", asset="orders", uid="1")


class NeverBack:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return int, ("no number",)


class BadRepr:
    def __repr__(self) -> str:
        raise RuntimeError


def lazy_frame() -> object:
    import polars as pl

    return pl.LazyFrame({"a": [1]})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (each for each in [1]), "generator.*gone through only once.*list"),
        (lambda: sys, "module.*setup cell"),
        (threading.Lock, "lock.*setup cell"),
        (NeverBack, "can be written but not read back"),
        (lazy_frame, r"polars.LazyFrame.*plan.*\.collect\(\)"),
        (lambda: Path("no/such/file"), r"no file .*str\(path\)"),
        (lambda: Path(__file__).parent, "is a folder.*make_archive"),
    ],
)
def test_what_can_not_be_kept_is_refused_with_the_remedy(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UnstorableValueError, match=rf"(?s)asset 'orders'.*{message}"):
        MemoryIOManager().store(make(), TARGET)


@pytest.mark.parametrize("wrap", [lambda file: file, lambda file: {"log": file}], ids=["itself", "within"])
def test_an_open_file_is_refused_wherever_it_is(wrap: Callable[[object], object]) -> None:
    with Path(__file__).open() as file, pytest.raises(UnstorableValueError, match="open file"):
        MemoryIOManager().store(wrap(file), TARGET)


def test_a_connection_is_refused_with_the_remedy() -> None:
    connection = sqlite3.connect(":memory:")
    try:
        with pytest.raises(UnstorableValueError, match=r"Connection.*setup cell"):
            MemoryIOManager().store(connection, TARGET)
    finally:
        connection.close()


def test_a_broken_repr_does_not_lose_the_value() -> None:
    assert "BadRepr" in MemoryIOManager().store(BadRepr(), TARGET).preview.text


def test_a_pickle_is_marked_opaque() -> None:
    stored = MemoryIOManager().store((1, 2), TARGET)
    assert (stored.opaque, stored.type, stored.metadata["length"]) == (True, "tuple", 2)


def test_classes_of_a_notebook_are_read_by_another_process(tmp_path: Path) -> None:
    common = f"""
from pathlib import Path
import msgspec
from nbpipe.core.records import StoredValue
from nbpipe.io.files import FileIOManager
from nbpipe.io.targets import StoreTarget
manager = FileIOManager("files", "v", env="e", root=Path({str(tmp_path)!r}))
record = Path({str(tmp_path / "record")!r})
"""
    write = """
class Point:
    def __init__(self, x): self.x = x
    def double(self): return self.x * 2
stored = manager.store(Point(21), StoreTarget(env="e", asset="a", uid="1"))
record.write_bytes(msgspec.json.encode(stored))
"""
    read = "print(manager.load(msgspec.json.decode(record.read_bytes(), type=StoredValue)).double())"
    subprocess.run([sys.executable, "-c", common + write], check=True)
    found = subprocess.run([sys.executable, "-c", common + read], check=True, capture_output=True, text=True)
    assert found.stdout == "42\n"


def test_classes_of_the_running_notebook_are_left_alone() -> None:
    code = """
import enum
from nbpipe.io.memory import MemoryIOManager
from nbpipe.io.targets import StoreTarget
factor = 1
class Point:
    made = 0
    def scaled(self): return factor
class Colour(enum.Enum):
    RED = 1
    def scaled(self): return factor
methods = Point.scaled, Colour.scaled
manager = MemoryIOManager()
stored = manager.store([Point(), Colour.RED], StoreTarget(env="e", asset="a", uid="1"))
Point.made = factor = 2
loaded = manager.load(stored)
print(methods == (Point.scaled, Colour.scaled), Point.made, [each.scaled() for each in loaded])
print(type(loaded[0]) is Point, loaded[1] is Colour.RED)
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "True 2 [2, 2]\nTrue True\n"


def test_a_module_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "shop_of_the_test.py").write_text("class Order: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("shop_of_the_test")
    manager = MemoryIOManager()
    value: Any = module.Order()
    stored = manager.store(value, TARGET)
    monkeypatch.delitem(sys.modules, "shop_of_the_test")
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(tmp_path)])
    with pytest.raises(MissingValueError, match="needs the module 'shop_of_the_test'"):
        manager.load(stored)
