"""What one widget of partitions shows: an asset at this moment, a window of its keys, a selection. No widgets here.

The model has a workspace of its own, with its own connection: the widget follows runs from a thread while the
kernel works.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from nbpipe.commands.partition_references import partition_detail, partition_state
from nbpipe.commands.workspace import Workspace
from nbpipe.core.partitions.explaining import partition_notes, partition_reasons
from nbpipe.core.partitions.ranges import parse_range
from nbpipe.core.partitions.records import PartitionDetail
from nbpipe.core.partitions.state import STATUSES, UNSOUND_STATUSES, PartitionState, PartitionStatus
from nbpipe.core.partitions.subsets import PartitionSubset
from nbpipe.views.partitions import Counts, Look, PartitionsView, partitions_view
from nbpipe.views.partitions_axes import Window

#: What of a selection is meant, by the words for it.
PARTS: Mapping[str, tuple[PartitionStatus, ...]] = {
    "all of them": (),
    "the missing ones": ("missing",),
    "the failed ones": ("failed",),
    "the stale ones": ("stale",),
    "all that are not fresh": UNSOUND_STATUSES,
}
ALL = next(iter(PARTS))
_OUT = 4
"""How many times more is shown after zooming out."""


class PartitionFacts(NamedTuple):
    """All that is known of one partition now."""

    key: str
    status: str | None
    """None if its window has not ended."""
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    detail: PartitionDetail
    window: tuple[str, str] | None
    """Begin and end."""


class PartitionsModel:
    """The partitions of an asset, and what is drawn of them."""

    def __init__(self, workspace: Workspace, asset: str, *, saved: bool = True) -> None:
        """Look at an asset; the model owns the workspace.

        Args:
            workspace: the project.
            asset: its key.
            saved: a saved notebook defines it; else what the workspace says of it counts for good.

        Raises:
            UnknownNameError: there is no such asset.
            UsageError: it has no partitions.
            DefinitionError: its declaration can't be used.
        """
        self.workspace, self.asset = workspace, asset
        self._saved = saved
        self.look = Look()
        self.text = ""
        """The range that is selected, as it is written; empty for nothing."""
        self.part = ALL
        """What of the selection is meant."""
        self.state = self._read()
        self.view: PartitionsView = partitions_view(self.state)

    def refresh(self) -> PartitionsView:
        """Look at the project again; return what is to be drawn now."""
        if self._saved:
            self.workspace.reload()
        self.state = self._read()
        return self._draw()

    def settle(self, *, backfill: bool = False) -> None:
        """End runs, and backfills, whose process is gone, if any seem to be on their way."""
        if backfill or self.state.status["running"]:
            self.workspace.settle()

    # --- what is selected -----------------------------------------------------------------------

    @property
    def selection(self) -> PartitionSubset | None:
        """The partitions that are selected, whatever their status."""
        if not self.text:
            return None
        return parse_range(self.state.of, self.text, self.state.now)

    @property
    def meant(self) -> PartitionSubset:
        """The partitions that a button works on: the meant part of the selection, or of all."""
        chosen = self.selection
        if chosen is None:
            chosen = PartitionSubset(self.state.of, self.state.total)
        statuses = PARTS[self.part]
        return chosen & self.state.subset(*statuses) if statuses else chosen

    @property
    def is_meant(self) -> bool:
        """Something was said of what the buttons work on: none works on everything by a slip."""
        return bool(self.text or self.part != ALL)

    @property
    def single(self) -> str | None:
        """The key that is selected, if it is one alone."""
        chosen = self.selection
        return next(iter(chosen)) if chosen is not None and len(chosen) == 1 else None

    def select(self, text: str) -> None:
        """Select a range of keys; nothing, for an empty text; everything for `*`, however many dimensions there are.

        Raises:
            DeclarationError: it can't be read; says in which column.
        """
        text = text.strip()
        if text == "*":
            text = "|".join("*" for _ in self.state.of.dimensions)
        if text:
            parse_range(self.state.of, text, self.state.now)
        self.text = text

    def select_cells(self, rows: Window, columns: Window) -> None:
        """Select a box of cells, by the numbers of its first and last row and column."""
        self.text = self.view.range_text(rows, columns)

    def counts(self, subset: PartitionSubset) -> Counts:
        """Return how many of some partitions have which status."""
        found = {name: len(subset & self.state.subset(name)) for name in STATUSES}
        return {name: number for name, number in found.items() if number}

    def of_status(self, subset: PartitionSubset, status: str) -> PartitionSubset:
        """Return those of some partitions that have a status."""
        known: Mapping[str, PartitionStatus] = {name: name for name in STATUSES}
        return subset & self.state.subset(known[status])

    def facts(self, key: str) -> PartitionFacts:
        """Return what is known of a partition."""
        of = self.state.of
        detail = partition_detail(self.workspace, self.asset, key, of.position(key))
        window = of.window(key)
        return PartitionFacts(
            key,
            self.state.status_of(key),
            partition_reasons(self.state, key),
            partition_notes(self.state, key),
            detail,
            (window[0].isoformat(" ", "minutes"), window[1].isoformat(" ", "minutes")) if window else None,
        )

    # --- what is looked at ----------------------------------------------------------------------

    def zoom_in(self) -> PartitionsView:
        """Draw what is selected alone; without a selection, the middle half."""
        low, high = self.view.window
        chosen = self._extent()
        if chosen in {None, (low, high)}:
            chosen = low + (high - low) // 4, high - (high - low) // 4
        return self._look(window=chosen)

    def zoom_out(self) -> PartitionsView:
        """Draw more around what is drawn."""
        low, high = self.view.window
        more = max(1, (high - low + 1) * (_OUT - 1) // 2)
        return self._look(window=(low - more, high + more))

    def show_all(self) -> PartitionsView:
        """Draw all keys."""
        return self._look(window=None)

    def move(self, direction: int) -> PartitionsView:
        """Draw what comes before (-1) or after (1), as much as is drawn now."""
        low, high = self.view.window
        first, last = self.view.across.whole
        step = (high - low + 1) * direction
        step = max(step, first - low) if direction < 0 else min(step, last - high)
        return self._look(window=(low + step, high + step))

    def turn(self, pages: int) -> PartitionsView:
        """Draw other rows."""
        return self._look(page=self.view.page + pages)

    def show_rows(self, dimension: str) -> PartitionsView:
        """Draw the keys of another dimension as rows."""
        self.look = Look(rows=dimension)
        return self._draw()

    def fix(self, dimension: str, key: str) -> PartitionsView:
        """Draw one key of a dimension that is neither rows nor columns; all together, for an empty one."""
        return self._look(fixed={**self.look.fixed, dimension: key})

    def close(self) -> None:
        """Release the connection."""
        self.workspace.close()

    def _extent(self) -> Window | None:
        """Return the places of the first and the last column that the selection reaches."""
        inside = self.view.inside(self.selection) if self.selection is not None else ()
        columns = [index for row in inside for index, within in enumerate(row) if within]
        if not columns:
            return None
        return self.view.columns[min(columns)].low, self.view.columns[max(columns)].high

    def _look(self, **changes: object) -> PartitionsView:
        self.look = msgspec.structs.replace(self.look, **changes)
        return self._draw()

    def _draw(self) -> PartitionsView:
        self.view = partitions_view(self.state, self.look)
        whole = self.view.window == self.view.across.whole
        self.look = msgspec.structs.replace(self.look, page=self.view.page, window=None if whole else self.view.window)
        return self.view

    def _read(self) -> PartitionState:
        return partition_state(self.workspace, self.asset)
