"""Which kind each cell of a notebook is, and which names it gives to whom.

One pass from the top: a plain cell that reads an asset, a temporary of an asset's body, or a name bound by a
view cell above is a view cell; every other plain cell is a setup cell. A setup function that reads an asset
only when it is called does not make its cell a view cell, but whoever calls it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nbpipe.core.definitions import CellKind
from nbpipe.core.keys import AMBIENT
from nbpipe.core.reading.declarations import DECLARING_LINE_MAGICS, LATER_CELL_MAGICS, SENSOR
from nbpipe.core.reading.facts import Read, Statement
from nbpipe.core.reading.notebooks import PARAMETERS_TAG, SKIP_TAGS, CellFacts, NotebookFacts
from nbpipe.core.resolving.modules import ModuleIndex
from nbpipe.core.resolving.setup_names import SetupNames

#: Kinds of statements that a view cell may share with setup cells.
_DEFINING = frozenset({"import", "def", "class"})
_CALLABLE = frozenset({"def", "class"})

Shown = frozenset[str]
"""Assets that something shows."""


@dataclass(slots=True)
class CellNames:
    """One cell, classified."""

    kind: CellKind
    shows: Shown = frozenset()
    binds: tuple[str, ...] = ()
    """Names that assets below may see."""
    rebinds: tuple[str, ...] = ()
    """Assets of this notebook whose names the plain cell binds."""


@dataclass(slots=True)
class NotebookNames:
    """Who binds what in one notebook; positions count code cells."""

    setup: SetupNames
    cells: list[CellNames] = field(default_factory=list)
    assets: dict[str, int] = field(default_factory=dict)
    """Position of the first cell that declares it."""
    temporaries: dict[str, list[CellFacts]] = field(default_factory=dict)
    """The asset cells whose bodies bind the name."""
    views: dict[str, int] = field(default_factory=dict)
    """Position of the first view cell that binds the name, which assets can't see."""
    plain: set[str] = field(default_factory=set)
    """Every name that a plain cell binds."""
    broken: list[int] = field(default_factory=list)
    """Positions of plain cells that can't be analysed."""


def declares(cell: CellFacts) -> bool:
    """Tell whether a cell declares assets that count."""
    return cell.magic == "asset" and not skipped(cell) and not (cell.declaration is not None and cell.declaration.help)


def declares_automation(cell: CellFacts) -> bool:
    """Tell whether a cell declares a job, a schedule or a sensor that counts."""
    if cell.magic != SENSOR and not any(magic.name in DECLARING_LINE_MAGICS for magic in cell.code.magics):
        return False
    return not skipped(cell)


def skipped(cell: CellFacts) -> bool:
    """Tell whether a tag excludes the cell."""
    return bool(cell.tags) and not SKIP_TAGS.isdisjoint(cell.tags)


def classify(facts: NotebookFacts, is_outside: Callable[[str], bool], modules: ModuleIndex) -> NotebookNames:
    """Classify the cells of a notebook.

    Args:
        facts: the notebook.
        is_outside: tells whether another notebook declares an asset of this name.
        modules: the project's modules as this notebook imports them.
    """
    names = NotebookNames(setup=SetupNames(modules))
    for position, cell in enumerate(facts.cells):
        if declares(cell):
            _collect_asset(names, position, cell)
    pass_ = _Pass(names, is_outside)
    for position, cell in enumerate(facts.cells):
        names.cells.append(pass_.cell(position, cell))
    return names


def _collect_asset(names: NotebookNames, position: int, cell: CellFacts) -> None:
    for name in cell.names:
        names.assets.setdefault(name, position)
    for name in cell.code.binds:
        if name not in cell.names and name not in AMBIENT:
            names.temporaries.setdefault(name, []).append(cell)


class _Pass:
    """The pass over the cells: what the names bound so far show."""

    def __init__(self, names: NotebookNames, is_outside: Callable[[str], bool]) -> None:
        self._names = names
        self._is_outside = is_outside
        self._views: dict[str, Shown] = {}
        """What each name of a view cell, and each setup function that reads an asset, shows."""
        self._parameters_seen = False

    def cell(self, position: int, cell: CellFacts) -> CellNames:
        """Classify the next cell."""
        if skipped(cell):
            return CellNames("skipped")
        if cell.magic == "asset":
            kind: CellKind = "broken" if cell.problem else "asset" if declares(cell) else "other"
            return CellNames(kind)
        if cell.magic in LATER_CELL_MAGICS:
            return CellNames("other")
        if cell.problem is not None:
            self._names.broken.append(position)
            return CellNames("broken")
        if PARAMETERS_TAG in cell.tags and not self._parameters_seen:
            self._parameters_seen = True
            return self._setup(position, cell, "parameters", {})
        if not (cell.code.statements or cell.code.magics or cell.code.runs or cell.magic):
            return CellNames("other")
        return self._plain(position, cell)

    def _plain(self, position: int, cell: CellFacts) -> CellNames:
        shown = {read.name: found for read in cell.code.reads if (found := self._shown(read.name, position))}
        functions = _functions_that_show(cell.code.statements, shown)
        if not shown or functions is not None:
            return self._setup(position, cell, "setup", functions or {})
        return self._view(position, cell, shown)

    def _setup(self, position: int, cell: CellFacts, kind: CellKind, functions: Mapping[str, Shown]) -> CellNames:
        names = self._names
        defaults = [parameter.name for parameter in cell.parameters] if kind == "parameters" else ()
        bound = names.setup.add_statements(position, cell, cell.code.statements, defaults)
        bound += names.setup.add_magics(position, cell)
        names.plain.update(bound)
        for name in bound:
            self._views.pop(name, None)
        self._views.update(functions)
        return CellNames(kind, binds=tuple(dict.fromkeys(bound)), rebinds=self._rebinds(bound))

    def _view(self, position: int, cell: CellFacts, shown: Mapping[str, Shown]) -> CellNames:
        shows = frozenset().union(*shown.values())
        lasting = _lasting(cell.code.statements, shown)
        names = self._names
        bound = names.setup.add_statements(position, cell, lasting) + names.setup.add_magics(position, cell)
        names.plain.update(cell.code.binds)
        names.plain.update(bound)
        for name in cell.code.binds:
            if name in bound:
                self._views.pop(name, None)
            else:
                self._views[name] = shows
                names.views.setdefault(name, position)
        return CellNames("view", shows, tuple(dict.fromkeys(bound)), self._rebinds(cell.code.binds))

    def _shown(self, name: str, position: int) -> Shown | None:
        """Return the assets that a plain cell shows by reading `name`; None for a name that shows none."""
        names = self._names
        if name in names.assets:
            return frozenset((name,))
        if name in self._views:
            return self._views[name]
        if names.setup.visible(name, position):
            return None
        owners = names.temporaries.get(name)
        if owners is not None:
            return frozenset(key for owner in owners for key in owner.names)
        return frozenset((name,)) if self._is_outside(name) else None

    def _rebinds(self, bound: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in bound if name in self._names.assets)


def _functions_that_show(statements: Iterable[Statement], shown: Mapping[str, Shown]) -> dict[str, Shown] | None:
    """Return the functions that read an asset when they are called, if nothing else in the cell shows one."""
    if not shown:
        return {}
    showing: dict[str, Shown] = dict(shown)
    functions: dict[str, Shown] = {}
    statements = tuple(statements)
    growing = True
    while growing:
        growing = False
        for statement in statements:
            calls = statement.kind not in _CALLABLE
            hits = [r for r in statement.reads if r.name in showing and (calls or r.name not in statement.binds)]
            if not hits:
                continue
            if calls or not all(read.deferred for read in hits):
                return None
            shows = _union(hits, showing)
            for name in statement.binds:
                if not shows <= functions.get(name, frozenset()):
                    functions[name] = showing[name] = shows | functions.get(name, frozenset())
                    growing = True
    return functions


def _union(reads: Iterable[Read], showing: Mapping[str, Shown]) -> Shown:
    return frozenset().union(*(showing[read.name] for read in reads))


def _lasting(statements: Iterable[Statement], shown: Mapping[str, Shown]) -> list[Statement]:
    """Return the imports, functions and classes of a view cell that need nothing of what it shows."""
    statements = tuple(statements)
    lasting = [s for s in statements if s.kind in _DEFINING]
    unsteady = {name for s in statements if s.kind not in _DEFINING for name in s.binds}.union(shown)
    while True:
        kept = [s for s in lasting if unsteady.isdisjoint(read.name for read in s.reads if read.name not in s.binds)]
        kept = [s for s in kept if unsteady.isdisjoint(s.binds)]
        if len(kept) == len(lasting):
            return kept
        unsteady.update(name for s in lasting if s not in kept for name in s.binds)
        lasting = kept
