"""Which cells of a step execute, and what becomes of its assets.

A failing asset cell stops only what depends on it; a failing setup cell ends the step; a failing view cell
fails the step but no asset.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from nbpipe.core.runs.plans import CellPlan
from nbpipe.core.runs.tasks import MemoryLimit, StepTask
from nbpipe.core.sizes import size_text
from nbpipe.errors import CanceledError, CellError, KernelDiedError
from nbpipe.execution.ledger import Ledger
from nbpipe.execution.requests import executable

if TYPE_CHECKING:
    from nbpipe.core.definitions import AssetOptions
    from nbpipe.execution.cells import Reply
    from nbpipe.execution.notebooks import OpenNotebook
    from nbpipe.execution.sessions import KernelSession

#: How programs say that they got no memory.
_OF_MEMORY = re.compile(
    r"MemoryError|bad_alloc|\[Errno 12\]|can't start new thread|Resource temporarily|[Oo]ut of memory"
)
_CANCELED = "the run was asked to stop"
_AFTER_DEATH = "What was stored before is kept: find out why (memory, a crash in a library), then retry the run"
#: The cell that sets parameters is not in the saved notebook.
_INJECTED = -1


class Tell(Protocol):
    """Passes on what happens in a step."""

    def __call__(
        self, kind: str, cell: int | None, *, assets: tuple[str, ...] = (), status: str = "", error: str | None = None
    ) -> None:
        """Say that something happened."""


class Conductor:
    """Executes the cells of one step in the order of its plan."""

    def __init__(self, task: StepTask, ledger: Ledger, stopping: Callable[[], bool], tell: Tell) -> None:
        """Take the step as it is planned; what becomes of its assets goes to the ledger."""
        self._task = task
        self._plan = task.request.step
        self._specs = {spec.key: spec for spec in task.request.assets}
        self._ledger = ledger
        self._stopping = stopping
        self._tell = tell
        self._definitions = deque(cell for cell in self._plan.cells if cell.action == "view" and cell.binds)

    def conduct(self, session: KernelSession, notebook: OpenNotebook) -> None:
        """Execute the step's cells.

        Raises:
            CellError: a setup cell raised, or any cell of a notebook that runs whole.
            KernelDiedError: the kernel ended in the midst of a cell.
            CanceledError: somebody asked the run to stop.
        """
        self._ledger.load()
        for plan, position in self._order(notebook):
            if not self._plan.whole:
                self._define_above(session, notebook, plan)
            if self._plan.whole or plan.action == "run":
                self._required(session, notebook, plan, position)
            elif plan.action == "asset":
                self._asset(session, notebook, plan, position)
            elif self._ledger.succeeded(plan.shows):
                self._view(session, notebook, plan, position)

    # --- kinds of cell ---

    def _required(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan, position: int) -> None:
        failure = self._run(session, notebook, plan, position)
        if failure is not None:
            raise failure

    def _asset(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan, position: int) -> None:
        lost = self._ledger.lost_upstream(plan.assets)
        if lost:
            reason = f"upstream {lost} did not succeed"
            self._ledger.skip(plan.assets, reason)
            self._tell("cell_ended", plan.index, assets=plan.assets, status="skipped", error=reason)
            return
        limit = time_limit(self._specs[plan.assets[0]].options, self._task.timeout_grace)
        if limit is not None:
            limit *= self._ledger.executions(plan.assets)
        self._run(session, notebook, plan, position, timeout=limit)

    def _view(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan, position: int) -> None:
        if plan in self._definitions:
            self._definitions.remove(plan)
        failure = self._run(session, notebook, plan, position)
        if failure is not None:
            self._ledger.note(str(failure))

    def _define_above(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan) -> None:
        """Execute what always runs of the view cells above: imports, functions and classes that read no asset."""
        while self._definitions and self._definitions[0].index < plan.index:
            view = self._definitions.popleft()
            position = notebook.position(view.index)
            reply = session.define(notebook.node.cells[position].source, view.binds)
            if reply.status != "ok":
                raise CellError(reply.ename, reply.evalue, where=_where(notebook, position))

    # --- one cell ---

    def _run(
        self,
        session: KernelSession,
        notebook: OpenNotebook,
        plan: CellPlan,
        position: int,
        *,
        timeout: float | None = None,
    ) -> CellError | None:
        """Execute a cell and settle its assets; return how it failed, if it did."""
        if self._stopping():
            raise CanceledError(_CANCELED)
        at = None if plan.index == _INJECTED else plan.index
        where = _where(notebook, position)
        self._ledger.start(plan.assets)
        self._tell("cell_started", at, assets=plan.assets)
        try:
            reply = session.run(position, timeout=timeout)
        except KernelDiedError as died:
            hint = "" if self._task.memory is None else f". {_allowance(self._task.memory)}"
            error = KernelDiedError(f"{where}: {died}{hint}. {_AFTER_DEATH}")
            self._failed(plan, at, str(error), where)
            raise error from died
        if reply.status == "ok":
            self._ledger.settle(plan.assets)
            status, reason = self._ledger.ending(plan.assets)
            self._tell("cell_ended", at, assets=plan.assets, status=status, error=reason)
            return None
        if self._stopping():
            self._tell("cell_ended", at, assets=plan.assets, status="canceled")
            raise CanceledError(_CANCELED)
        failure = CellError(reply.ename, self._value(reply), where=where)
        if reply.status == "timeout":
            failure = CellError("TimeoutError", f"the cell took longer than {timeout:g} s", where=where)
        self._failed(plan, at, str(failure), where)
        return failure

    def _value(self, reply: Reply) -> str:
        """Return an error's text; if it is about memory, with what is known of the limit."""
        limit = self._task.memory
        # the error of a cell may have come from telling of the first one, which its traceback shows
        if limit is None or not _OF_MEMORY.search(f"{reply.ename}: {reply.evalue}\n{reply.traceback}"):
            return reply.evalue
        return f"{reply.evalue.rstrip('.')}. {_allowance(limit)}".removeprefix(". ")

    def _failed(self, plan: CellPlan, at: int | None, error: str, where: str) -> None:
        if plan.assets:
            error = self._ledger.fail(plan.assets, error, where=where)
        self._tell("cell_ended", at, assets=plan.assets, status="failed", error=error)

    # --- order ---

    def _order(self, notebook: OpenNotebook) -> list[tuple[CellPlan, int]]:
        """Return the cells to execute with their positions in the record, the injected parameters among them."""
        cells = notebook.node.cells
        plans = {plan.index: plan for plan in self._plan.cells}
        indexes: Iterable[int] = self._plan.order
        if self._plan.whole:  # Run All decides by the cells themselves, but for what can't be computed now
            left_out = {plan.index for plan in self._plan.cells if plan.action == "skip"}
            every = (notebook.original(at) for at in range(len(cells)) if at != notebook.injected)
            indexes = (index for index in every if index not in left_out)
        order = [
            (plans.get(index) or CellPlan(index=index, cell_id="", action="run"), notebook.position(index))
            for index in indexes
        ]
        injected = notebook.injected
        if injected is not None and all(position != injected for _, position in order):
            before = next((at for at, (_, position) in enumerate(order) if position == injected - 1), -1)
            order.insert(before + 1, (CellPlan(index=_INJECTED, cell_id="", action="run"), injected))
        return [(plan, position) for plan, position in order if executable(cells[position])]


def time_limit(options: AssetOptions, grace: float) -> float | None:
    """Return after how many seconds a cell is ended from outside; None if its asset has no timeout.

    The kernel itself ends a body that takes too long: this is for one that can't be interrupted.
    """
    if options.timeout is None:
        return None
    attempts, delay = options.retries + 1, options.retry_delay
    waits: dict[str, float] = {
        "constant": options.retries,
        "linear": options.retries * attempts / 2,
        "exponential": float(2**options.retries),
    }
    return attempts * options.timeout + delay * waits[options.backoff] + grace


def _allowance(limit: MemoryLimit) -> str:
    return f"The notebook may take {size_text(limit.size)} of memory: to give it more, change {limit.set_by}"


def _where(notebook: OpenNotebook, position: int) -> str:
    if position == notebook.injected:
        return f"{notebook.name}, injected parameters"
    return f"{notebook.name}, cell {notebook.original(position) + 1}"
