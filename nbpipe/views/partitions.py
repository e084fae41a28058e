"""The partitions of an asset as plain data: what is drawn of a million is as little as what is drawn of a thousand.

Columns are the keys of one dimension, cut into as many pieces as there is room for; rows are the keys of another one,
or a single row. What is in a cell is counted in bitmaps, never key by key. A window of the columns is drawn alone when
a person zooms in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.sets import Outer, PartitionSet, TimeDimension
from nbpipe.core.partitions.state import STATUSES, PartitionState
from nbpipe.core.partitions.subsets import Families, PartitionSubset
from nbpipe.core.partitions.texts import quote
from nbpipe.views.partitions_axes import Axis, Span, Window, joined, pages_of

#: How many columns a reader can tell from each other, how many fit beside the names of rows, and into little room.
STRIP, GRID, MINI = 120, 60, 40
#: Keys of a list, and rows of a grid on one page.
LIST, ROWS = 120, 40

Counts = Mapping[str, int]
"""How many partitions have which status; what there is none of is left out."""
Shape = Literal["strip", "list", "grid"]

_ONE_ROW = (Span("", "", 1, 0, 0),)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants to look at."""

    window: Window | None = None
    """Places of the columns to draw; None for all."""
    rows: str = ""
    """Name of the dimension whose keys are the rows; empty for the usual one."""
    fixed: Mapping[str, str] = MappingProxyType({})
    """Of dimensions that are neither rows nor columns: the key, by name; empty for all keys together."""
    page: int = 0
    """Which rows, counted from 0."""


class OtherDimension(msgspec.Struct, frozen=True, kw_only=True):
    """A dimension that is neither rows nor columns."""

    axis: Axis
    chosen: str
    """The key that is drawn; empty for all together."""

    @property
    def name(self) -> str:
        """Return its name."""
        return self.axis.dimension.name


class PartitionsView(msgspec.Struct, frozen=True, kw_only=True):
    """Partitions ready to be drawn. All text is data, never markup."""

    asset: str
    of: PartitionSet
    total: int
    counts: Counts
    """Of all partitions of the asset."""
    shape: Shape
    columns: tuple[Span, ...]
    rows: tuple[Span, ...]
    """In a strip or a list one, which stands for nothing."""
    cells: tuple[tuple[Counts, ...], ...]
    """Of each row, its columns."""
    across: Axis
    """Where the columns are from."""
    down: Axis | None = None
    """Where the rows of a grid are from."""
    others: tuple[OtherDimension, ...] = ()
    window: Window = (0, -1)
    """Places of the columns that are drawn."""
    page: int = 0
    pages: int = 1

    @property
    def zoomed(self) -> bool:
        """Tell whether there are more columns than these."""
        return self.window != self.across.whole

    def range_text(self, rows: Window, columns: Window) -> str:
        """Return how a box of cells, given by the numbers of its first and last row and column, is written."""
        texts = {self.across.dimension.name: _together(self.columns, columns).text}
        if self.down is not None:
            texts[self.down.dimension.name] = _together(self.rows, rows).text
        texts.update((other.name, quote(other.chosen) if other.chosen else "*") for other in self.others)
        return "|".join(texts[part.name] for part in self.of.dimensions)

    def cell_text(self, row: int, column: int) -> str:
        """Return the name of a cell for a person: its key, or its first and last key."""
        names = {self.across.dimension.name: self.columns[column].label}
        if self.down is not None:
            names[self.down.dimension.name] = self.rows[row].label
        names.update((other.name, other.chosen or "all") for other in self.others)
        return " | ".join(names[part.name] for part in self.of.dimensions)

    def inside(self, subset: PartitionSubset) -> tuple[tuple[bool, ...], ...]:
        """Tell of each cell whether some partitions reach into it."""
        sheet = _Sheet(self.of, self.across, self.down, self.others)
        found = sheet.count({"": subset.families}, self.rows, self.columns)
        return tuple(tuple(bool(cell) for cell in row) for row in found)


def partitions_view(state: PartitionState, look: Look | None = None, *, width: int = STRIP) -> PartitionsView:
    """Return what is drawn of the partitions of an asset.

    Args:
        state: of the asset now.
        look: what to look at; None for all.
        width: how many columns at most, for example pixels; a grid has at most `GRID`.

    Raises:
        UnknownNameError: there is no dimension of the wanted name.
    """
    look, of = look or Look(), state.of
    column, row = _layout(state, look.rows)
    across = _axis(state, column)
    down = _axis(state, row) if row is not None else None
    window = _clipped(look.window, across.whole)
    shape, most = _shape(across, down, window, width)
    others = tuple(
        _other(_axis(state, index), look.fixed) for index in range(len(of.dimensions)) if index not in (column, row)
    )
    pages = pages_of(len(down.places), ROWS) if down is not None else 1
    page = min(max(look.page, 0), pages - 1)
    columns, rows = across.spans(window, most), _ONE_ROW if down is None else down.page(page, ROWS)
    return PartitionsView(
        asset=state.asset.asset,
        of=of,
        total=state.counts.total,
        counts=_counts(state),
        shape=shape,
        columns=columns,
        rows=rows,
        cells=_Sheet(of, across, down, others).count({name: state.status[name] for name in STATUSES}, rows, columns),
        across=across,
        down=down,
        others=others,
        window=window,
        page=page,
        pages=pages,
    )


def partitions_overview(state: PartitionState) -> PartitionsView:
    """Return one row of few columns for all partitions of an asset, whatever its dimensions."""
    of = state.of
    across = _axis(state, of.inner)
    others = tuple(
        OtherDimension(axis=_axis(state, index), chosen="") for index in range(len(of.dimensions)) if index != of.inner
    )
    columns = across.spans(across.whole, MINI)
    return PartitionsView(
        asset=state.asset.asset,
        of=of,
        total=state.counts.total,
        counts=_counts(state),
        shape="strip",
        columns=columns,
        rows=_ONE_ROW,
        cells=_Sheet(of, across, None, others).count(
            {name: state.status[name] for name in STATUSES}, _ONE_ROW, columns
        ),
        across=across,
        others=others,
        window=across.whole,
    )


class _Sheet:
    """Counts what is in the cells."""

    def __init__(self, of: PartitionSet, across: Axis, down: Axis | None, others: Sequence[OtherDimension]) -> None:
        names = [part.name for part in of.dimensions]
        self._inner = of.inner
        self._across, self._column = across, names.index(across.dimension.name)
        self._down, self._row = down, names.index(down.dimension.name) if down is not None else None
        self._fixed = {
            names.index(other.name): other.axis.dimension.ordinal(other.chosen) for other in others if other.chosen
        }

    def count(
        self, parts: Mapping[str, Families], rows: Sequence[Span], columns: Sequence[Span]
    ) -> tuple[tuple[Counts, ...], ...]:
        """Return how much each cell has of each part."""
        found: list[list[dict[str, int]]] = [[{} for _ in columns] for _ in rows]
        for name, families in parts.items():
            for outer, bitmap in families.items():
                for row, column, number in self._counted(outer, bitmap, rows, columns):
                    if number:
                        cell = found[row][column]
                        cell[name] = cell.get(name, 0) + number
        return tuple(tuple(row) for row in found)

    def _counted(
        self, outer: Outer, bitmap: BitMap, rows: Sequence[Span], columns: Sequence[Span]
    ) -> Iterator[tuple[int, int, int]]:
        """Yield row, column and number of what a family has."""
        inner = self._inner
        flat = {index if index < inner else index + 1: ordinal for index, ordinal in enumerate(outer)}
        for index, ordinal in self._fixed.items():
            if index == inner:
                bitmap = bitmap & BitMap((ordinal,))
            elif flat[index] != ordinal:
                return
        for row in self._rows(flat, rows):
            part = bitmap
            if self._row == inner and self._down is not None:
                part = bitmap & self._down.within((rows[row].low, rows[row].high))
            yield from ((row, column, number) for column, number in self._columns(flat, part, columns))

    def _rows(self, flat: Mapping[int, int], rows: Sequence[Span]) -> Sequence[int]:
        if self._row is None or self._down is None:
            return (0,)
        if self._row == self._inner:
            return range(len(rows))
        return _at(rows, self._down.to_places(BitMap((flat[self._row],))))

    def _columns(self, flat: Mapping[int, int], bitmap: BitMap, columns: Sequence[Span]) -> Iterator[tuple[int, int]]:
        if self._column != self._inner:
            for column in _at(columns, self._across.to_places(BitMap((flat[self._column],)))):
                yield column, len(bitmap)
            return
        places = self._across.to_places(bitmap)
        if not places:
            return
        low, high = places.min(), places.max()
        for column, span in enumerate(columns):
            if span.high >= low and span.low <= high:
                yield column, places.range_cardinality(span.low, span.high + 1)


def _at(spans: Sequence[Span], places: BitMap) -> Sequence[int]:
    """Return the numbers of the spans, one or none, that a place is in."""
    if not places:
        return ()
    (place,) = places
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        if spans[middle].high < place:
            low = middle + 1
        else:
            high = middle
    return (low,) if low < len(spans) and spans[low].low <= place else ()


def _counts(state: PartitionState) -> Counts:
    return {name: getattr(state.counts, name) for name in STATUSES if getattr(state.counts, name)}


def _layout(state: PartitionState, wanted: str) -> tuple[int, int | None]:
    """Return which dimension the columns are, and which the rows.

    Time lies across, else the inner dimension: what is long is across.
    """
    of = state.of
    if len(of.dimensions) == 1:
        return 0, None
    column = of.inner
    others = [index for index in range(len(of.dimensions)) if index != column]
    row = of.index(wanted) if wanted else min(others, key=lambda index: (_is_time(of, index), index))
    return (others[-1] if row == column else column), row


def _is_time(of: PartitionSet, index: int) -> bool:
    return isinstance(of.dimensions[index], TimeDimension)


def _shape(across: Axis, down: Axis | None, window: Window, width: int) -> tuple[Shape, int]:
    """Return how partitions are drawn, and with how many columns at most."""
    if down is not None:
        return "grid", min(width, GRID)
    if not isinstance(across.dimension, TimeDimension) and len(across.within(window)) <= LIST:
        return "list", LIST
    return "strip", width


def _axis(state: PartitionState, index: int) -> Axis:
    subset = PartitionSubset(state.of, state.total)
    return Axis(state.of.dimensions[index], _used(subset, index))


def _used(subset: PartitionSubset, index: int) -> BitMap:
    """Return the ordinals of a dimension that some partitions have."""
    inner = subset.of.inner
    if index == inner:
        return joined(subset.families.values())
    place = index if index < inner else index - 1
    return BitMap(outer[place] for outer in subset.families)


def _other(axis: Axis, fixed: Mapping[str, str]) -> OtherDimension:
    name = axis.dimension.name
    first = axis.key(axis.whole[0]) if axis.places else ""
    return OtherDimension(axis=axis, chosen=fixed.get(name, first))


def _clipped(window: Window | None, whole: Window) -> Window:
    if window is None:
        return whole
    low, high = max(window[0], whole[0]), min(window[1], whole[1])
    return (low, high) if low <= high else whole


def _together(spans: Sequence[Span], window: Window) -> Span:
    """Return spans as one, from the first to the last of some numbers."""
    first, last = spans[window[0]], spans[window[1]]
    number = sum(span.keys for span in spans[window[0] : window[1] + 1])
    return Span(first.first, last.last, number, first.low, last.high)
