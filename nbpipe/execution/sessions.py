"""One kernel and one record, from the first hidden line to the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from nbpipe.core.ports import Kernel
from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.errors import ExecutionError, KernelDiedError, RefusedError
from nbpipe.execution.cells import CellClient, Reply
from nbpipe.execution.manager import RecordManager
from nbpipe.execution.requests import (
    END_CODE,
    FAREWELL_CODE,
    FOLDER_CODE,
    begin_code,
    define_code,
    executable,
    spare_code,
    watch_code,
)

_MAY_RAISE = "raises-exception"
_INSTALL = "python -m pip install jupyterlab-nbpipe"


class KernelSession:
    """Executes cells of a record in a kernel, and keeps the books."""

    def __init__(
        self,
        manager: RecordManager,
        kernel: Kernel,
        *,
        limits: OutputLimits,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Connect; the kernel may still be starting."""
        self._manager = manager
        self._kernel = kernel
        self._begun = False
        self.grace = 0.0
        """Seconds to wait for the kernel's own end: it got something to do before."""
        self.client = CellClient(manager.nb, kernel, limits=limits, stopping=stopping, idle=self._save)

    def open(self, *, limited: bool = False) -> None:
        """Wait until the kernel answers, and tie its life to ours.

        Args:
            limited: its memory is limited.

        Raises:
            KernelDiedError: it did not start.
        """
        info = self.client.wait_until_ready()
        if "language_info" in info:
            self._manager.nb.metadata["language_info"] = info["language_info"]
        if self._kernel.language == "python":
            self.client.run_hidden(watch_code(self._kernel.lifeline))
            if limited:
                self.client.run_hidden(spare_code())

    def begin(self, request: Path) -> None:
        """Load nbpipe into the kernel.

        Raises:
            RefusedError: the kernel's environment has no nbpipe, or one that speaks differently.
            ExecutionError: nbpipe did not start in it.
        """
        if self._kernel.language != "python":
            raise RefusedError(f"assets need a Python kernel, and this notebook's is for {self._kernel.language}")
        reply = self.client.run_hidden(begin_code(request))
        if reply.ename in ("ModuleNotFoundError", "ImportError"):
            raise RefusedError(
                f"the notebook's kernel can't work for nbpipe ({reply.evalue}): in its environment, run: {_INSTALL}"
            )
        if reply.status == "error":
            raise ExecutionError(f"nbpipe could not start in the notebook's kernel: {reply.ename}: {reply.evalue}")
        self._begun = True

    def enter_folder(self) -> None:
        """Let the notebook's own modules come first; ours are loaded by now."""
        if self._kernel.language == "python":
            self.client.run_hidden(FOLDER_CODE)

    def define(self, source: str, names: Iterable[str]) -> Reply:
        """Execute those imports, functions and classes of a cell that have one of `names`, without a trace."""
        return self.client.run_hidden(define_code(source, names))

    def run(self, position: int, *, timeout: float | None = None) -> Reply:
        """Execute the cell at a position of the record.

        Raises:
            KernelDiedError: the kernel ended meanwhile.
        """
        cell = self._manager.nb.cells[position]
        self._manager.cell_start(cell, position)
        failed = True
        try:
            reply = self.client.run_cell(position, timeout=timeout)
            if reply.status == "error" and _MAY_RAISE in cell.metadata.get("tags", []):
                reply = Reply(status="ok")
            failed = reply.status != "ok"
            return reply
        finally:
            if failed:
                self._manager.cell_exception(cell, cell_index=position)
            self._manager.cell_complete(cell, cell_index=position)

    def run_all(self, *, timeout: float | None = None) -> tuple[int, Reply] | None:
        """Execute all cells in document order; stop at the first that fails, and return it with its position."""
        for position, cell in enumerate(self._manager.nb.cells):
            if executable(cell):
                reply = self.run(position, timeout=timeout)
                if reply.status != "ok":
                    return position, reply
        return None

    def close(self) -> None:
        """Let the kernel finish; it ends itself within `grace` seconds. Keep the state of its widgets."""
        self.client.set_widgets_metadata()
        if self._kernel.alive():
            if self._begun:
                self._end()
            if self._kernel.language == "python":
                self.client.send(FAREWELL_CODE)
            else:
                self.client.ask_to_end()
            self.grace = 5.0

    def disconnect(self) -> None:
        """Close the connection."""
        self.client.close()

    def _end(self) -> None:
        try:
            reply = self.client.run_hidden(END_CODE)
        except KernelDiedError:
            return
        if reply.status == "error":
            raise ExecutionError(f"nbpipe could not end the step in its kernel: {reply.ename}: {reply.evalue}")

    def _save(self) -> None:
        writer = self._manager.writer
        if writer is not None:
            writer.dirty = self.client.take_news() or writer.dirty
            if writer.due():
                self.client.flush()
                self._manager.write()
