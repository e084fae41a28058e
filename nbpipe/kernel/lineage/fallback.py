"""The lineage where no widget lives: in records, in untrusted notebooks, on paper, in terminals.

A picture in an `img` with a `data:` URI is what every frontend shows, also of a notebook that it does not trust.
"""

from __future__ import annotations

from typing import Any

from nbpipe.views.lineage import LineageView
from nbpipe.views.svg import svg_data_uri_img
from nbpipe.views.text import lineage_text


def static_bundle(view: LineageView) -> dict[str, str]:
    """Return the mime bundle of a picture of a graph."""
    return {"text/plain": lineage_text(view), "text/html": svg_data_uri_img(view)}


class Picture:
    """A graph that is displayed as a picture."""

    def __init__(self, view: LineageView) -> None:
        """Show this graph."""
        self.view = view

    def __repr__(self) -> str:
        return lineage_text(self.view)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return static_bundle(self.view)
