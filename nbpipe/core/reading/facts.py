"""What the text of one cell says, found without running it and without knowing the other cells.

Facts are a pure function of a cell's source, so they are cached by its hash. Everything that depends on
other cells (which names are assets, what kind of cell this is) is decided later, in `resolution`.

Frozen values of texts, tuples and each other are part of no reference cycle, and a project has hundreds of
thousands: `gc=False` spares Python the search, here and in the other values that a project consists of.
"""

from __future__ import annotations

import msgspec


class Read(msgspec.Struct, frozen=True, gc=False):
    """A name that a piece of code takes from outside itself."""

    name: str
    line: int
    """1-based line within the cell."""
    deferred: bool = False
    """Read only when a function is called, not when the statement executes."""
    certain: bool = True
    """False if some path binds the name first (a conditional assignment above)."""


class Import(msgspec.Struct, frozen=True, gc=False):
    """One imported name: `from module import attribute as name`, or `import module as name`."""

    module: str
    """Dotted module as written; relative imports keep their leading dots."""
    attribute: str | None
    """None: the module itself; `*`: everything."""
    name: str
    """The name it binds (`*` for a star import)."""
    line: int


class Statement(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One top-level statement."""

    line: int
    end_line: int
    kind: str
    """`import`, `def`, `class`, `assign`, `expression` or `other`."""
    fingerprint: str
    """Hash of the syntax tree: no positions, comments or formatting."""
    binds: tuple[str, ...] = ()
    reads: tuple[Read, ...] = ()
    """Free names of this statement alone, sorted by (line, name)."""
    mutates: tuple[str, ...] = ()
    """Free names whose object it visibly changes: `x.append(1)`, `x[0] = 1`, `x.a = 1`, `x += 1`."""
    imports: tuple[Import, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    """`(name, attribute)` for each `name.attribute` read of a free name, or of a module that it imports itself."""
    dynamic: tuple[str, ...] = ()
    """Free names used other than by `name.attribute` (a module handed on as a value)."""
    strings: tuple[str, ...] = ()
    """String literals, for file inputs."""
    literal: str | None = None
    """Source of the value, if the statement is `name = <literal>` (parameters and constants)."""


class LineMagic(msgspec.Struct, frozen=True, gc=False):
    """A line magic at column 0, for example `%job nightly group:reports`."""

    name: str
    argument: str
    line: int


class SyntaxProblem(msgspec.Struct, frozen=True, gc=False):
    """Why the source of a cell can't be analysed."""

    message: str
    line: int


class CodeFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Facts of a whole piece of code: a plain cell, or the body of an asset cell."""

    statements: tuple[Statement, ...] = ()
    reads: tuple[Read, ...] = ()
    """Free names of the whole, by the order of its statements; sorted by (line, name), one entry a name."""
    binds: tuple[str, ...] = ()
    """Names that it binds at the top level, in order of first binding."""
    conditional: tuple[str, ...] = ()
    """Those of `binds` that may stay unbound."""
    last_assigned: str | None = None
    """The last top-level variable assigned."""
    ends_in_expression: bool = False
    """The last statement is an expression whose value a notebook would display or could take."""
    fingerprint: str = ""
    awaits: bool = False
    """There is an `await`, `async for` or `async with` at the top level."""
    magics: tuple[LineMagic, ...] = ()
    runs: tuple[str, ...] = ()
    """Targets of `%run`."""
    comment: str = ""
    """The comment block that opens the code, without `#`."""
    problem: SyntaxProblem | None = None
