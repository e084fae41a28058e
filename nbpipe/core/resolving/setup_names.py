"""The names that setup and parameters cells bind, and what each of them reaches."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable
from typing import NamedTuple

from nbpipe.core.reading.facts import Import, Statement
from nbpipe.core.reading.notebooks import CellFacts
from nbpipe.core.resolving.modules import STAR, Definition, ModuleIndex, statements_hash

_GENERATOR = re.compile(r"\b(?:default_rng|RandomState|Random|Generator)\s*\(")
_PLAIN_LITERAL = re.compile(r"[^\[{(]")

#: Line magics that may bind names that no text shows.
_OPAQUE_MAGICS = frozenset({"pylab", "store"})


class Entry(NamedTuple):
    """One top-level statement that counts as setup."""

    position: int
    """Of its cell among the code cells."""
    cell: CellFacts
    statement: Statement
    parameter: bool
    """It gives parameters their defaults."""


class NameInfo(NamedTuple):
    """What one setup name means for whoever stands below it."""

    entries: tuple[Entry, ...]
    """Statements that bind it or visibly change it, in order."""
    imports: tuple[Import, ...]
    definitions: tuple[Definition, ...]
    """Where star imports and `%run` of project files bind it."""
    label: str | None
    """Its component of a code version; None if it has none of its own."""
    hash: str
    parameter: bool
    generator: bool
    """It is a random generator."""
    scalar: bool
    """Only plain values that can't be changed in place are bound to it."""


class SetupNames:
    """Names bound by setup cells, by position; filled from the top of the notebook to its end."""

    def __init__(self, modules: ModuleIndex) -> None:
        """Start with no names."""
        self._modules = modules
        self._entries: list[Entry] = []
        self._touching: dict[str, list[int]] = {}
        self._bound: dict[str, list[int]] = {}
        self._stars: dict[str, list[tuple[int, Definition]]] = {}
        self._opaque: list[int] = []
        self._positions: list[int] = []
        """Of the cells that bind or change something, in order."""
        self._known: dict[tuple[str, int, int], NameInfo] = {}
        self.parameters: set[str] = set()

    def add_statements(
        self, position: int, cell: CellFacts, statements: Iterable[Statement], defaults: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Take in the statements of one cell; return the names they bind (`*`: some that can't be known).

        Args:
            position: of the cell among the code cells.
            cell: the cell.
            statements: those of its statements that count as setup.
            defaults: names that are parameters.
        """
        defaults = frozenset(defaults)
        self.parameters |= defaults
        bound: dict[str, None] = {}
        for statement in statements:
            parameter = bool(defaults) and bool(statement.binds) and defaults.issuperset(statement.binds)
            self._add(Entry(position, cell, statement, parameter))
            bound.update(dict.fromkeys(statement.binds))
            for imported in statement.imports:
                if imported.attribute == STAR:
                    bound.update(dict.fromkeys(self._add_star(position, imported.module)))
        return tuple(bound)

    def add_magics(self, position: int, cell: CellFacts) -> tuple[str, ...]:
        """Take in `%run` and magics like it; return the names they bind (`*`: some that can't be known)."""
        bound: dict[str, None] = {}
        for target in cell.code.runs:
            script = self._modules.script(target)
            if script is None:
                self._opaque.append(position)
                bound[STAR] = None
            else:
                bound.update(dict.fromkeys(self._bind_all(position, script.name, script.code.binds)))
                for imported in (i for s in script.code.statements for i in s.imports if i.attribute == STAR):
                    bound.update(dict.fromkeys(self._add_star(position, imported.module)))
        if any(magic.name in _OPAQUE_MAGICS for magic in cell.code.magics):
            self._opaque.append(position)
            bound[STAR] = None
        return tuple(bound)

    def visible(self, name: str, position: int) -> bool:
        """Tell whether a setup cell above `position` binds the name."""
        bound = self._bound.get(name)
        return bound is not None and bound[0] < position

    def place(self, name: str) -> int | None:
        """Return the position of the first setup cell that binds the name."""
        bound = self._bound.get(name)
        return bound[0] if bound else None

    def opaque_above(self, position: int) -> bool:
        """Tell whether something above binds names that can't be known: a foreign star import, for example."""
        return bool(self._opaque) and self._opaque[0] < position

    def statements_above(self, position: int) -> int:
        """Return how much stands above `position`: equal numbers mean that the same names are visible."""
        return bisect_left(self._positions, position)

    def names_above(self, position: int) -> list[str]:
        """Return every name visible at `position`."""
        return [name for name, bound in self._bound.items() if bound[0] < position]

    def info(self, name: str, position: int) -> NameInfo:
        """Return what a visible name means at `position`."""
        touching = self._touching.get(name, [])
        count = len(touching)
        if count and self._entries[touching[-1]].position >= position:
            count = bisect_left(touching, position, key=lambda ordinal: self._entries[ordinal].position)
        bound = self._stars.get(name)
        stars = [definition for at, definition in bound if at < position] if bound else []
        key = (name, count, len(stars))
        known = self._known.get(key)
        if known is None:
            entries = tuple(self._entries[ordinal] for ordinal in touching[:count])
            known = self._known[key] = _info(name, entries, tuple(stars))
        return known

    def _add(self, entry: Entry) -> None:
        statement = entry.statement
        self._note(entry.position)
        ordinal = len(self._entries)
        self._entries.append(entry)
        for name in statement.binds:
            self._touching.setdefault(name, []).append(ordinal)
            self._bound.setdefault(name, []).append(entry.position)
        for name in statement.mutates:
            if name not in statement.binds:
                self._touching.setdefault(name, []).append(ordinal)

    def _note(self, position: int) -> None:
        if not self._positions or self._positions[-1] != position:
            self._positions.append(position)

    def _add_star(self, position: int, module: str) -> tuple[str, ...]:
        facts = self._modules.facts(module)
        if facts is None:
            self._opaque.append(position)
            return (STAR,)
        return self._bind_all(position, facts.name, self._modules.public_names(facts))

    def _bind_all(self, position: int, module: str, names: Iterable[str]) -> tuple[str, ...]:
        bound = tuple(names)
        self._note(position)
        for name in bound:
            self._stars.setdefault(name, []).append((position, Definition(module, name)))
            self._bound.setdefault(name, []).append(position)
        return bound


def entries_source(entries: Iterable[Entry]) -> str:
    """Return the lines of statements that may stand in several cells."""
    return "\n".join(_source(entry) for entry in entries)


def lasting(info: NameInfo) -> tuple[Entry, ...]:
    """Return the statements whose text counts: not imports, which count as what they import, nor defaults."""
    return tuple(e for e in info.entries if not e.parameter and e.statement.kind != "import")


def _info(name: str, entries: tuple[Entry, ...], definitions: tuple[Definition, ...]) -> NameInfo:
    own = [e.statement for e in entries if not e.parameter and e.statement.kind != "import"]
    binding = [e.statement for e in entries if name in e.statement.binds]
    label = None
    if own:
        callable_ = any(name in s.binds and s.kind in ("def", "class") for s in own)
        label = f"{'helper' if callable_ else 'constant'}:{name}"
    return NameInfo(
        entries=entries,
        imports=tuple(i for s in binding for i in s.imports if i.name == name),
        definitions=definitions,
        label=label,
        hash=statements_hash(own) if own else "",
        parameter=any(e.parameter for e in entries),
        generator=any(
            name in e.statement.binds and e.statement.kind == "assign" and _GENERATOR.search(_source(e)) is not None
            for e in entries
        ),
        scalar=bool(binding) and all(s.literal is not None and _PLAIN_LITERAL.match(s.literal) for s in binding),
    )


def _source(entry: Entry) -> str:
    lines = entry.cell.source.split("\n")
    return "\n".join(lines[entry.statement.line - 1 : entry.statement.end_line])
