"""What the names mean that the body of an asset reads.

They resolve in this order: 1. `partition`, `context`; 2. an asset of the same notebook; 3. a name bound by the
parameters cell or a setup cell above; 4. an asset of another notebook; 5. a resource; 6. names of Python and
IPython; 7. none, which is reported.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec

from nbpipe.core.definitions import AssetOptions, CellRef
from nbpipe.core.keys import AMBIENT, INJECTED, PARTITION
from nbpipe.core.reading.asset_options import FILE_PREFIX
from nbpipe.core.reading.facts import Read
from nbpipe.core.reading.notebooks import CellFacts, NotebookFacts
from nbpipe.core.resolving.kinds import NotebookNames
from nbpipe.core.resolving.modules import STAR, Definition, ModuleIndex
from nbpipe.core.resolving.reach import Reach, Reaches
from nbpipe.core.resolving.reports import AMBIENT_NAMES, Reports, suggestion

GLOB_PREFIX = "glob:"


class OutsideNames(msgspec.Struct, frozen=True, kw_only=True):
    """Names that a notebook finds outside of itself."""

    assets: Mapping[str, Sequence[CellRef]] = MappingProxyType({})
    """Where each asset of the project is declared; those of the notebook itself are left out of account."""
    resources: Collection[str] = frozenset()

    def places(self, name: str, notebook: str) -> list[CellRef]:
        """Return where other notebooks declare an asset."""
        found = self.assets.get(name)
        return [ref for ref in found if ref.notebook != notebook] if found else []


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that resolving one body needs to know of its notebook and project."""

    facts: NotebookFacts
    names: NotebookNames
    outside: OutsideNames
    modules: ModuleIndex
    reaches: Reaches
    reports: Reports


@dataclass(slots=True)
class ResolvedBody:
    """The names of one asset cell, resolved."""

    inputs: set[str] = field(default_factory=set)
    """Assets that are loaded; its own name, if it reads earlier partitions of its own."""
    order: set[str] = field(default_factory=set)
    """Upstream assets that are not loaded."""
    setup: dict[str, Read] = field(default_factory=dict)
    """Setup names that the body reads."""
    resources: set[str] = field(default_factory=set)
    patterns: list[str] = field(default_factory=list)
    """Watched files of `--deps file:GLOB`."""
    reach: Reach = field(default_factory=Reach)


def resolve_body(around: Surroundings, position: int) -> ResolvedBody:
    """Resolve the names of the asset cell at `position`; report what is wrong with them."""
    return BodyResolver(around, position).resolve()


class BodyResolver:
    """Resolves one body; that of an asset, unless a kind of its own takes over some of the steps."""

    def __init__(self, around: Surroundings, position: int) -> None:
        """Resolve the body of the cell at `position` among the code cells."""
        self._around = around
        self._names = around.names
        self._position = position
        self._cell: CellFacts = around.facts.cells[position]
        self._own = self._cell.names
        self._options = self._cell.declaration.options if self._cell.declaration is not None else AssetOptions()
        self._stars, self._foreign_star = self._body_stars()
        self._found = ResolvedBody()

    def resolve(self) -> ResolvedBody:
        """Return what the names mean; report what is wrong with them."""
        found = self._found
        for read in self._cell.code.reads:
            self._read(read)
        self._use_and_deps()
        self._map_and_concat()
        self._reach()
        self._reached_outside()
        self._order()
        return found

    def _reach(self) -> None:
        """Find out what the body reaches through setup names."""
        found = self._found
        found.reach = self._around.reaches.of(self._cell.code.statements, found.setup, self._position)
        found.reach.definitions.extend(
            self._stars[read.name] for read in self._cell.code.reads if read.name in self._stars
        )

    def _read(self, read: Read) -> None:
        name = read.name
        names = self._names
        if name in self._own:
            self._own_name(read)
        elif name in names.assets:
            self._asset(read)
        elif name in INJECTED:
            self._injected(read)
        elif names.setup.visible(name, self._position):
            self._found.setup[name] = read
            self._two_levels(read)
        elif name in AMBIENT:
            return
        elif self._around.outside.places(name, self._around.facts.path):
            self._asset(read)
        elif name in self._around.outside.resources:
            self._found.resources.add(name)
        elif name not in self._stars and read.certain:
            self._unknown(read)

    def _asset(self, read: Read) -> None:
        self._found.inputs.add(read.name)

    def _injected(self, read: Read) -> None:
        if read.name == PARTITION and self._options.partitions is None and self._is_readable and read.certain:
            self._error(
                "no-partitions",
                f"asset {self._own[0]!r} has no partitions: add --partitions SPEC, for example "
                f"--partitions daily:2024-01-01; or, if {PARTITION!r} is a variable of yours, rename it",
                read,
            )

    def _own_name(self, read: Read) -> None:
        name = read.name
        mapped = any(name == upstream for upstream, _ in self._options.map)
        partitioned = self._options.partitions is not None
        if mapped and partitioned and len(self._own) == 1:
            self._found.inputs.add(name)
        elif self._is_readable and (read.certain or mapped):
            remedy = "use another name for what goes in"
            if mapped and partitioned:
                remedy = "only one that is alone in its cell can read its earlier partitions, so split the cell"
            elif mapped:
                remedy = "only one with partitions can read its earlier ones, so add --partitions SPEC"
            elif partitioned and len(self._own) == 1:
                remedy += f", or read the partition before by --map {name}=offset(-1)"
            message = f"{name!r} is read before the cell gives it a value: an asset can't read itself; {remedy}"
            self._error("own-name", message, read)

    def _two_levels(self, read: Read) -> None:
        """Warn of a setup name that is also an asset of another notebook, or a resource."""
        name = read.name
        others = [f"an asset ({ref})" for ref in self._around.outside.places(name, self._around.facts.path)]
        if name in self._around.outside.resources:
            others.append("a resource")
        if others and self._around.reports.first("ambiguous-name", name):
            self._around.reports.warning(
                "ambiguous-name",
                f"{name!r} is bound in {self._place_of(self._names.setup.place(name))} and also "
                f"{' and '.join(others)}: the first counts; rename one of them",
                self._cell,
                read.line,
            )

    def _unknown(self, read: Read) -> None:
        name = read.name
        names = self._names
        below = names.setup.place(name)
        if below is not None:
            self._error(
                "bound-below",
                f"{name!r} is bound below this cell, in {self._place_of(below)}: move that cell above",
                read,
            )
        elif name in names.temporaries:
            owner = names.temporaries[name][0]
            self._temporary(read, owner)
        elif name in names.views:
            self._view_name(read, names.views[name])
        else:
            self._nowhere(read)

    def _view_name(self, read: Read, position: int) -> None:
        name = read.name
        statements = self._around.facts.cells[position].code.statements
        where = self._place_of(position)
        message = f"{name!r} is bound by {where}, which shows assets: make it an asset (%%asset {name})"
        if any(name in statement.binds and statement.kind in ("def", "class") for statement in statements):
            message = (
                f"{name}() of {where} reads an asset as a global, which works for view cells only: "
                "pass it as an argument"
            )
        self._error("view-name", message, read)

    def _temporary(self, read: Read, owner: CellFacts) -> None:
        name = read.name
        key = owner.names[0] if owner.names else "?"
        imported = any(name in s.binds and s.kind != "assign" for s in owner.code.statements)
        declared = " ".join((*owner.names, name))
        remedy = (
            "move what binds it into a cell without %%asset, above both"
            if imported
            else f"declare it as an asset too (%%asset {declared})"
        )
        self._error(
            "temporary",
            f"{name!r} is a temporary of asset {key!r} (cell {owner.index + 1}), invisible to other assets: {remedy}",
            read,
        )

    def _nowhere(self, read: Read) -> None:
        name = read.name
        names = self._names
        if self._foreign_star or names.setup.opaque_above(self._position):
            message = f"{name!r} may come from a star import or %run that can't be followed: import it by its name"
            self._around.reports.warning("unknown-name", message, self._cell, read.line)
            return
        hint = suggestion(
            name,
            {*names.assets, *names.setup.names_above(self._position)},
            self._around.outside.assets.keys(),
            {*self._around.outside.resources, *AMBIENT_NAMES},
        )
        broken = [position for position in names.broken if position < self._position]
        if not hint and broken:
            hint = f"; {self._place_of(broken[0])} might bind it, but can't be read"
        self._error("unknown-name", f"nothing is called {name!r}{hint}", read)

    def _use_and_deps(self) -> None:
        for name in self._options.use:
            if self._upstream(name, "--use"):
                self._found.inputs.add(name)
        for name in self._options.deps:
            if name.startswith(FILE_PREFIX):
                self._pattern(name)
            elif self._upstream(name, "--deps"):
                self._found.order.add(name)

    def _map_and_concat(self) -> None:
        """Report options for upstream assets that are none."""
        for option, given in (("--map", self._options.map), ("--concat", self._options.concat)):
            for name, _ in given:
                if name in self._found.inputs or (option == "--map" and name in self._found.order):
                    continue
                self._no_upstream(name, option)

    def _no_upstream(self, name: str, option: str) -> None:
        owner = self._own[0]
        if name in self._own:
            if any(read.name == name for read in self._cell.code.reads):
                return  # reported where it is read
            code, message = "mapping", f"{owner!r} does not read its earlier partition before it is assigned"
        elif name in self._found.order:
            code, message = "mapping", f"{name!r} comes first but is not loaded: name it in --use instead of --deps"
        elif name in self._names.assets or self._around.outside.places(name, self._around.facts.path):
            code, message = "mapping", f"{owner!r} does not read {name!r}: read it in the cell, or take {option} out"
        else:
            code = "unknown-asset"
            upstream = self._found.inputs | self._found.order
            hint = suggestion(name, upstream, self._names.assets.keys(), self._around.outside.assets.keys())
            message = f"there is no asset {name!r}{hint}"
        self._around.reports.error(code, f"{option}: {message}", self._cell, self._declaring_line, self._own)

    def _pattern(self, name: str) -> None:
        """Take a pattern, which starts from the folder of the notebook like every path in it."""
        folder = posixpath.dirname(self._around.facts.path)
        pattern = posixpath.normpath(posixpath.join(folder, name.removeprefix(FILE_PREFIX)))
        if pattern.startswith(("../", "/")) or pattern == "..":
            message = f"--deps {name} is outside of the project: only files below its root are watched"
            self._around.reports.error("outside-file", message, self._cell, self._declaring_line, self._own)
        else:
            self._found.patterns.append(GLOB_PREFIX + pattern)

    def _upstream(self, name: str, option: str) -> bool:
        if name not in self._own and (
            name in self._names.assets or self._around.outside.places(name, self._around.facts.path)
        ):
            return True
        line = self._declaring_line
        if name in self._own:
            message = f"{option}: an asset can't depend on itself ({name!r})"
        else:
            hint = suggestion(name, self._names.assets.keys(), self._around.outside.assets.keys())
            message = f"{option}: there is no asset {name!r}{hint}"
        self._around.reports.error("unknown-asset", message, self._cell, line, self._own)
        return False

    def _reached_outside(self) -> None:
        """Look at what setup statements read beyond setup names: assets must be handed over as arguments."""
        for entry, read in self._found.reach.outside:
            name = read.name
            is_asset = name in self._names.assets
            if not is_asset and name not in AMBIENT:
                is_asset = bool(self._around.outside.places(name, self._around.facts.path))
            if is_asset:
                function = next(iter(entry.statement.binds), "a setup statement")
                user = next((r for n, r in self._found.setup.items() if n == function), None)
                line = user.line if user is not None else self._declaring_line
                self._around.reports.error(
                    "asset-as-global",
                    f"{function}() reads asset {name!r} as a global (cell {entry.cell.index + 1}, line {read.line}), "
                    "which works for view cells only: pass it as an argument",
                    self._cell,
                    line,
                    self._own,
                )
            elif name in self._around.outside.resources:
                self._found.resources.add(name)

    def _order(self) -> None:
        """Warn of assets that are declared below: Run All would not have them yet."""
        for name in sorted(self._found.inputs | self._found.order):
            position = self._names.assets.get(name, -1)
            if position > self._position:
                line = next((r.line for r in self._cell.code.reads if r.name == name), self._declaring_line)
                self._around.reports.warning(
                    "declared-below",
                    f"asset {name!r} is declared below, in {self._place_of(position)}: "
                    "Run All would fail here the first time; move that cell above",
                    self._cell,
                    line,
                )

    def _body_stars(self) -> tuple[dict[str, Definition], bool]:
        """Return what star imports and `%run` in the body bind, and whether some of that can't be known."""
        code = self._cell.code
        modules = self._around.modules
        found: dict[str, Definition] = {}
        foreign = any(modules.script(target) is None for target in code.runs)
        for module in (i.module for s in code.statements for i in s.imports if i.attribute == STAR):
            facts = modules.facts(module)
            if facts is None:
                foreign = True
            else:
                found.update((name, Definition(facts.name, name)) for name in modules.public_names(facts))
        for script in filter(None, map(modules.script, code.runs)):
            found.update((name, Definition(script.name, name)) for name in script.code.binds)
        return found, foreign

    @property
    def _is_readable(self) -> bool:
        """The first line of the cell could be read; if not, what follows from its options is not judged."""
        return self._cell.declaration is not None

    @property
    def _declaring_line(self) -> int:
        return declaring_line(self._cell)

    def _place_of(self, position: int | None) -> str:
        return "another cell" if position is None else f"cell {self._around.facts.cells[position].index + 1}"

    def _error(self, code: str, message: str, read: Read) -> None:
        self._around.reports.error(code, message, self._cell, read.line, self._own)


def declaring_line(cell: CellFacts) -> int:
    """Return the line of the cell on which `%%asset` stands."""
    lines = cell.source.split("\n", 1 + cell.body_line)
    return next((number for number, line in enumerate(lines, 1) if line.strip()), 1)
