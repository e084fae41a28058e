"""Selections of assets as values, and what they choose from a project.

The text form is read by `selection_syntax`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal, get_args

import msgspec

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.graph import AssetGraph
from nbpipe.errors import SelectionError, UnknownNameError, nearest

Attribute = Literal["group", "tag", "kind", "owner", "notebook", "status"]
AssetStatus = Literal["missing", "fresh", "stale", "failed", "running", "queued"]
Statuses = Mapping[str, Collection[str]] | Callable[[], Mapping[str, Collection[str]]]
"""By asset, what is true of it: of one with partitions, what is true of any of them. A text is one status."""

ATTRIBUTES: tuple[str, ...] = get_args(Attribute)
STATUSES: tuple[str, ...] = get_args(AssetStatus)


class Name(msgspec.Struct, frozen=True):
    """Assets whose name fits a pattern (`*` any text, `?` any character)."""

    pattern: str
    column: int = 0


class Has(msgspec.Struct, frozen=True):
    """Assets of which something is true: `group:g`, `tag:k=v`, `status:stale`. Values may hold `*` and `?`."""

    attribute: Attribute
    value: str
    column: int = 0


class And(msgspec.Struct, frozen=True):
    """What all parts choose."""

    parts: tuple[Selection, ...]


class Or(msgspec.Struct, frozen=True):
    """What any part chooses."""

    parts: tuple[Selection, ...]


class Not(msgspec.Struct, frozen=True):
    """Everything that the part does not choose."""

    part: Selection


class Up(msgspec.Struct, frozen=True):
    """What the part chooses and what feeds it, by up to `depth` edges (None: all)."""

    part: Selection
    depth: int | None = None


class Down(msgspec.Struct, frozen=True):
    """What the part chooses and what it feeds, by up to `depth` edges (None: all)."""

    part: Selection
    depth: int | None = None


class Roots(msgspec.Struct, frozen=True):
    """What the part chooses and nothing else that it chooses feeds; without a part, of the whole graph."""

    part: Selection | None = None


class Sinks(msgspec.Struct, frozen=True):
    """What the part chooses and that feeds nothing else that it chooses; without a part, of the whole graph."""

    part: Selection | None = None


Selection = Name | Has | And | Or | Not | Up | Down | Roots | Sinks


def resolve(
    selection: Selection,
    graph: AssetGraph,
    specs: Mapping[str, AssetSpec],
    statuses: Statuses | None = None,
) -> tuple[str, ...]:
    """Return the chosen assets in topological order (those on a circle last).

    `statuses` is asked only if the selection speaks of `status:`; give a function where finding out costs.

    Raises:
        UnknownNameError: a name without a wildcard is no asset.
        SelectionError: a wildcard, group, tag, kind, owner or notebook fits no asset at all. That no asset has
            a certain status is no error.
    """
    return graph.arrange(_Resolver(graph, specs, statuses).of(selection))


class _Resolver:
    """One resolution. It recurses over the expression, whose depth the parser limits, never over the graph."""

    def __init__(self, graph: AssetGraph, specs: Mapping[str, AssetSpec], statuses: Statuses | None) -> None:
        self._graph, self._specs, self._statuses = graph, specs, statuses

    def of(self, selection: Selection) -> frozenset[str]:
        match selection:
            case Name():
                return self._named(selection)
            case Has(attribute="status"):
                return self._in_status(selection)
            case Has():
                return self._having(selection)
            case And(parts):
                return frozenset.intersection(*map(self.of, parts))
            case Or(parts):
                return frozenset().union(*map(self.of, parts))
            case Not(part):
                return frozenset(self._graph) - self.of(part)
            case _:
                return self._walk(selection)

    def _walk(self, selection: Up | Down | Roots | Sinks) -> frozenset[str]:
        graph = self._graph
        keys = frozenset(graph) if selection.part is None else self.of(selection.part)
        match selection:
            case Up(depth=depth):
                return keys | graph.ancestors(keys, depth)
            case Down(depth=depth):
                return keys | graph.descendants(keys, depth)
            case Roots():
                return frozenset(graph.roots(keys))
            case _:
                return frozenset(graph.sinks(keys))

    def _named(self, wanted: Name) -> frozenset[str]:
        pattern = wanted.pattern
        if pattern in self._graph:
            return frozenset({pattern})
        if not is_pattern(pattern):
            hint = "a partition is chosen with --partition" if "@" in pattern else "`nbpipe list` shows all"
            raise UnknownNameError("asset", pattern, self._graph, hint=hint)
        fits = pattern_test(pattern)
        found = frozenset(key for key in self._graph if fits(key))
        if not found and pattern.strip("*"):  # everything may be nothing
            raise SelectionError(f"no asset has a name like {pattern!r}", column=wanted.column)
        return found

    def _having(self, wanted: Has) -> frozenset[str]:
        fits = pattern_test(wanted.value)
        found = set()
        seen: set[str] = set()
        for key in self._graph:
            values = attribute_values(self._specs[key], wanted.attribute)
            seen.update(values)
            if any(map(fits, values)):
                found.add(key)
        if not found:
            raise SelectionError(_nothing_has(wanted, seen), column=wanted.column)
        return frozenset(found)

    def _in_status(self, wanted: Has) -> frozenset[str]:
        if self._statuses is None:
            raise SelectionError("status: can't be used here, where no state is known", column=wanted.column)
        if callable(self._statuses):
            self._statuses = self._statuses()
        return frozenset(
            key
            for key, found in self._statuses.items()
            if key in self._graph and (found == wanted.value if isinstance(found, str) else wanted.value in found)
        )


def attribute_values(spec: AssetSpec, attribute: Attribute) -> tuple[str, ...]:
    """Return what a selection may say of an asset's group, tags (`k` and `k=v`), kinds, owners or notebook."""
    options = spec.options
    match attribute:
        case "group":
            return (options.group,) if options.group else ()
        case "tag":
            return tuple(text for name, value in options.tags for text in (name, f"{name}={value}"))
        case "kind":
            return options.kinds
        case "owner":
            return options.owners
        case "notebook":
            return (spec.cell.notebook,)
        case _:
            return ()


def is_pattern(text: str) -> bool:
    """Tell whether a text holds a wildcard."""
    return "*" in text or "?" in text


def pattern_test(pattern: str) -> Callable[[str], bool]:
    """Return a test for whether a whole text fits: `*` stands for any text, `?` for any one character."""
    if not is_pattern(pattern):
        return pattern.__eq__
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    compiled = re.compile("".join(parts), re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def quoted(text: str) -> str:
    """Write a name so that a selection reads it as one word."""
    return text if not set(text) & set(" ()+'\":*?,;&|!") else f"'{text}'" if "'" not in text else f'"{text}"'


def _nothing_has(wanted: Has, seen: Iterable[str]) -> str:
    similar = nearest(wanted.value, sorted(seen))
    remedy = f": did you mean {wanted.attribute}:{quoted(similar)}?" if similar else ""
    return f"no asset has {wanted.attribute}:{wanted.value}{remedy}"
