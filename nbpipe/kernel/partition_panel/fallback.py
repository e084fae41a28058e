"""Partitions where no widget lives: in records, in untrusted notebooks, on paper, in terminals."""

from __future__ import annotations

from typing import Any

from nbpipe.views.partitions import PartitionsView
from nbpipe.views.partitions_svg import partitions_img
from nbpipe.views.partitions_text import partitions_text


def static_bundle(view: PartitionsView) -> dict[str, str]:
    """Return the mime bundle of a picture of partitions."""
    return {"text/plain": partitions_text(view), "text/html": partitions_img(view)}


class PartitionsPicture:
    """Partitions that are displayed as a picture."""

    def __init__(self, view: PartitionsView) -> None:
        """Show these partitions."""
        self.view = view

    def __repr__(self) -> str:
        return partitions_text(self.view)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return static_bundle(self.view)
