"""What the body of an asset reaches through the names it reads, at any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nbpipe.core.reading.facts import Import, Read, Statement
from nbpipe.core.resolving.modules import STAR, Definition, ModuleIndex
from nbpipe.core.resolving.setup_names import Entry, NameInfo, SetupNames


@dataclass(slots=True)
class Reach:
    """What one body reaches."""

    setup: Mapping[str, NameInfo] = field(default_factory=dict)
    """Names of setup and parameters cells."""
    outside: Sequence[tuple[Entry, Read]] = ()
    """What the statements of those names read that is no setup name."""
    definitions: list[Definition] = field(default_factory=list)
    """Definitions in modules of the project from which to go on."""
    strings: Mapping[str, None] = field(default_factory=dict)
    """String literals of the body and of those statements."""

    def parameters(self, known: Iterable[str]) -> tuple[str, ...]:
        """Return the parameters among the names, sorted."""
        return tuple(sorted(name for name in known if name in self.setup and self.setup[name].parameter))


class _Closure:
    """Setup names with everything that they reach: the same for every body that reads the same names."""

    __slots__ = ("imports", "outside", "setup", "statements", "strings")

    def __init__(self) -> None:
        self.setup: dict[str, NameInfo] = {}
        self.outside: list[tuple[Entry, Read]] = []
        self.statements: list[Statement] = []
        self.imports: list[Import] = []
        self.strings: dict[str, None] = {}


class Reaches:
    """Follows the names of one notebook."""

    def __init__(self, setup: SetupNames, modules: ModuleIndex, is_asset: Callable[[str], bool]) -> None:
        """Follow names through setup cells and modules.

        Args:
            setup: the names of the notebook's setup cells.
            modules: the project's modules.
            is_asset: tells whether the notebook has an asset of a name, which then hides a setup name.
        """
        self._setup = setup
        self._modules = modules
        self._is_asset = is_asset
        self._closures: dict[tuple[int, tuple[str, ...]], _Closure] = {}

    def of(self, body: Sequence[Statement], names: Iterable[str], position: int) -> Reach:
        """Follow `names`, which setup cells above `position` bind, through the statements that bind or change them.

        Args:
            body: statements of the body.
            names: setup names that the body reads.
            position: where its cell is, among the code cells.
        """
        key = (self._setup.statements_above(position), tuple(sorted(names)))
        closure = self._closures.get(key)
        if closure is None:
            closure = self._closures[key] = self._closure(key[1], position)
        strings = dict.fromkeys(text for statement in body for text in statement.strings)
        strings.update(closure.strings)
        found = Reach(closure.setup, closure.outside, [], strings)
        self._definitions(found, closure, body)
        return found

    def _closure(self, names: Iterable[str], position: int) -> _Closure:
        found = _Closure()
        waiting = list(names)
        found.setup.update((name, self._setup.info(name, position)) for name in waiting)
        seen: set[int] = set()
        while waiting:
            for entry in found.setup[waiting.pop()].entries:
                if id(entry) not in seen:
                    seen.add(id(entry))
                    waiting.extend(self._enter(found, entry, position))
        for info in found.setup.values():
            found.imports.extend(info.imports)
        return found

    def _enter(self, found: _Closure, entry: Entry, position: int) -> list[str]:
        """Take in a statement; return the setup names that it leads to for the first time."""
        new = []
        statement = entry.statement
        found.statements.append(statement)
        found.strings.update(dict.fromkeys(statement.strings))
        if statement.kind != "import":  # of its names, only those that are reached count
            found.imports.extend(statement.imports)
        for read in statement.reads:
            name = read.name
            if name in found.setup:
                continue
            if self._setup.visible(name, position) and not self._is_asset(name):
                found.setup[name] = self._setup.info(name, position)
                new.append(name)
            else:
                found.outside.append((entry, read))
        return new

    def _definitions(self, found: Reach, closure: _Closure, body: Sequence[Statement]) -> None:
        for info in closure.setup.values():
            found.definitions.extend(info.definitions)
        imports = closure.imports + [imported for statement in body for imported in statement.imports]
        imports = [i for i in imports if i.attribute != STAR and self._modules.is_project(i)]
        if not imports:
            return
        statements = (*body, *closure.statements)
        attributes = {pair for statement in statements for pair in statement.attributes}
        dynamic = {name for statement in statements for name in statement.dynamic}
        for imported in dict.fromkeys(imports):
            found.definitions.extend(self._modules.targets(imported, attributes, dynamic=imported.name in dynamic))
