"""What a kernel is to nbpipe: a person's, or a job's step. The magics talk to either through one Protocol."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, Protocol

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from nbpipe.commands.current import set_current
from nbpipe.commands.workspace import Workspace
from nbpipe.core.reading.declarations import split_cell
from nbpipe.core.records import Materialization
from nbpipe.core.references import Reference
from nbpipe.kernel.asset_cells import AssetCells
from nbpipe.kernel.executions import AssetCell

_PLACE = "nbpipe"
"""Where the session is kept in `shell.meta`, IPython's storage for extensions."""


class Located(NamedTuple):
    """Where the magic of an asset cell stands."""

    source: str
    """The whole cell."""
    first_line: int
    """1-based line of the cell on which the body starts."""
    cell_id: str | None


class CurrentCell(NamedTuple):
    """The cell that a frontend asked to execute."""

    source: str
    cell_id: str | None

    def located(self, line: str, body: str, magic: str = "asset") -> Located:
        """Return the cell of a declaring magic that is called with this line and body."""
        split = split_cell(self.source)
        if split.magic == magic and split.line.split() == line.split():
            return Located(self.source, split.first_line, self.cell_id)
        # The magic was called by code (`%run other.ipynb`, `run_cell_magic`), not written as this cell.
        return Located(f"%%{magic} {line}\n{body}", 2, None)


class Session(Protocol):
    """What the magics need."""

    shell: InteractiveShell
    in_step: bool
    """This kernel executes a step of a job: nothing here starts work or changes automation."""

    @property
    def workspace(self) -> Workspace:
        """The project as it is saved."""

    def seen(self) -> Workspace:
        """Return the project as this kernel knows it, for magics that show it."""

    @property
    def cells(self) -> AssetCells:
        """Executes and loads asset cells."""

    def before_cell(self, info: ExecutionInfo) -> None:
        """Prepare for a cell that is about to run; called for every cell."""

    def after_cell(self, result: ExecutionResult) -> None:
        """Look at what a cell did."""

    def admit(self, line: str, body: str) -> AssetCell | None:
        """Decide on an asset cell: return it if its body has to run; else its values are loaded already.

        Raises:
            NbpipeError: the cell can't be executed as it is written.
        """

    def value(self, reference: Reference) -> Any:
        """Return the stored value that a reference names; of an asset with partitions, the current one if none is.

        Raises:
            UnknownNameError: there is no such partition.
            MissingValueError: it was never materialized, or has no such version.
        """

    def choose_partition(self, key: str) -> Any:
        """Make a key the current partition of the notebook; without one, return what shows and sets it.

        Raises:
            UnknownNameError: no asset of the notebook has the key; names the nearest.
            UsageError: no asset of the notebook has partitions.
        """

    def known_assets(self) -> Collection[str]:
        """Return the names of all assets of the project."""

    def force(self, assets: tuple[str, ...]) -> None:
        """Execute the next run of these assets' cells whatever their state; without a name, of all here.

        Raises:
            UsageError: an asset is not of this notebook.
        """

    def place(self, notebook: str) -> None:
        """Take `notebook` for the one of this kernel.

        Raises:
            UsageError: there is no such notebook.
        """

    def committed(self, cell: AssetCell, materializations: tuple[Materialization, ...]) -> None:
        """Say what was stored."""

    def close(self) -> None:
        """Release what the session holds."""


def session_of(shell: InteractiveShell) -> Session | None:
    """Return the session of a shell in which the extension is loaded."""
    session: Session | None = shell.meta.get(_PLACE)
    return session


def set_session(shell: InteractiveShell, session: Session | None) -> None:
    """Make `session` the one of the shell; closes the one before."""
    previous = shell.meta.pop(_PLACE, None)
    set_current(None if session is None else session.seen)
    if previous is not None:
        previous.close()
    if session is not None:
        shell.meta[_PLACE] = session
