"""From a mapping as written, or none, to the link between two sets; and why it doesn't fit."""

from __future__ import annotations

from itertools import starmap

from nbpipe.core.partitions.links import WHOLE, Fixed, Link, Pair, Part
from nbpipe.core.partitions.mapping_syntax import (
    All,
    Identity,
    Keys,
    Latest,
    MappingRule,
    Offset,
    PerDimension,
    Rule,
    Static,
    Window,
)
from nbpipe.core.partitions.mappings import DimensionMapping, Overlapping, Same, Shifted, Translated
from nbpipe.core.partitions.sets import Dimension, ListedDimension, PartitionSet, TimeDimension
from nbpipe.errors import DeclarationError, UnknownNameError

#: More of a set is not shown in a message.
_LONG = 100

_CALENDAR = ("daily", "weekly", "monthly")


def link(
    upstream: str,
    up: PartitionSet | None,
    down: PartitionSet | None,
    rule: MappingRule | None = None,
) -> Link:
    """Return the link between an upstream and an asset.

    Args:
        upstream: name of the upstream, for messages.
        up: its partitions; None for none.
        down: those of the asset; None for none.
        rule: as written; None: without partitions on either side, all; dimensions of time by their windows; other
            dimensions of one name, or alike where a side has only one, by their keys; further dimensions of the
            upstream, all.

    Raises:
        DeclarationError: the mapping doesn't fit the sets; says which would.
    """
    return _Fitting(upstream, up or WHOLE, down or WHOLE).fit(rule)


def own_link(name: str, of: PartitionSet | None, rule: MappingRule | None) -> Link:
    """Return the link of an asset that reads earlier partitions of its own.

    Raises:
        DeclarationError: the mapping doesn't fit, or a partition would read itself or a later one.
    """
    if of is None:
        raise DeclarationError(f"{name} reads itself: only an asset with partitions can, by --map {name}=offset(-1)")
    found = link(name, of, of, rule)
    shifts = [part.mapping for part in found.parts if isinstance(part, Pair) and isinstance(part.mapping, Shifted)]
    if not any(shift.last < 0 for shift in shifts):
        raise DeclarationError(
            f"{name} reads itself by {rule or 'its own key'}: it can read earlier partitions only, "
            f"write --map {name}=offset(-1)"
        )
    return found


class _Fitting:
    def __init__(self, upstream: str, up: PartitionSet, down: PartitionSet) -> None:
        self._upstream, self._up, self._down = upstream, up, down

    def fit(self, rule: MappingRule | None) -> Link:
        rules = self._rules(rule)
        partners = self._partners()
        parts: list[Part] = []
        for index, dimension in enumerate(self._up.dimensions):
            given = rules.get(index)
            if isinstance(given, All | Latest | Keys):
                parts.append(self._fixed(dimension, given))
            elif index in partners:
                below = self._down.dimensions[partners[index]]
                parts.append(Pair(partners[index], self._pair(dimension, below, given)))
            elif given is not None:
                raise self._error(
                    f"{given} needs a dimension like {dimension.name or _short(dimension)} on both sides",
                    f"{self._naming(index)}all",
                )
            else:
                parts.append(Fixed("all"))
        if not partners and not rules and WHOLE not in (self._up, self._down):
            raise self._error("they have nothing in common", "all")
        return Link(self._upstream, self._up, self._down, tuple(parts))

    def _rules(self, rule: MappingRule | None) -> dict[int, Rule]:
        """Return the rule of each dimension of the upstream that has one."""
        if rule is None:
            return {}
        if isinstance(rule, PerDimension):
            try:
                return {self._up.index(name): part for name, part in rule.rules}
            except UnknownNameError as error:
                raise self._error(str(error), "all") from error
        every = range(len(self._up.dimensions))
        if isinstance(rule, All | Identity) or len(every) == 1:
            return dict.fromkeys(every, rule)
        wanted = ListedDimension if isinstance(rule, Static | Keys) else TimeDimension
        fitting = [index for index in every if isinstance(self._up.dimensions[index], wanted)]
        if len(fitting) == 1:
            return {fitting[0]: rule}
        names = ", ".join(part.name for part in self._up.dimensions)
        raise self._error(f"{rule} must say which of {names} it means", f"{self._naming(0)}{rule}")

    def _partners(self) -> dict[int, int]:
        """Return the index of the asset's dimension for each dimension of the upstream that has one."""
        above, below = self._up.dimensions, self._down.dimensions
        if WHOLE in (self._up, self._down):
            return {}
        if len(above) == len(below) == 1:
            return {0: 0}
        names = {part.name: index for index, part in enumerate(below) if part.name}
        found = {index: names[part.name] for index, part in enumerate(above) if part.name in names}
        if found or min(len(above), len(below)) > 1:
            return found
        like = [(i, j) for i, up in enumerate(above) for j, down in enumerate(below) if _alike(up, down)]
        if len(like) > 1:
            raise self._error("more than one dimension could be meant", "all", "or give equal dimensions equal names")
        return dict(like)

    def _fixed(self, dimension: Dimension, rule: All | Latest | Keys) -> Fixed:
        if isinstance(rule, All):
            return Fixed("all")
        if isinstance(rule, Latest):
            return Fixed("latest")
        self._known(dimension, rule.keys)
        return Fixed(rule.keys)

    def _pair(self, up: Dimension, down: Dimension, rule: Rule | None) -> DimensionMapping:
        if isinstance(up, TimeDimension) and isinstance(down, TimeDimension):
            return self._times(up, down, rule)
        if isinstance(up, ListedDimension) and isinstance(down, ListedDimension):
            return self._lists(up, down, rule)
        raise self._error(f"{_short(up)} and {_short(down)} are of different kinds", "all, or latest, or keys(...)")

    def _times(self, up: TimeDimension, down: TimeDimension, rule: Rule | None) -> DimensionMapping:
        same = up.grain == down.grain
        if isinstance(rule, Static):
            raise self._error(f"{rule} is for keys that are listed, these are windows of time", "window")
        if isinstance(rule, Offset):
            if not same:
                raise self._error(f"{rule} needs the same windows on both sides", "window")
            return Shifted(up, down, rule.first, rule.last)
        if same:
            return Same(up, down)
        if isinstance(rule, Identity):
            if up.grain.name == down.grain.name and up.grain.name in _CALENDAR:
                return Same(up, down)
            raise self._error("identity needs the same windows on both sides", "window")
        return Overlapping(up, down)

    def _lists(self, up: ListedDimension, down: ListedDimension, rule: Rule | None) -> DimensionMapping:
        if isinstance(rule, Window | Offset):
            raise self._error(f"{rule} is for windows of time, these are keys that are listed", "identity")
        if isinstance(rule, Static):
            for dimension, keys in zip((up, down), zip(*rule.pairs, strict=True), strict=True):
                self._known(dimension, keys)
            return Translated(up, down, rule.pairs)
        if up.registry == down.registry:
            return Same(up, down)
        shared = [key for key in up.registry.keys if key in down.registry.ordinals]
        if not shared and not (up.source or down.source):
            raise self._error("they have no key in common", "all, or static(UP:DOWN,...)")
        return Translated(up, down, tuple((key, key) for key in shared))

    def _known(self, dimension: Dimension, keys: tuple[str, ...]) -> None:
        if isinstance(dimension, ListedDimension) and dimension.source:
            return  # may be registered later
        try:
            for key in keys:
                dimension.ordinal(key)
        except UnknownNameError as error:
            raise self._error(str(error), "all") from error

    def _naming(self, index: int) -> str:
        name = self._up.dimensions[index].name
        return f"{name}=" if name and len(self._up.dimensions) > 1 else ""

    def _error(self, message: str, remedy: str, more: str = "") -> DeclarationError:
        sides = " and ".join(starmap(_side, ((self._upstream, self._up), ("this asset", self._down))))
        text = f"the mapping between {sides} doesn't fit: {message}; write --map {self._upstream}={remedy}"
        return DeclarationError(f"{text}, {more}" if more else text)


def _side(name: str, of: PartitionSet) -> str:
    return f"{name} (no partitions)" if of == WHOLE else f"{name} ({_short(of)})"


def _short(of: PartitionSet | Dimension) -> str:
    text = str(of)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def _alike(up: Dimension, down: Dimension) -> bool:
    if isinstance(up, TimeDimension) or isinstance(down, TimeDimension):
        return isinstance(up, TimeDimension) and isinstance(down, TimeDimension)
    return (up.source and up.source == down.source) or set(up.keys) == set(down.keys)
