"""The text of a notebook's cells, as it is saved or as a live kernel executed it."""

from __future__ import annotations

import msgspec


class CellText(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One code cell."""

    index: int
    """0-based position among all cells."""
    cell_id: str
    source: str
    tags: tuple[str, ...] = ()
    above: str = ""
    """Text of the markdown cell just above, if there is one."""


class NotebookText(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The code cells of one notebook in document order."""

    path: str
    """Relative to the project's root, with `/`."""
    cells: tuple[CellText, ...] = ()
    kernel: str | None = None
    content_hash: str = ""
    """Hash of the cells and the kernel's name: new outputs alone don't change it."""
