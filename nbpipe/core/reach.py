"""What the body of an asset reaches through the names it reads, at any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nbpipe.core.facts import Import, Read, Statement
from nbpipe.core.modules import STAR, Definition, ModuleIndex
from nbpipe.core.setup_names import Entry, NameInfo, SetupNames


@dataclass(slots=True)
class Reach:
    """What one body reaches."""

    setup: dict[str, NameInfo] = field(default_factory=dict)
    """Names of setup and parameters cells."""
    outside: list[tuple[Entry, Read]] = field(default_factory=list)
    """What the statements of those names read that is no setup name."""
    definitions: list[Definition] = field(default_factory=list)
    """Definitions in modules of the project from which to go on."""
    imports: list[Import] = field(default_factory=list)
    """Imports within the body and within those statements."""
    strings: dict[str, None] = field(default_factory=dict)
    """String literals of the body and of those statements."""

    def parameters(self, known: Iterable[str]) -> tuple[str, ...]:
        """Return the parameters among the names, sorted."""
        return tuple(sorted(name for name in known if name in self.setup and self.setup[name].parameter))


def reach(
    body: Iterable[Statement],
    names: Iterable[str],
    position: int,
    setup: SetupNames,
    modules: ModuleIndex,
    is_asset: Callable[[str], bool],
) -> Reach:
    """Follow `names`, which setup cells above `position` bind, through the statements that bind or change them.

    Args:
        body: statements of the body.
        names: setup names that the body reads.
        position: where its cell is, among the code cells.
        setup: the names of the notebook's setup cells.
        modules: the project's modules.
        is_asset: tells whether this notebook has an asset of a name, which then hides a setup name.
    """
    found = Reach()
    waiting = list(names)
    found.setup.update((name, setup.info(name, position)) for name in waiting)
    seen: set[int] = set()
    statements = list(body)
    found.imports.extend(i for statement in statements for i in statement.imports)
    while waiting:
        for entry in found.setup[waiting.pop()].entries:
            if id(entry) in seen:
                continue
            seen.add(id(entry))
            statements.append(entry.statement)
            if entry.statement.kind != "import":  # of its names, only those that are reached count
                found.imports.extend(entry.statement.imports)
            for read in entry.statement.reads:
                name = read.name
                if name in found.setup:
                    continue
                if setup.visible(name, position) and not is_asset(name):
                    found.setup[name] = setup.info(name, position)
                    waiting.append(name)
                else:
                    found.outside.append((entry, read))
    for statement in statements:
        if statement.strings:
            found.strings.update(dict.fromkeys(statement.strings))
    _definitions(found, statements, modules)
    return found


def _definitions(found: Reach, statements: list[Statement], modules: ModuleIndex) -> None:
    imports = [i for info in found.setup.values() for i in info.imports] + found.imports
    imports = [i for i in imports if i.attribute != STAR and modules.is_project(i)]
    for info in found.setup.values():
        found.definitions.extend(info.definitions)
    if imports:
        attributes = {pair for statement in statements for pair in statement.attributes}
        dynamic = {name for statement in statements for name in statement.dynamic}
        for imported in dict.fromkeys(imports):
            found.definitions.extend(modules.targets(imported, attributes, dynamic=imported.name in dynamic))
