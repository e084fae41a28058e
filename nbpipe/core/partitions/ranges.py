"""The text form of some partitions.

    ranges = range { "," range }
    range  = KEY | KEY ".." KEY | part { "|" part }      of several dimensions
    part   = "*" | KEY | KEY ".." KEY                    keys of one dimension

Both ends belong to a range. With several dimensions, `2024-01-01|eu..2024-01-31|us` is each dimension from its first to
its last key (a box); the same is `2024-01-01..2024-01-31|eu..us`, and `*` is all of a dimension. A text that is a key
is that key, whatever it looks like; parts with special characters stand in quotes (see `texts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from pyroaring import BitMap

from nbpipe.core.partitions.sets import Dimension, PartitionSet, TimeDimension
from nbpipe.core.partitions.subsets import PartitionSubset, box, nothing, runs, single
from nbpipe.core.partitions.texts import Word, cut, fail, quote, read_word
from nbpipe.errors import UnknownNameError

WHAT = "range of partitions"


def parse_range(of: PartitionSet, text: str, now: datetime) -> PartitionSubset:
    """Read a range of keys of a set, or several with commas between them.

    Keys of windows that have not ended are taken as they are; `*` stops at `now`.

    Raises:
        DeclarationError: with the column of the trouble: a key is none, the range is reversed or has another form.
    """
    text = text.strip()
    if of.is_valid(text):
        return single(of, text)
    pieces = cut(WHAT, text, ",")
    if len(pieces) == 1:
        return _range(of, text, pieces[0], now)
    found = nothing(of)
    for piece in pieces:
        if not piece.text:
            raise fail(WHAT, text, piece.column, "a key is missing at this comma: remove it")
        found |= single(of, piece.text) if of.is_valid(piece.text) else _range(of, text, piece, now)
    return found


def parse_ranges(of: PartitionSet, texts: Iterable[str], now: datetime) -> PartitionSubset:
    """Read several ranges, see `parse_range`; return what is in any of them."""
    found = nothing(of)
    for text in texts:
        found = found | parse_range(of, text, now)
    return found


def range_texts(subset: PartitionSubset) -> tuple[str, ...]:
    """Return texts that `parse_ranges` reads as these partitions: ranges along time, keys where keys are listed."""
    return tuple(iterate_ranges(subset))


def iterate_ranges(subset: PartitionSubset) -> Iterator[str]:
    """Yield what `range_texts` returns, one by one."""
    of = subset.of
    inner = of.dimensions[of.inner]
    if not isinstance(inner, TimeDimension):
        yield from subset
        return
    for outer, bitmap in sorted(subset.families.items(), key=lambda item: item[0]):
        for first, last in _stretches(inner, bitmap):
            if first == last:
                yield of.key((outer, first))
                continue
            parts = [quote(part.key(n)) for part, n in zip(of.dimensions, of.flat((outer, first)), strict=True)]
            parts[of.inner] += ".." + quote(inner.key(last))
            yield "|".join(parts)


def ranges_label(texts: tuple[str, ...], number: int) -> str:
    """Return one text for a person: the key or range, or how many partitions there are."""
    return texts[0] if len(texts) == 1 else f"{number:,} partitions"


def _range(of: PartitionSet, text: str, whole: Word, now: datetime) -> PartitionSubset:
    """Read the part of a text that is one range."""
    rows = [cut(WHAT, text, "|", piece.column, piece.end) for piece in cut(WHAT, text, "..", whole.column, whole.end)]
    number = len(of.dimensions)
    if len(rows) == 2 and all(len(row) == number for row in rows):
        ends = list(zip(rows[0], rows[1], strict=True))
        parts = [_between(text, part, low, high) for part, (low, high) in zip(of.dimensions, ends, strict=True)]
    else:
        pieces = cut(WHAT, text, "|", whole.column, whole.end)
        if len(pieces) != number:
            form = "|".join(part.name or "KEY" for part in of.dimensions)
            raise fail(WHAT, text, whole.column, f"a key has the form {form}, a range {form}..{form}")
        parts = [_part(text, part, piece, now) for part, piece in zip(of.dimensions, pieces, strict=True)]
    return box(of, tuple(parts))


def _stretches(dimension: TimeDimension, ordinals: BitMap) -> Iterator[tuple[int, int]]:
    """Yield first and last of what follows on each other; along a cron expression, by the windows that exist."""
    if dimension.grain.dense:
        yield from ((low, high - 1) for low, high in runs(ordinals))
        return
    existing = dimension.grain.existing(ordinals.min(), ordinals.max() + 1)
    for low, high in runs(BitMap(existing.rank(ordinal) - 1 for ordinal in ordinals)):
        yield existing[low], existing[high - 1]


def _part(text: str, part: Dimension, piece: Word, now: datetime) -> BitMap:
    if piece.text == "*":
        return part.members(now)
    low, *high = cut(WHAT, text, "..", piece.column, piece.end)
    if len(high) > 1:
        raise fail(WHAT, text, high[1].column, "A..B has two ends only: remove this one")
    return _between(text, part, low, high[0] if high else low)


def _between(text: str, part: Dimension, low: Word, high: Word) -> BitMap:
    first, last = _key(text, part, low), _key(text, part, high)
    found = part.between(first, last)
    if not found:
        raise fail(WHAT, text, low.column, f"{last} comes before {first}: write {high.text}..{low.text}")
    return found


def _key(text: str, part: Dimension, piece: Word) -> str:
    if not piece.text:
        raise fail(WHAT, text, piece.column, "a key is missing: both ends of A..B are written")
    key = read_word(WHAT, text, piece)
    try:
        part.ordinal(key)
    except UnknownNameError as error:
        raise fail(WHAT, text, piece.column, str(error)) from error
    return key
