"""Modules of the project that notebooks import or `%run`: which of their definitions a name reaches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

import msgspec

from nbpipe.core.reading.facts import CodeFacts, Import, Statement
from nbpipe.core.reading.fingerprints import fingerprint_sequence, text_hash

STAR = "*"


class ModuleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the text of one module (or of a file that `%run` names) says."""

    name: str
    """Dotted name; for a file that `%run` names, its path without the suffix, with dots."""
    code: CodeFacts
    source: str = ""
    package: bool = False
    """It is the `__init__` of a package."""


class ModuleSource(Protocol):
    """Finds modules of the project as a notebook would import them; nothing is executed."""

    def facts(self, module: str, notebook: str) -> ModuleFacts | None:
        """Return a module by its dotted name, as imported from `notebook`; None if it is not the project's."""

    def script(self, target: str, notebook: str) -> ModuleFacts | None:
        """Return the file that `%run target` in `notebook` executes; None if it is not the project's."""


class NoModules:
    """A project without modules."""

    def facts(self, module: str, notebook: str) -> ModuleFacts | None:  # noqa: ARG002 - the port's signature
        """Find nothing."""
        return None

    def script(self, target: str, notebook: str) -> ModuleFacts | None:  # noqa: ARG002 - the port's signature
        """Find nothing."""
        return None


class Definition(msgspec.Struct, frozen=True):
    """A name defined in a module; `*` is the module as a whole."""

    module: str
    name: str


class Reached(msgspec.Struct, frozen=True):
    """One definition as a component of a code version."""

    label: str
    hash: str
    source: str
    """Its lines; empty for an import, which is known by its label."""


class ModuleIndex:
    """Follows names through the modules of one notebook; remembers what it has found."""

    def __init__(self, source: ModuleSource, notebook: str) -> None:
        """Look modules up as `notebook` would."""
        self._source = source
        self._notebook = notebook
        self._facts: dict[str, ModuleFacts | None] = {}
        self._steps: dict[Definition, tuple[Reached | None, tuple[Definition, ...]]] = {}

    def facts(self, module: str) -> ModuleFacts | None:
        """Return a module of the project, or None."""
        if module not in self._facts:
            self._facts[module] = self._source.facts(module, self._notebook)
        return self._facts[module]

    def is_project(self, imported: Import) -> bool:
        """Tell whether a notebook's import reaches a module of the project."""
        if self.facts(imported.module) is not None:
            return True
        attribute = imported.attribute
        return attribute not in (None, STAR) and self.facts(f"{imported.module}.{attribute}") is not None

    def script(self, target: str) -> ModuleFacts | None:
        """Return the file that `%run target` executes and know it by its name from now on."""
        found = self._source.script(target, self._notebook)
        if found is not None:
            self._facts.setdefault(found.name, found)
        return found

    def public_names(self, module: ModuleFacts) -> tuple[str, ...]:
        """Return the names that a star import of `module` binds, followed through its own star imports."""
        found: dict[str, None] = {}
        seen = {module.name}
        waiting = [module]
        while waiting:
            current = waiting.pop()
            found.update(dict.fromkeys(n for n in current.code.binds if not n.startswith("_")))
            for imported in _imports(current.code.statements):
                target = self.facts(absolute(imported.module, current)) if imported.attribute == STAR else None
                if target is not None and target.name not in seen:
                    seen.add(target.name)
                    waiting.append(target)
        return tuple(found)

    def targets(
        self,
        imported: Import,
        attributes: Collection[tuple[str, str]],
        *,
        dynamic: bool,
        within: ModuleFacts | None = None,
    ) -> tuple[Definition, ...]:
        """Return what an imported name reaches.

        Args:
            imported: the import.
            attributes: `(name, attribute)` pairs read where the name is used.
            dynamic: the name is also used in another way: then a module counts as a whole.
            within: the module in which the import stands; None: a notebook.
        """
        module = absolute(imported.module, within)
        if imported.attribute is not None:
            return self._attribute(module, imported.attribute, imported.name, attributes, dynamic=dynamic)
        if "." in module and imported.name == module.partition(".")[0]:  # `import a.b` binds `a`
            return (Definition(module, STAR),) if self.facts(module) else ()
        return self._members(module, imported.name, attributes, dynamic=dynamic)

    def reach(self, starts: Iterable[Definition]) -> Iterator[Reached]:
        """Yield each definition reached from `starts`, each once."""
        seen = set(starts)
        waiting = list(seen)
        while waiting:
            definition = waiting.pop()
            step = self._steps.get(definition)
            if step is None:
                step = self._steps[definition] = self._step(definition)
            if step[0] is not None:
                yield step[0]
            new = [d for d in step[1] if d not in seen]
            seen.update(new)
            waiting.extend(new)

    def _attribute(
        self, module: str, attribute: str, name: str, attributes: Collection[tuple[str, str]], *, dynamic: bool
    ) -> tuple[Definition, ...]:
        facts = self.facts(module)
        if facts is not None and (attribute in facts.code.binds or attribute == STAR):
            return (Definition(module, attribute),)
        submodule = f"{module}{'' if module.endswith('.') else '.'}{attribute}"
        if self.facts(submodule) is not None:
            return self._members(submodule, name, attributes, dynamic=dynamic)
        # Bound by a star import of that module, or in a way that its text does not show.
        return (Definition(module, attribute),) if facts is not None else ()

    def _members(
        self, module: str, name: str, attributes: Collection[tuple[str, str]], *, dynamic: bool
    ) -> tuple[Definition, ...]:
        if self.facts(module) is None:
            return ()
        used = sorted({attribute for owner, attribute in attributes if owner == name})
        if dynamic or not used:
            return (Definition(module, STAR),)
        return tuple(self._member(module, attribute) for attribute in used)

    def _member(self, module: str, attribute: str) -> Definition:
        facts = self.facts(module)
        if facts is not None and attribute not in facts.code.binds and self.facts(f"{module}.{attribute}") is not None:
            return Definition(f"{module}.{attribute}", STAR)
        return Definition(module, attribute)

    def _step(self, definition: Definition) -> tuple[Reached | None, tuple[Definition, ...]]:
        facts = self.facts(definition.module)
        if facts is None:
            return None, ()
        if definition.name == STAR:
            whole = Reached(f"module:{definition.module}", facts.code.fingerprint, facts.source)
            return whole, self._all_imported(facts)
        own = [s for s in facts.code.statements if definition.name in s.binds or definition.name in s.mutates]
        if not any(definition.name in s.binds for s in own):
            # If its text does not show where the name comes from, the whole module counts.
            return None, (self._named(definition.name, facts) or Definition(definition.module, STAR),)
        reads = {read.name for statement in own for read in statement.reads} - {definition.name}
        onward = [self._named(name, facts) for name in sorted(reads)]
        found = [target for target in onward if target is not None]
        for imported in _imports(own):
            if imported.name == definition.name:
                attributes, dynamic = _uses(definition.name, facts.code.statements)
                found.extend(self.targets(imported, attributes, dynamic=dynamic, within=facts))
        lasting = [statement for statement in own if statement.kind != "import"]
        if not lasting:
            return self._foreign(definition, own), tuple(found)
        callable_ = any(statement.kind in ("def", "class") for statement in lasting)
        label = f"module:{definition.module}.{definition.name}{'()' if callable_ else ''}"
        return Reached(label, statements_hash(lasting), statements_source(lasting, facts.source)), tuple(found)

    def _foreign(self, definition: Definition, statements: Iterable[Statement]) -> Reached | None:
        """Return the component of a name that a module imports from outside of the project."""
        imports = [i for i in _imports(statements) if i.name == definition.name]
        if not imports or any(self.is_project(imported) or imported.module.startswith(".") for imported in imports):
            return None
        return Reached(f"module:{definition.module}.{definition.name}", import_hash(imports), "")

    def _named(self, name: str, facts: ModuleFacts) -> Definition | None:
        """Return what a name means in a module; None if the project does not define it."""
        if name in facts.code.binds:
            return Definition(facts.name, name)
        for imported in _imports(facts.code.statements):
            target = self.facts(absolute(imported.module, facts)) if imported.attribute == STAR else None
            if target is not None and name in self.public_names(target):
                return Definition(target.name, name)
        return None

    def _all_imported(self, facts: ModuleFacts) -> tuple[Definition, ...]:
        found: list[Definition] = []
        for imported in _imports(facts.code.statements):
            attributes, dynamic = _uses(imported.name, facts.code.statements)
            found.extend(self.targets(imported, attributes, dynamic=dynamic, within=facts))
        return tuple(found)


def absolute(module: str, within: ModuleFacts | None) -> str:
    """Return the dotted name that a module means where it is imported.

    >>> absolute("..b.c", ModuleFacts(name="pkg.sub.mod", code=CodeFacts()))
    'pkg.b.c'
    """
    dots = len(module) - len(module.lstrip("."))
    if not dots or within is None:
        return module.lstrip(".")
    parts = within.name.split(".")
    keep = len(parts) - dots + within.package
    return ".".join([*parts[: max(keep, 0)], *filter(None, [module[dots:]])])


def statements_hash(statements: Collection[Statement]) -> str:
    """Return one hash of statements in their order; that of a single one is its fingerprint."""
    if len(statements) == 1:
        return next(iter(statements)).fingerprint
    return fingerprint_sequence(statement.fingerprint for statement in statements)


def import_hash(imports: Iterable[Import]) -> str:
    """Return the hash of where names come from; the order in one statement and its neighbours don't matter."""
    return text_hash("\n".join(f"{i.module}:{i.attribute or ''}" for i in imports))


def statements_source(statements: Iterable[Statement], source: str) -> str:
    """Return the lines of statements."""
    lines = source.split("\n")
    return "\n".join("\n".join(lines[s.line - 1 : s.end_line]) for s in statements)


def _imports(statements: Iterable[Statement]) -> Iterator[Import]:
    for statement in statements:
        yield from statement.imports


def _uses(name: str, statements: Iterable[Statement]) -> tuple[set[tuple[str, str]], bool]:
    attributes: set[tuple[str, str]] = set()
    dynamic = False
    for statement in statements:
        attributes.update(pair for pair in statement.attributes if pair[0] == name)
        dynamic = dynamic or name in statement.dynamic
    return attributes, dynamic
