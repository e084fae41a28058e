"""Carry out one step: a kernel, the cells that the plan names, and a record of what they showed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nbpipe import clock, settings
from nbpipe.core.ports import Kernel, KernelProvider, ProgressListener, StateStore
from nbpipe.core.runs.tasks import DEFAULT_KERNEL, RunProgress, StepOutcome, StepTask, encoded
from nbpipe.errors import CanceledError, NbpipeError
from nbpipe.execution.conductor import Conductor
from nbpipe.execution.ledger import Ledger
from nbpipe.execution.records import RecordWriter, request_file, write_atomically
from nbpipe.execution.requests import kernel_for, needs_nbpipe

if TYPE_CHECKING:
    from nbpipe.execution.manager import RecordManager
    from nbpipe.execution.notebooks import OpenNotebook


def ignore(event: RunProgress) -> None:
    """Take no note of what happens."""


@dataclass(kw_only=True)
class StepTools:
    """What carrying out steps needs besides the task."""

    store: StateStore
    kernels: KernelProvider
    on_event: ProgressListener = ignore
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the run must stop."""


def execute_step(task: StepTask, tools: StepTools) -> StepOutcome:
    """Carry out a step and note in the store what became of it; whatever goes wrong is in the outcome.

    The kernel and everything that it started is gone when this returns.
    """
    return _StepExecution(task, tools).execute()


class _StepExecution:
    """One call of `execute_step`."""

    def __init__(self, task: StepTask, tools: StepTools) -> None:
        request = task.request
        self._task, self._tools = task, tools
        self._secrets = settings.secret_values([request.state, request.storage, request.io, request.secrets])
        record = Path(request.root, task.output)
        self._request_file = request_file(record)
        self._writer = RecordWriter(record, secrets=self._secrets, every=task.save_every)
        self._ledger = Ledger(task, tools.store, lambda text: settings.redacted(text, self._secrets))
        self._conductor = Conductor(task, self._ledger, tools.stop.is_set, self._tell)
        self._cut: Mapping[int, Mapping[str, int]] = {}
        self._grace = 0.0

    def execute(self) -> StepOutcome:
        status, error = "success", None
        try:
            kernel = self._tools.kernels.start(kernel_for(self._task))
            try:
                self._execute(kernel)
            finally:
                kernel.shutdown(self._grace)
        except CanceledError as canceled:
            status, error = "canceled", str(canceled)
        except NbpipeError as failure:
            status, error = "failure", str(failure)
        except Exception as failure:  # noqa: BLE001 - the run's other steps must go on, and the run must end
            status, error = "failure", f"{type(failure).__name__}: {failure}"
        finally:
            self._request_file.unlink(missing_ok=True)
        return self._ended(self._ledger.close(status, error))  # type: ignore[arg-type]

    def _execute(self, kernel: Kernel) -> None:
        request = self._task.request
        self._tools.store.update_step(
            request.run_id, request.step.index, "running", at=clock.now(), kernel=kernel.worker
        )
        self._tell("step_started", None)
        # These imports take about as long as the kernel's start, and go on beside it.
        from nbpipe.execution.papermill_import import papermill_engines

        engines = papermill_engines()  # before the others, which import parts of it

        from nbpipe.execution.engine import NbpipeEngine
        from nbpipe.execution.notebooks import OpenNotebook

        notebook = OpenNotebook(self._writer.path, request.notebook)
        if request.step.parameters:
            notebook.inject(request.step.parameters)
        notebook.prepare(
            request.notebook, self._task.output, request.step.parameters, run_id=request.run_id, env=request.env
        )
        engines.register("nbpipe", NbpipeEngine)
        engines.execute_notebook_with_engine(
            "nbpipe",
            notebook.node,
            request.step.kernel or DEFAULT_KERNEL,
            writer=self._writer,
            progress_bar=False,
            conduct=lambda manager: self._conduct(manager, kernel, notebook),
        )

    def _conduct(self, manager: RecordManager, kernel: Kernel, notebook: OpenNotebook) -> None:
        from nbpipe.execution.sessions import KernelSession

        stopping = self._tools.stop.is_set
        session = KernelSession(manager, kernel, limits=self._task.limits, stopping=stopping)
        try:
            session.open(limited=self._task.memory is not None)
            if needs_nbpipe(self._task, notebook.node.cells):
                write_atomically(self._request_file, encoded(self._task.request))
                session.begin(self._request_file)
            session.enter_folder()
            self._conductor.conduct(session, notebook)
        finally:
            if not stopping():
                session.close()
            self._grace = session.grace
            self._cut = session.client.cut()
            manager.note_cut(self._cut)
            session.disconnect()

    def _ended(self, outcome: StepOutcome) -> StepOutcome:
        request = self._task.request
        outcome = msgspec.structs.replace(outcome, record_hash=self._writer.hash, cut=self._cut)
        self._tools.store.update_step(
            request.run_id,
            outcome.index,
            outcome.status,
            at=clock.now(),
            error=outcome.error,
            executed=outcome.executed,
            record_hash=outcome.record_hash,
        )
        self._tell("step_ended", None, status=outcome.status, error=outcome.error)
        return outcome

    def _tell(
        self,
        kind: str,
        cell: int | None,
        *,
        assets: tuple[str, ...] = (),
        status: str = "",
        error: str | None = None,
    ) -> None:
        request = self._task.request
        self._tools.on_event(
            RunProgress(
                run_id=request.run_id,
                kind=kind,  # type: ignore[arg-type]
                at=clock.now(),
                step=request.step.index,
                notebook=request.notebook,
                cell=cell,
                assets=assets,
                status=status,
                error=None if error is None else self._ledger.readable(error),
            )
        )
