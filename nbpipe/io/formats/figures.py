"""matplotlib figures: the pickled object, and a picture of it beside it for people."""

from __future__ import annotations

import io
import sys
from typing import Any

from nbpipe.core.records import Preview
from nbpipe.io.formats.format import Encoded, Inexact
from nbpipe.io.formats.pickles import PickleFormat

_WIDTH, _HEIGHT = 480, 360
"""Pixels of a preview, at most."""


class FigureFormat(PickleFormat):
    """A `matplotlib.figure.Figure`. Drawing it leaves pyplot and the figure's canvas as they are."""

    name = "figure"

    def accepts(self, value: object) -> bool:
        """Take figures, also of subclasses: they are pickled as they are."""
        module = sys.modules.get("matplotlib.figure")
        return module is not None and isinstance(value, module.Figure)

    def encode(self, value: Any) -> Encoded | Inexact:
        """Pickle, then draw."""
        pickled = super().encode(value)
        if isinstance(pickled, Inexact):
            return pickled
        image = _draw(value)
        width, height = (round(float(length), 3) for length in value.get_size_inches())
        return Encoded(
            chunks=pickled.chunks,
            extension="pkl",
            opaque=True,
            metadata={**pickled.metadata, "width": width, "height": height, "dpi": float(value.dpi)},
            preview=lambda: Preview(kind="image", image=_shrink(image)) if image else Preview(),
            companion=("png", image) if image else None,
        )


def _draw(figure: Any) -> bytes:
    stream = io.BytesIO()
    try:
        figure.savefig(stream, format="png")
    except Exception:  # noqa: BLE001 - an artist that can't be drawn (missing LaTeX) must not lose the figure
        return b""
    return stream.getvalue()


def _shrink(image: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(image)) as picture:
        if picture.width <= _WIDTH and picture.height <= _HEIGHT:
            return image
        picture.thumbnail((_WIDTH, _HEIGHT))
        stream = io.BytesIO()
        picture.save(stream, format="png")
    return stream.getvalue()
