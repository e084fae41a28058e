from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import pytest
from PIL import Image

from nbpipe.core.records import StoredValue
from nbpipe.io.memory import MemoryIOManager
from nbpipe.io.targets import StoreTarget

MANAGER = MemoryIOManager()


def store(value: object, uid: str) -> StoredValue:
    return MANAGER.store(value, StoreTarget(env="e", asset="plot", uid=uid))


@pytest.fixture
def pyplot() -> Iterator[Any]:
    mpl.use("agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_storing_and_loading_leave_pyplot_as_it_is(pyplot: Any) -> None:
    figure, axes = pyplot.subplots(figsize=(12, 6))
    axes.plot([1, 2, 3])
    canvas, numbers = figure.canvas, pyplot.get_fignums()
    stored = store(figure, "1")
    loaded = MANAGER.load(stored)
    nested = MANAGER.load(store({"axes": axes}, "2"))
    assert (figure.canvas, pyplot.get_fignums(), pyplot.gcf()) == (canvas, numbers, figure)
    assert loaded.axes[0].lines[0].get_ydata().tolist() == [1, 2, 3]
    assert nested["axes"].lines[0].get_ydata().tolist() == [1, 2, 3]
    assert stored.metadata["width"] == 12.0


def test_the_preview_is_a_small_picture(pyplot: Any) -> None:
    stored = store(pyplot.figure(figsize=(12, 6)), "3")
    with Image.open(io.BytesIO(stored.preview.image)) as picture:
        assert picture.size == (480, 240)
    with Image.open(io.BytesIO(bytes(MANAGER._place.read(stored.path + ".png")))) as picture:
        assert picture.size == (1200, 600)


def test_a_figure_that_can_not_be_drawn_is_kept(pyplot: Any) -> None:
    figure = pyplot.figure()
    figure.text(0.5, 0.5, r"$\nosuchmacro$")
    stored = store(figure, "4")
    assert stored.preview.kind == "none"
    assert MANAGER.load(stored).texts[0].get_text() == r"$\nosuchmacro$"


def test_no_library_is_imported_before_one_of_its_values_is_met() -> None:
    code = (
        "import sys, nbpipe.io.registry, tempfile; from nbpipe.io.targets import StoreTarget;"
        "m = nbpipe.io.registry.open_io({}, storage='v', root=tempfile.mkdtemp(), env='e').manager(None);"
        "m.load(m.store({'a': [1]}, StoreTarget(env='e', asset='a', uid='1')));"
        "print([name for name in ('cloudpickle', 'fsspec', 'matplotlib', 'numpy', 'pandas', 'polars', 'pyarrow')"
        " if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"
