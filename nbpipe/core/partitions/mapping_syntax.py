"""The text form of mappings, as in `--map UPSTREAM=MAPPING`.

    mapping = rule | NAME "=" rule { "," NAME "=" rule }     NAME: a dimension of the upstream
    rule    = "identity" | "all" | "latest" | "window"
            | "offset(" N [ "," N ] ")"                      from N to N partitions later; -1 is the one before
            | "keys(" KEY { "," KEY } ")"                    these upstream keys, whatever the partition
            | "static(" KEY ":" KEY { "," KEY ":" KEY } ")"  upstream key : downstream key; a key may come again

Keys with special characters stand in quotes (see `texts`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from nbpipe.core.partitions.texts import Word, cut, fail, quote, read_word
from nbpipe.errors import nearest

WHAT = "mapping"

_RULES = ("identity", "all", "latest", "window", "offset", "keys", "static")
_EXAMPLES = {"offset": "offset(-1)", "keys": "keys(a,b)", "static": "static(a:x,b:y)"}
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)


class Identity(msgspec.Struct, frozen=True):
    """The partition with the same key."""

    def __str__(self) -> str:
        return "identity"


class All(msgspec.Struct, frozen=True):
    """Every partition."""

    def __str__(self) -> str:
        return "all"


class Latest(msgspec.Struct, frozen=True):
    """The last complete partition."""

    def __str__(self) -> str:
        return "latest"


class Window(msgspec.Struct, frozen=True):
    """Every partition whose window overlaps."""

    def __str__(self) -> str:
        return "window"


class Offset(msgspec.Struct, frozen=True):
    """Partitions that come so many before (negative) or after."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"offset({self.first})" if self.first == self.last else f"offset({self.first},{self.last})"


class Keys(msgspec.Struct, frozen=True):
    """Always these upstream partitions."""

    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"keys({','.join(map(quote, self.keys))})"


class Static(msgspec.Struct, frozen=True):
    """Pairs of upstream key and downstream key."""

    pairs: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "static(" + ",".join(f"{quote(up)}:{quote(down)}" for up, down in self.pairs) + ")"


Rule: TypeAlias = Identity | All | Latest | Window | Offset | Keys | Static


class PerDimension(msgspec.Struct, frozen=True):
    """A rule for each of some dimensions of the upstream; the others are inferred."""

    rules: tuple[tuple[str, Rule], ...]

    def __str__(self) -> str:
        return ",".join(f"{name}={rule}" for name, rule in self.rules)


MappingRule: TypeAlias = Rule | PerDimension

_PLAIN: Mapping[str, Rule] = MappingProxyType(
    {"identity": Identity(), "all": All(), "latest": Latest(), "window": Window()}
)


def parse_map(text: str) -> tuple[str, MappingRule]:
    """Read the value of `--map`; return the upstream and its mapping.

    Raises:
        DeclarationError: with the column of the trouble, the text with a mark below it, and what to write.
    """
    upstream = cut(WHAT, text, "=")[0]
    if not upstream.text or upstream.end >= len(text.rstrip()):
        raise fail(WHAT, text, upstream.end, "UPSTREAM=MAPPING is missing a part: orders=offset(-1)")
    return read_word(WHAT, text, upstream), _mapping(text, text.index("=", upstream.end) + 1)


def parse_mapping(text: str) -> MappingRule:
    """Read a mapping.

    Raises:
        DeclarationError: with the column of the trouble, the text with a mark below it, and what to write.
    """
    return _mapping(text, 0)


def _mapping(text: str, low: int) -> MappingRule:
    pieces = cut(WHAT, text, ",", low)
    named = [cut(WHAT, text, "=", piece.column, piece.end) for piece in pieces]
    if len(pieces) == 1 and len(named[0]) == 1:
        return _rule(text, pieces[0])
    found: dict[str, Rule] = {}
    for piece, parts in zip(pieces, named, strict=True):
        if len(parts) != 2:
            raise fail(WHAT, text, piece.column, "rules of several dimensions are NAME=RULE: date=window,region=all")
        name = read_word(WHAT, text, parts[0])
        if name in found:
            raise fail(WHAT, text, piece.column, f"dimension {name!r} is there twice: remove one")
        found[name] = _rule(text, parts[1])
    return PerDimension(tuple(found.items()))


def _rule(text: str, piece: Word) -> Rule:
    name, bracket, _ = piece.text.partition("(")
    name = name.strip()
    if not name:
        raise fail(WHAT, text, piece.column, f"a mapping is missing: write one of {', '.join(_RULES)}")
    if name not in _RULES:
        known = nearest(name, _RULES)
        hint = f"did you mean {known!r}?" if known else f"write one of {', '.join(_RULES)}"
        raise fail(WHAT, text, piece.column, f"there is no mapping {name!r}: {hint}")
    if name not in _EXAMPLES:
        if bracket:
            raise fail(WHAT, text, piece.column + len(name), f"{name} takes no brackets")
        return _PLAIN[name]
    if not bracket or not piece.text.endswith(")"):
        raise fail(WHAT, text, piece.end, f"brackets with values are missing: {_EXAMPLES[name]}")
    values = cut(WHAT, text, ",", text.index("(", piece.column) + 1, piece.end - 1)
    if name == "offset":
        return _offset(text, values)
    if name == "keys":
        return Keys(tuple(_key(text, value) for value in values))
    return Static(tuple(_pair(text, value) for value in values))


def _offset(text: str, values: list[Word]) -> Offset:
    for value in values:
        if not _NUMBER.fullmatch(value.text):
            raise fail(WHAT, text, value.column, "an offset is a whole number: offset(-1), offset(-6,0)")
    if len(values) > 2:
        raise fail(WHAT, text, values[2].column, "an offset has a first and a last only: offset(-6,0)")
    first, last = int(values[0].text), int(values[-1].text)
    if first > last:
        raise fail(WHAT, text, values[0].column, f"the first offset comes after the last: offset({last},{first})")
    return Offset(first, last)


def _key(text: str, value: Word) -> str:
    if not value.text:
        raise fail(WHAT, text, value.column, "a key is missing")
    return read_word(WHAT, text, value)


def _pair(text: str, value: Word) -> tuple[str, str]:
    ends = cut(WHAT, text, ":", value.column, value.end)
    if len(ends) != 2:
        raise fail(WHAT, text, value.column, "pairs are UPSTREAM:DOWNSTREAM keys: static(a:x,b:y)")
    return _key(text, ends[0]), _key(text, ends[1])
