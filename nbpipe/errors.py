"""Every error that nbpipe raises, as one tree.

NbpipeError
├── UsageError                wrong use: exit status 2, nothing was started
│   ├── ConfigError           nbpipe.toml has an unknown key, a wrong type or value
│   ├── DeclarationError      a magic line or decorator can't be read
│   ├── SelectionError        a selection expression can't be read
│   ├── UnknownNameError      an asset, notebook, job or run that does not exist
│   ├── ParameterError        a parameter is unknown or can't be represented
│   └── RefusedError          the request can't be carried out as things stand
├── DefinitionError           the definitions contradict each other
│   └── CycleError            assets depend on each other in a circle
├── StateError                the state store can't do what was asked
│   ├── StateSchemaError      the store was written by another version
│   ├── StateBusyError        another process held the store for too long
│   └── ConflictError         a guarded write found that somebody else was first
├── StoredValueError          a stored value can't be written or read
│   ├── UnstorableValueError  no I/O manager can keep this value
│   └── MissingValueError     no value is stored, or its file is gone
└── ExecutionError            work was started and failed
    ├── CellError             a cell raised
    ├── PartitionsFailedError some partitions of a cell failed
    ├── KernelDiedError       the kernel went away while it worked
    └── CanceledError         somebody asked the run to stop

The docstring of a class is its message when none is given. Data that a caller may want travels as
attributes. A message says what is wrong, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NbpipeError(Exception):
    """nbpipe can't go on."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UsageError(NbpipeError):
    """This is not how it is used."""


class ConfigError(UsageError):
    """The configuration can't be read."""


class DeclarationError(UsageError):
    """A declaration can't be read.

    Attributes:
        column: 0-based column in the declaring line where the trouble starts, if known.
    """

    def __init__(self, message: str, *, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


class SelectionError(UsageError):
    """A selection expression can't be read.

    Attributes:
        column: 0-based column in the expression where the trouble starts, if known.
    """

    def __init__(self, message: str, *, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


class UnknownNameError(UsageError):
    """There is nothing of this name.

    Attributes:
        name: what was asked for.
        nearest: the most similar existing name, if one is similar.
        hint: what else is said.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), *, hint: str = "") -> None:
        self.name = name
        self.hint = hint
        self.nearest = nearest(name, known)
        message = f"there is no {kind} {name!r}"
        if self.nearest:
            message += f": did you mean {self.nearest!r}?"
        if hint:
            message += f" ({hint})" if self.nearest else f": {hint}"
        super().__init__(message)


class ParameterError(UsageError):
    """A parameter is unknown or its value can't be represented in a notebook."""


class RefusedError(UsageError):
    """The request can't be carried out as things stand."""


class DefinitionError(NbpipeError):
    """The definitions contradict each other."""


class CycleError(DefinitionError):
    """Assets depend on each other in a circle.

    Attributes:
        path: the assets of one circle; the last is the first again.
    """

    def __init__(self, path: tuple[str, ...]) -> None:
        self.path = path
        super().__init__("assets depend on each other in a circle: " + " -> ".join(path))


class StateError(NbpipeError):
    """The state store can't do what was asked."""


class StateSchemaError(StateError):
    """The state store was written by another version of nbpipe."""


class StateBusyError(StateError):
    """Another process held the state store for too long."""


class ConflictError(StateError):
    """Somebody else was first."""


class StoredValueError(NbpipeError):
    """A stored value can't be written or read."""


class UnstorableValueError(StoredValueError):
    """No I/O manager can keep this value."""


class MissingValueError(StoredValueError):
    """No value is stored, or its file is gone."""


class ExecutionError(NbpipeError):
    """Work was started and failed."""


class CellError(ExecutionError):
    """A cell raised.

    Attributes:
        ename: the class name of the error.
        evalue: its message.
        where: notebook and cell.
    """

    def __init__(self, ename: str, evalue: str, *, where: str = "") -> None:
        self.ename, self.evalue, self.where = ename, evalue, where
        super().__init__(f"{ename}: {evalue}" + (f" ({where})" if where else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_cell_error, (self.ename, self.evalue, self.where))


def _rebuild_cell_error(ename: str, evalue: str, where: str) -> CellError:
    return CellError(ename, evalue, where=where)


class PartitionsFailedError(ExecutionError):
    """Some partitions of a cell failed; the others are kept."""


class KernelDiedError(ExecutionError):
    """The kernel went away while it worked."""


class CanceledError(ExecutionError):
    """The run was asked to stop."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to `name`, or None if none is similar."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
