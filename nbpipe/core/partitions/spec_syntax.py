"""The text form of partition sets.

    set        = dimension { " x " dimension }            several dimensions have names
    dimension  = [ NAME "=" ] ( time | "static:" KEY { "," KEY } | "dynamic:" NAME )
    time       = grain ":" START [ ".." END ] [ "@" ZONE ]
    grain      = "hourly" | "daily" | "weekly" | "monthly" | "cron(" EXPRESSION ")"

START and END are keys and belong to the set: `2024-01-01T05` for hours (a date stands for its first hour as START and
its last as END), a date for days, the Monday for weeks, the first day for months. With cron, START is any date or time,
and the first window begins at the first tick from then on; END is the last that counts. ZONE is a name of the IANA
database; without one, UTC. Keys and names with special characters stand in quotes (see `texts`).

`str` of a set is a text of this form, and reading it gives the same set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from nbpipe.core.partitions.grains import (
    LAST_YEAR,
    Daily,
    Hourly,
    Monthly,
    Weekly,
    read_date,
    read_time,
)
from nbpipe.core.partitions.registries import check_key
from nbpipe.core.partitions.sets import (
    AnyGrain,
    Dimension,
    ListedDimension,
    PartitionSet,
    TimeDimension,
    dynamic,
    static,
)
from nbpipe.core.partitions.texts import Word, cut, fail, read_word
from nbpipe.core.partitions.zones import DAY, day_number, first_instant, midnight, zone_of
from nbpipe.errors import DeclarationError, nearest

if TYPE_CHECKING:
    from nbpipe.core.partitions.crons import Cron

WHAT = "partitions"

_GRAINS: Mapping[str, Callable[[str], AnyGrain]] = MappingProxyType(
    {"hourly": Hourly, "daily": Daily, "weekly": Weekly, "monthly": Monthly}
)
_KINDS = (*_GRAINS, "cron", "static", "dynamic")
_EXAMPLE = "for example daily:2024-01-01"


@lru_cache(maxsize=1024)
def parse_partitions(text: str) -> PartitionSet:
    """Read a set of partitions; the same text gives the same set, which nothing changes.

    Raises:
        DeclarationError: with the column of the trouble, the text with a mark below it, and what to write.
    """
    pieces = _dimension_pieces(text)
    found: list[Dimension] = []
    for piece in pieces:
        part = _dimension(text, piece, named=len(pieces) > 1)
        if any(part.name == other.name for other in found):
            raise fail(WHAT, text, piece.column, f"two dimensions are called {part.name!r}: names differ")
        found.append(part)
    return PartitionSet(tuple(found))


def _dimension_pieces(text: str) -> list[Word]:
    pieces = cut(WHAT, text, " x ")
    for piece in pieces:
        if not piece.text:
            raise fail(WHAT, text, piece.column, f"a set of partitions is missing: {_EXAMPLE}")
    return pieces


def _dimension(text: str, piece: Word, *, named: bool) -> Dimension:
    colon = cut(WHAT, text, ":", piece.column, piece.end)[0]
    head = cut(WHAT, text, "=", colon.column, colon.end)
    name, kind = (read_word(WHAT, text, head[0]), head[1]) if len(head) > 1 else ("", colon)
    if len(head) > 1 and not name.isidentifier():
        raise fail(WHAT, text, piece.column, f"{name!r} can't name a dimension: use letters, digits and _")
    if named and not name:
        raise fail(WHAT, text, piece.column, "each of several dimensions has a name: date=daily:2024-01-01")
    word = kind.text.partition("(")[0]
    if word not in _KINDS:
        known = nearest(word, _KINDS)
        hint = f"did you mean {known!r}?" if known else f"write one of {', '.join(_KINDS)}"
        raise fail(WHAT, text, kind.column, f"there is no kind of partitions {word!r}: {hint}")
    if colon.end >= piece.end or text[colon.end : piece.end].strip() == ":":
        raise fail(WHAT, text, piece.end, _missing(word))
    low = text.index(":", colon.end) + 1
    if word == "static":
        return static(name, _keys(text, low, piece.end))
    if word == "dynamic":
        return _dynamic(text, name, low, piece.end)
    return _time(text, name, kind, (low, piece.end))


def _missing(kind: str) -> str:
    if kind == "static":
        return "keys are missing: static:a,b,c"
    if kind == "dynamic":
        return "the name of the registered keys is missing: dynamic:customers"
    return f"a start is missing: {kind}{'(0 6 * * *)' if kind == 'cron' else ''}:2024-01-01"


def _keys(text: str, low: int, high: int) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for piece in cut(WHAT, text, ",", low, high):
        key = read_word(WHAT, text, piece)
        try:
            check_key(key)
        except DeclarationError as error:
            raise fail(WHAT, text, piece.column, str(error)) from error
        if key in found:
            raise fail(WHAT, text, piece.column, f"key {key!r} is there twice: remove one")
        found[key] = None
    return tuple(found)


def _dynamic(text: str, name: str, low: int, high: int) -> ListedDimension:
    (piece, *more) = cut(WHAT, text, ",", low, high)
    if more:
        raise fail(WHAT, text, more[0].column, "registered keys have one name: for keys written here, use static:")
    source = read_word(WHAT, text, piece)
    try:
        check_key(source)
    except DeclarationError as error:
        raise fail(WHAT, text, piece.column, f"the name of the registered keys: {error}") from error
    return dynamic(name, source)


def _time(text: str, name: str, kind: Word, span: tuple[int, int]) -> TimeDimension:
    window, *zones = cut(WHAT, text, "@", *span)
    if len(zones) > 1:
        raise fail(WHAT, text, zones[1].column, "there is one time zone only: remove this one")
    grain = _grain(text, kind, _zone(text, zones[0]) if zones else "UTC")
    begin, *ends = cut(WHAT, text, "..", window.column, window.end)
    if len(ends) > 1:
        raise fail(WHAT, text, ends[1].column, "START..END has two parts only: remove this one")
    try:
        first = _bound(grain, begin.text, last=False)
    except ValueError as error:
        raise fail(WHAT, text, begin.column, f"start {begin.text!r}: {error}") from error
    if not ends:
        return TimeDimension(name, grain, first)
    try:
        last = _bound(grain, ends[0].text, last=True)
    except ValueError as error:
        raise fail(WHAT, text, ends[0].column, f"end {ends[0].text!r}: {error}") from error
    if last < first:
        raise fail(WHAT, text, ends[0].column, f"the end {ends[0].text} comes before the start {begin.text}")
    return TimeDimension(name, grain, first, last)


def _zone(text: str, piece: Word) -> str:
    name = read_word(WHAT, text, piece)
    try:
        zone_of(name)
    except DeclarationError as error:
        raise fail(WHAT, text, piece.column, str(error)) from error
    return name


def _grain(text: str, kind: Word, zone: str) -> AnyGrain:
    word, bracket, rest = kind.text.partition("(")
    if word != "cron":
        if bracket:
            raise fail(WHAT, text, kind.column + len(word), f"{word} takes no brackets: {word}:2024-01-01")
        return _GRAINS[word](zone)
    if not rest.endswith(")"):
        raise fail(WHAT, text, kind.column, "an expression in brackets is missing: cron(0 6 * * 1-5):2024-01-01")
    from nbpipe.core.partitions.crons import Cron  # few sets have expressions: the others do without the module

    try:
        return Cron(" ".join(rest[:-1].split()), zone)
    except ValueError as error:
        raise fail(WHAT, text, kind.column + len("cron("), str(error)) from error


def _bound(grain: AnyGrain, written: str, *, last: bool) -> int:
    """Return the ordinal of START or END; ValueError says what is wrong."""
    if not isinstance(grain, Hourly | Daily | Weekly | Monthly):
        return _cron_bound(grain, written, last=last)
    try:
        return grain.read(written)
    except ValueError:
        if not isinstance(grain, Hourly):
            raise
        try:
            day = day_number(read_date(written))
        except ValueError:
            day = None
        if day is None:
            raise
        return grain.at(midnight(day + 1, grain.zone) - 1 if last else midnight(day, grain.zone))


def _cron_bound(grain: Cron, written: str, *, last: bool) -> int:
    try:
        return grain.read(written)
    except ValueError:
        pass
    try:
        day: date = read_date(written)
        instant = (
            midnight(day_number(day + timedelta(days=1)), grain.zone) - 1
            if last
            else midnight(day_number(day), grain.zone)
        )
    except ValueError:
        seconds, offset = read_time(written, "2024-01-01, or 2024-01-01T06:30")
        if offset:
            raise ValueError(f"{grain.name} has no tick then") from None
        instant = first_instant(seconds, grain.zone)
    ordinal = grain.at(instant)
    if not last and grain.start(ordinal) < instant:
        ordinal = grain.at(grain.end(ordinal))
    if day_number(date(LAST_YEAR, 12, 31)) * DAY < grain.start(ordinal):
        raise ValueError(f"{grain.name} has no tick then")
    return ordinal
