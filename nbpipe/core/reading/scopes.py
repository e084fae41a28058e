"""Python's scopes: which use of a name reaches out of a piece of code.

At the top level and in class bodies the order of execution decides (`Flow`); in functions a name is local if
it is bound anywhere in them. Uses that a scope doesn't satisfy go on to the scope around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

ATTRIBUTE_STORE = ""
"""For `Scope.read`: the name is used to reach an attribute that is set, not read."""


class Flow:
    """What is known about names at one point of the execution.

    `certain`: bound on every path to here. `maybe`: bound on some path (holds `certain`). `gone`: perhaps
    deleted since the start. `dead`: no path leads here (after `raise`, `break` and so on).
    """

    __slots__ = ("certain", "dead", "gone", "maybe")

    def __init__(self, certain: set[str], maybe: set[str], gone: set[str], *, dead: bool = False) -> None:
        self.certain, self.maybe, self.gone, self.dead = certain, maybe, gone, dead

    @classmethod
    def start(cls) -> Flow:
        """Return the state before anything was executed."""
        return cls(set(), set(), set())

    def copy(self) -> Flow:
        """Return the same state, to go another way with."""
        return Flow(set(self.certain), set(self.maybe), set(self.gone), dead=self.dead)

    def bind(self, name: str) -> None:
        """Bind a name."""
        self.certain.add(name)
        self.maybe.add(name)
        self.gone.discard(name)

    def unbind(self, name: str) -> None:
        """Delete a name."""
        self.certain.discard(name)
        self.maybe.discard(name)
        self.maybe.discard(name)
        self.gone.add(name)

    def after(self, bound: Iterable[str], deleted: Iterable[str]) -> Flow:
        """Return the state after any part of a block that binds and deletes these names."""
        deleted = set(deleted)
        return Flow(self.certain - deleted, self.maybe.union(bound), self.gone | deleted)


def join(flows: list[Flow]) -> Flow:
    """Return what is known where several ways meet."""
    live = [flow for flow in flows if not flow.dead]
    if not live:
        return flows[0]
    if len(live) == 1:
        return live[0]
    return Flow(
        set.intersection(*(flow.certain for flow in live)),
        set.union(*(flow.maybe for flow in live)),
        set.union(*(flow.gone for flow in live)),
    )


class Use(msgspec.Struct, frozen=True, gc=False):
    """One use of a name."""

    name: str
    line: int
    attribute: str | None
    """`b` of `a.b`; None if the value itself is used; `ATTRIBUTE_STORE`."""
    certain: bool = True


class Scope(Protocol):
    """Where names are bound and looked up."""

    flow: Flow
    trail: list[str]
    """Names bound so far, in order, each as often as it is bound."""
    deleted: list[str]

    def read(self, name: str, line: int, attribute: str | None, *, certain: bool = True) -> None:
        """Look a name up now."""

    def read_nested(self, use: Use) -> None:
        """Look a name up now, for a comprehension inside this scope."""

    def defer(self, use: Use) -> None:
        """Look a name up later, when a function inside this scope is called."""

    def change(self, name: str, *, deferred: bool = False) -> None:
        """Change the object of a name."""

    def bind(self, name: str) -> None:
        """Bind a name."""

    def unbind(self, name: str) -> None:
        """Delete a name."""


class TopScope:
    """The top level, for one statement."""

    def __init__(self) -> None:
        self.flow = Flow.start()
        self.trail: list[str] = []
        self.deleted: list[str] = []
        self.uses: list[Use] = []
        self.deferred: list[Use] = []
        self.changed: dict[str, None] = {}
        self.rebound: dict[str, None] = {}
        """Names that functions bind by `global`."""
        self.imported: set[str] = set()
        self.hidden: list[Use] = []
        """Uses of modules that the statement itself imports."""

    def read(self, name: str, line: int, attribute: str | None, *, certain: bool = True) -> None:
        """Look a name up now."""
        if name not in self.flow.certain:
            self.uses.append(Use(name, line, attribute, certain and name not in self.flow.maybe))
        elif name in self.imported:
            self.hidden.append(Use(name, line, attribute))

    def read_nested(self, use: Use) -> None:
        """Look a name up now, for a comprehension inside this scope."""
        self.read(use.name, use.line, use.attribute, certain=use.certain)

    def defer(self, use: Use) -> None:
        """Look a name up when the statement is over: by then functions see what it binds."""
        if use.name not in self.flow.certain:
            self.deferred.append(use)

    def change(self, name: str, *, deferred: bool = False) -> None:  # noqa: ARG002  (functions change what is here)
        """Change the object of a name, unless the statement made it."""
        if name not in self.flow.certain:
            self.changed[name] = None

    def bind(self, name: str) -> None:
        """Bind a name."""
        self.trail.append(name)
        self.flow.bind(name)

    def unbind(self, name: str) -> None:
        """Delete a name."""
        self.deleted.append(name)
        self.flow.unbind(name)

    def rebind(self, name: str) -> None:
        """Bind a name in a function that may or may not be called."""
        self.rebound[name] = None
        if name not in self.flow.certain:
            self.flow.maybe.add(name)
            self.trail.append(name)


class ClassScope:
    """The body of a class: executed at once, invisible to the functions inside."""

    def __init__(self, parent: Scope, top: TopScope) -> None:
        self.parent = parent
        self.top = top
        self.flow = Flow.start()
        self.trail: list[str] = []
        self.deleted: list[str] = []
        self.globals: set[str] = set()
        for name in ("__module__", "__qualname__"):
            self.flow.bind(name)

    def read(self, name: str, line: int, attribute: str | None, *, certain: bool = True) -> None:
        """Look a name up now: in the class as far as it is executed, then around it."""
        if name not in self.flow.certain:
            self.parent.read(name, line, attribute, certain=certain and name not in self.flow.maybe)

    def read_nested(self, use: Use) -> None:
        """Look a name up now, for a comprehension: it does not see the class."""
        self.parent.read_nested(use)

    def defer(self, use: Use) -> None:
        """Look a name up later, for a method: it sees the class as `__class__` alone."""
        if use.name != "__class__":
            self.parent.defer(use)

    def change(self, name: str, *, deferred: bool = False) -> None:
        """Change the object of a name, unless the class made it."""
        if deferred or name not in self.flow.certain:
            self.parent.change(name, deferred=deferred)

    def bind(self, name: str) -> None:
        """Bind a name in the class, or at the top level where it is declared global."""
        if name in self.globals:
            self.top.bind(name)
        else:
            self.trail.append(name)
            self.flow.bind(name)

    def unbind(self, name: str) -> None:
        """Delete a name."""
        self.deleted.append(name)
        self.flow.unbind(name)


class FunctionScope:
    """The body of a function or lambda: what it binds anywhere is local everywhere in it."""

    def __init__(self, parent: Scope, top: TopScope) -> None:
        self.parent = parent
        self.top = top
        self.flow = Flow.start()  # stays empty: the order plays no part
        self.trail: list[str] = []
        self.deleted: list[str] = []
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.bound: set[str] = set()
        self.imported: set[str] = set()
        self.uses: list[Use] = []
        self.changed: set[str] = set()

    def read(self, name: str, line: int, attribute: str | None, *, certain: bool = True) -> None:
        """Note a use, to be judged when the whole body is known."""
        self.uses.append(Use(name, line, attribute, certain))

    def read_nested(self, use: Use) -> None:
        """Note a use."""
        self.uses.append(use)

    def defer(self, use: Use) -> None:
        """Note a use."""
        self.uses.append(use)

    def change(self, name: str, *, deferred: bool = False) -> None:  # noqa: ARG002  (all that happens here is deferred)
        """Note a change."""
        self.changed.add(name)

    def bind(self, name: str) -> None:
        """Make a name local, unless it is declared otherwise."""
        if name in self.globals:
            self.top.rebind(name)
        elif name not in self.nonlocals:
            self.bound.add(name)

    def unbind(self, name: str) -> None:
        """Delete a name, which makes it local as well."""
        self.bind(name)

    def close(self) -> None:
        """Hand on the uses that the body leaves open."""
        for use in self.uses:
            if use.name in self.globals:
                self.top.defer(use)
            elif use.name not in self.bound:
                self.parent.defer(use)
            elif use.name in self.imported:
                self.top.hidden.append(use)
        for name in sorted(self.changed - self.bound):
            if name in self.globals:
                self.top.change(name, deferred=True)
            else:
                self.parent.change(name, deferred=True)


class ComprehensionScope:
    """A comprehension, a generator expression or a list of type parameters: it has names of its own.

    Args:
        parent: the scope around it.
        names: what it binds itself.
        later: it is executed after the expression that holds it, as a stored generator is.
        sees_class: names of a class around it are visible (type parameters only).
    """

    def __init__(self, parent: Scope, names: set[str], *, later: bool = False, sees_class: bool = False) -> None:
        self.parent = parent
        self.names = names
        self.later, self.sees_class = later, sees_class
        self.flow = parent.flow
        self.trail = parent.trail
        self.deleted = parent.deleted

    def read(self, name: str, line: int, attribute: str | None, *, certain: bool = True) -> None:
        """Look a name up here, then around."""
        self.read_nested(Use(name, line, attribute, certain))

    def read_nested(self, use: Use) -> None:
        """Look a name up here, then around."""
        if use.name in self.names:
            return
        if self.later:
            self.parent.defer(use)
        elif self.sees_class:
            self.parent.read(use.name, use.line, use.attribute, certain=use.certain)
        else:
            self.parent.read_nested(use)

    def defer(self, use: Use) -> None:
        """Look a name up later, here and then around."""
        if use.name not in self.names:
            self.parent.defer(use)

    def change(self, name: str, *, deferred: bool = False) -> None:
        """Change the object of a name."""
        if name not in self.names:
            self.parent.change(name, deferred=deferred or self.later)

    def bind(self, name: str) -> None:
        """Bind a name around it, as `:=` does."""
        self.parent.bind(name)

    def unbind(self, name: str) -> None:
        """Delete a name around it."""
        self.parent.unbind(name)
