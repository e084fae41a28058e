"""Execute the setup cells of a notebook for its sensors, in a shell of this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

from nbpipe import settings
from nbpipe.core.automation.evaluations import Program, SetupCell
from nbpipe.kernel.defining import define
from nbpipe.kernel.extension import load
from nbpipe.kernel.namespaces import NotebookNamespace
from nbpipe.kernel.redaction import told_error
from nbpipe.kernel.sensors.session import SensorSession
from nbpipe.kernel.tracebacks import failed_line


def new_shell() -> InteractiveShell:
    """Return a shell without a history, which would take a thread, and without colours."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    return InteractiveShell.instance(config=config)


class NotebookSetup:
    """The setup cells of one notebook, executed."""

    def __init__(self, shell: InteractiveShell, program: Program) -> None:
        """Make this process one of the notebook, and execute what stands above its sensors, up to the first error."""
        self._shell = shell
        self._names = NotebookNamespace(shell.user_ns)
        self._failed: tuple[int, str] | None = None
        notebook = Path(program.root, program.notebook)
        os.chdir(notebook.parent)
        sys.path.insert(0, str(notebook.parent))
        settings.replace({**settings.inherited(), settings.NOTEBOOK: str(notebook), settings.SENSOR: "1"})
        load(shell, SensorSession(shell, Path(program.root), program.env))
        for cell in program.setup:
            error = self._execute(cell)
            if error is not None:
                line = "" if isinstance(error, SyntaxError) else f", line {failed_line(error, shell)}"
                where = f"{program.notebook}, cell {cell.index + 1}{line}"
                self._failed = (cell.index, f"{where}: {told_error(error, ())}")
                break

    @property
    def failed(self) -> bool:
        """A cell raised: nothing below it was executed."""
        return self._failed is not None

    def problem(self, program: Program) -> str:
        """Return what keeps a sensor from being asked, or nothing."""
        if self._failed is not None and self._failed[0] < program.index:
            return self._failed[1]
        missing = [name for name in program.needs if name not in self._names]
        if missing:
            return (
                f"{program.notebook}, cell {program.index + 1}: the sensor needs {', '.join(missing)}, which the cells "
                "above did not bind"
            )
        return ""

    def names(self, program: Program) -> dict[str, Any]:
        """Return the names of the notebook that a sensor sees."""
        return self._names.body_names(program.visible, program.hidden)

    def _execute(self, cell: SetupCell) -> BaseException | None:
        if cell.only is not None:
            try:
                define(cell.source, cell.only)
            except Exception as raised:  # noqa: BLE001 - a person's code
                return raised
            return None
        run: Callable[..., ExecutionResult] = self._shell.run_cell
        result = run(cell.source, silent=True, cell_id=cell.cell_id or None)
        error: BaseException | None = result.error_before_exec or result.error_in_exec
        return error
