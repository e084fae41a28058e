"""The session of a process that asks sensors: magics that show something work, and nothing starts work."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import Materialization
from nbpipe.core.references import Reference
from nbpipe.errors import RefusedError
from nbpipe.kernel.asset_cells import AssetCells
from nbpipe.kernel.executions import AssetCell


class SensorSession:
    """See `Session`. As in the step of a run, declarations and what would start work do nothing."""

    in_step = True

    def __init__(self, shell: InteractiveShell, root: Path, env: str) -> None:
        """Stand for the notebook of a sensor."""
        self.shell = shell
        self._root, self._env = root, env

    @property
    def workspace(self) -> Workspace:
        """See `Session`; it is opened anew, and keeps no connection, since this process is forked."""
        return Workspace.open(self._root, env=self._env)

    def seen(self) -> Workspace:
        """See `Session`."""
        return self.workspace

    @property
    def cells(self) -> AssetCells:
        """See `Session`.

        Raises:
            RefusedError: always.
        """
        raise _refusal()

    def before_cell(self, info: ExecutionInfo) -> None:
        """Nothing to prepare."""

    def after_cell(self, result: ExecutionResult) -> None:
        """Nothing to look at."""

    def admit(self, line: str, body: str) -> AssetCell | None:  # noqa: ARG002 - the signature of `Session`
        """See `Session`.

        Raises:
            RefusedError: always.
        """
        raise _refusal()

    def value(self, reference: Reference) -> Any:
        """Return a stored value; see `Session`."""
        from nbpipe.commands.api import load

        return load(reference.asset, partition=reference.partition or None, version=reference.version)

    def choose_partition(self, key: str) -> Any:
        """Nothing to choose."""

    def known_assets(self) -> Collection[str]:
        """Return the names of all assets of the project."""
        return tuple(self.workspace.definitions.assets)

    def force(self, assets: tuple[str, ...]) -> None:
        """Nothing to force."""

    def place(self, notebook: str) -> None:
        """Nothing to place."""

    def committed(self, cell: AssetCell, materializations: tuple[Materialization, ...]) -> None:
        """Nothing to say."""

    def close(self) -> None:
        """Nothing to release."""


def _refusal() -> RefusedError:
    return RefusedError("a sensor does not execute assets: it may load them with nbpipe.load(NAME)")
