"""The magics: each parses its line and delegates.

`%%asset` and its line form are the notebook's own; magics that are also commands of the terminal
(`%materialize`, `%status`, `%lineage`, `%why`, `%runs`, ...) have their one definition in `nbpipe.commands`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from IPython.core.error import UsageError as IPythonUsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, magics_class, no_var_expand

from nbpipe.commands.registry import MAGIC_COMMANDS
from nbpipe.core.definitions import AssetOptions
from nbpipe.core.reading.asset_options import asset_help
from nbpipe.core.reading.declarations import DECLARING_LINE_MAGICS, LATER_CELL_MAGICS, SENSOR, parse_asset
from nbpipe.core.references import parse_reference
from nbpipe.errors import MissingValueError, UnknownNameError, UsageError
from nbpipe.kernel.declaring import declaring
from nbpipe.kernel.sessions import Session, session_of
from nbpipe.kernel.tracebacks import own_errors

_ASSET_LINE_USAGE = """%asset NAME[@PARTITION][#VERSION]

Return the stored value of an asset, for example `df = %asset orders`, `old = %asset orders#3` or
`day = %asset daily@2024-01-01`. Without a key, that of the current partition of this notebook (%partition).

"""
_FORCE_USAGE = """%force [NAME...]

The next run of the cells of these assets executes them, also if nothing changed. Without a name: of all
assets of this notebook."""
_PARTITION_USAGE = """%partition [KEY]

Make KEY the current partition of this notebook: cells with partitions that run, and names of their assets that are
read, are about this one; sets with other windows take the one in which it begins. Without KEY: show the current one,
and controls that set it. At first it is the latest complete one."""
_PROJECT_USAGE = """%project NOTEBOOK

Say which notebook this is, where nbpipe can't find out; the path is relative to the working folder."""


@magics_class
class PipelineMagics(Magics):
    """Everything that `%load_ext nbpipe` adds under a `%`."""

    def __init__(self, shell: InteractiveShell) -> None:
        """Collect the magics; `register_magics` makes them known."""
        super().__init__(shell)
        lines: dict[str, Callable[..., Any]] = {
            "asset": self.asset_line,
            "force": self.force,
            "partition": self.partition,
            "project": self.project,
        }
        for name in MAGIC_COMMANDS:
            lines[name] = self._command(name)
        for name in DECLARING_LINE_MAGICS:
            lines[name] = declaring(name, shell)
        cells: dict[str, Callable[..., Any]] = {"asset": self.asset, SENSOR: self.sensor}
        for name in LATER_CELL_MAGICS - {SENSOR}:
            cells[name] = _refusal(name)
        self.magics = {"line": lines, "cell": cells}

    @no_var_expand
    def asset(self, line: str, cell: str) -> None:
        """Compute, store and bind an asset, or load it if nothing changed."""
        __tracebackhide__ = True
        with own_errors():
            if parse_asset(line).help:
                print(asset_help())  # noqa: T201 - IPython shows help like this
                return
            session = self._session()
            prepared, cells = session.admit(line, cell), session.cells
        if prepared is not None:
            session.committed(prepared, cells.execute(prepared))

    @no_var_expand
    def sensor(self, line: str, cell: str) -> Any:
        """Ask a sensor, and show what it would launch: a trial."""
        __tracebackhide__ = True
        from nbpipe.kernel.sensors.dry_run import sensor_cell

        return sensor_cell(self._session(), line, cell)

    @no_var_expand
    def asset_line(self, line: str) -> Any:
        """Return the stored value of an asset."""
        __tracebackhide__ = True
        if _help(line):
            print(_ASSET_LINE_USAGE + asset_help())  # noqa: T201 - see `asset`
            return None
        with own_errors():
            reference = parse_reference(_unquoted(line.strip()))
            session = self._session()
            try:
                return session.value(reference)
            except MissingValueError:
                known = session.known_assets()
                if reference.asset in known or reference.version is not None:
                    raise
                raise UnknownNameError("asset", reference.asset, known) from None

    @no_var_expand
    def force(self, line: str) -> None:
        """Execute the next run of these asset cells whatever their state."""
        __tracebackhide__ = True
        if _help(line):
            print(_FORCE_USAGE)  # noqa: T201 - see `asset`
            return
        session = self._session()
        if session.in_step:
            return
        with own_errors():
            declaration = parse_asset(line)
            if declaration.options != AssetOptions():
                raise UsageError("%force takes names of assets only")
            session.force(declaration.names)
            cells = f"the cell of {' '.join(declaration.names)}" if declaration.names else "each asset cell"
            print(f"the next run of {cells} executes it")  # noqa: T201 - see `asset`

    @no_var_expand
    def partition(self, line: str) -> Any:
        """Set or show the current partition of this notebook."""
        __tracebackhide__ = True
        if _help(line):
            print(_PARTITION_USAGE)  # noqa: T201 - see `asset`
            return None
        with own_errors():
            return self._session().choose_partition(_unquoted(line.strip()))

    @no_var_expand
    def project(self, line: str) -> None:
        """Say which notebook this is."""
        __tracebackhide__ = True
        if _help(line):
            print(_PROJECT_USAGE)  # noqa: T201 - see `asset`
            return
        with own_errors():
            self._session().place(line.strip().strip("'\""))

    def _command(self, name: str) -> Callable[[str], Any]:
        @no_var_expand
        def magic(line: str) -> Any:
            __tracebackhide__ = True
            from nbpipe.kernel.commands import run

            with own_errors():
                return run(name, line, self._session())

        magic.__name__ = name
        magic.__doc__ = MAGIC_COMMANDS[name]
        return cast("Callable[[str], Any]", magic)

    def _session(self) -> Session:
        session = session_of(cast("InteractiveShell", self.shell))
        if session is None:
            raise IPythonUsageError("run %load_ext nbpipe first")
        return session


def _refusal(name: str) -> Callable[..., None]:
    def refuse(line: str, cell: str) -> None:  # noqa: ARG001 - the signature of a magic
        __tracebackhide__ = True
        raise IPythonUsageError(f"%%{name} is not available in this version of nbpipe")

    refuse.__doc__ = f"%%{name} is not available in this version."
    return cast("Callable[..., None]", no_var_expand(refuse))


def _unquoted(text: str) -> str:
    """Take off the quotes in which a whole text stands."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and text[0] not in text[1:-1]
    return text[1:-1] if quoted else text


def _help(line: str) -> bool:
    return "--help" in line.split()
