"""Which cells of a step execute, and what becomes of its assets.

A failing asset cell stops only what depends on it; a failing setup cell ends the step; a failing view cell
fails the step but no asset.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from nbpipe import clock
from nbpipe.core.plans import CellPlan
from nbpipe.core.ports import RunStore, StateStore
from nbpipe.core.readiness import LOST
from nbpipe.core.records import Outcome, StepStatus
from nbpipe.core.tasks import StepOutcome, StepTask
from nbpipe.errors import CanceledError, CellError, KernelDiedError
from nbpipe.execution.requests import executable

if TYPE_CHECKING:
    from nbpipe.core.definitions import AssetOptions
    from nbpipe.execution.cells import Reply
    from nbpipe.execution.notebooks import OpenNotebook
    from nbpipe.execution.sessions import KernelSession

_CANCELED = "the run was asked to stop"
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

    def __init__(self, task: StepTask, store: StateStore, stopping: Callable[[], bool], tell: Tell) -> None:
        """Take the step as it is planned; outcomes of other steps are asked of the store."""
        self._task = task
        self._plan = task.request.step
        self._specs = {spec.key: spec for spec in task.request.assets}
        self._store = store
        self._stopping = stopping
        self._tell = tell
        self._outcomes: dict[str, Outcome] = {}
        self._errors: list[str] = []
        self._executed: list[str] = []
        self._definitions = deque(cell for cell in self._plan.cells if cell.action == "view" and cell.binds)

    def conduct(self, session: KernelSession, notebook: OpenNotebook) -> None:
        """Execute the step's cells.

        Raises:
            CellError: a setup cell raised, or any cell of a notebook that runs whole.
            KernelDiedError: the kernel ended in the midst of a cell.
            CanceledError: somebody asked the run to stop.
        """
        self._outcomes = lost_upstream(self._store, self._task)
        for plan, position in self._order(notebook):
            if not self._plan.whole:
                self._define_above(session, notebook, plan)
            if self._plan.whole or plan.action == "run":
                self._required(session, notebook, plan, position)
            elif plan.action == "asset":
                self._asset(session, notebook, plan, position)
            elif any(self._outcomes.get(shown) == "success" for shown in plan.shows):
                self._view(session, notebook, plan, position)

    def outcome(self, status: StepStatus, error: str | None) -> StepOutcome:
        """End the step: settle the assets that were not reached, and say how it went."""
        rest = [key for key in self._plan.assets if key not in self._outcomes]
        if rest and status != "success":
            outcome: Outcome = "canceled" if status == "canceled" else "skipped"
            self._settle(rest, outcome, error)
        mine = {key: self._outcomes[key] for key in self._plan.assets if key in self._outcomes}
        if status == "success" and self._errors:
            status, error = "failure", "; ".join(self._errors)
        elif status == "success" and any(outcome in LOST for outcome in mine.values()):
            skipped = [key for key, outcome in mine.items() if outcome in LOST]
            status = "skipped" if len(skipped) == len(mine) else "failure"
            error = f"skipped: {', '.join(skipped)}: something upstream failed"
        return StepOutcome(
            index=self._plan.index, status=status, error=error, executed=tuple(self._executed), outcomes=mine
        )

    # --- kinds of cell ---

    def _required(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan, position: int) -> None:
        try:
            self._must_succeed(session, notebook, plan, position)
        except (CellError, KernelDiedError) as error:
            if plan.assets:
                self._fail(plan.assets, str(error))
            raise
        if plan.assets:
            self._settle_committed(plan.assets)

    def _must_succeed(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan, position: int) -> None:
        reply = self._run(session, notebook, plan, position)
        if reply.status != "ok":
            raise CellError(reply.ename, reply.evalue, where=_where(notebook, position))

    def _define_above(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan) -> None:
        """Execute what always runs of the view cells above: imports, functions and classes that read no asset."""
        while self._definitions and self._definitions[0].index < plan.index:
            view = self._definitions.popleft()
            position = notebook.position(view.index)
            reply = session.define(notebook.node.cells[position].source, view.binds)
            if reply.status != "ok":
                raise CellError(reply.ename, reply.evalue, where=_where(notebook, position))

    def _asset(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan, position: int) -> None:
        lost = self._lost_upstream(plan.assets)
        if lost:
            self._settle(plan.assets, "skipped", f"upstream {lost} did not succeed")
            self._tell("cell_ended", plan.index, assets=plan.assets, status="skipped")
            return
        self._store.update_run_assets(self._task.request.run_id, plan.assets, "running", at=clock.now())
        limit = time_limit(self._specs[plan.assets[0]].options, self._task.timeout_grace)
        try:
            reply = self._run(session, notebook, plan, position, timeout=limit)
        except KernelDiedError as error:
            self._fail(plan.assets, str(error))
            raise
        if reply.status == "ok":
            self._settle_committed(plan.assets)
            return
        where = _where(notebook, position)
        failure = CellError(reply.ename, reply.evalue, where=where)
        if reply.status == "timeout":
            failure = CellError("TimeoutError", f"it took longer than {limit:g} s", where=where)
        self._fail(plan.assets, str(failure))
        self._errors.append(str(failure))

    def _view(self, session: KernelSession, notebook: OpenNotebook, plan: CellPlan, position: int) -> None:
        if plan in self._definitions:
            self._definitions.remove(plan)
        reply = self._run(session, notebook, plan, position)
        if reply.status != "ok":
            self._errors.append(str(CellError(reply.ename, reply.evalue, where=_where(notebook, position))))

    def _run(
        self,
        session: KernelSession,
        notebook: OpenNotebook,
        plan: CellPlan,
        position: int,
        *,
        timeout: float | None = None,
    ) -> Reply:
        if self._stopping():
            raise CanceledError(_CANCELED)
        at = None if plan.index == _INJECTED else plan.index
        self._tell("cell_started", at, assets=plan.assets)
        status, error = "failed", None
        try:
            reply = session.run(position, timeout=timeout)
            if reply.status == "canceled" or self._stopping():
                status = "canceled"
                raise CanceledError(_CANCELED)
            status = "success" if reply.status == "ok" else "failed"
            error = None if reply.status == "ok" else f"{reply.ename}: {reply.evalue}"
            return reply
        except KernelDiedError as died:
            error = (
                f"{_where(notebook, position)}: {died}. What was stored before is kept: "
                "find out why (memory, a crash in a library), then retry the run"
            )
            raise KernelDiedError(error) from died
        finally:
            self._tell("cell_ended", at, assets=plan.assets, status=status, error=error)

    # --- outcomes ---

    def _lost_upstream(self, assets: Iterable[str]) -> str | None:
        return next((up for key in assets for up in self._specs[key].upstream if self._outcomes.get(up) in LOST), None)

    def _settle_committed(self, assets: tuple[str, ...]) -> None:
        """Ask the store what a cell that ended well did for its assets: success is a stored value, nothing less."""
        request = self._task.request
        states = self._store.states(request.env, assets)
        for key in assets:
            state = states.get(key)
            if state is not None and state.current is not None and state.current.run_id == request.run_id:
                self._outcomes[key] = "success"
                self._executed.append(key)
            elif request.mode == "stale":
                self._outcomes[key] = "unchanged"
            else:
                self._fail((key,), f"the cell of asset {key} ended, but stored no value")
                self._errors.append(f"the cell of asset {key} ended, but stored no value")

    def _fail(self, assets: tuple[str, ...], error: str) -> None:
        """Note a failure that the kernel may have been too dead to note."""
        request = self._task.request
        states = self._store.states(request.env, assets)
        silent = [key for key in assets if key not in states or states[key].failed_run != request.run_id]
        if silent:
            self._store.record_failure(request.env, silent, error, at=clock.now(), run_id=request.run_id)
        self._settle(assets, "failed", error)

    def _settle(self, assets: Iterable[str], outcome: Outcome, error: str | None) -> None:
        keys = list(assets)
        self._outcomes.update(dict.fromkeys(keys, outcome))
        self._store.update_run_assets(self._task.request.run_id, keys, outcome, at=clock.now(), error=error)

    # --- order ---

    def _order(self, notebook: OpenNotebook) -> list[tuple[CellPlan, int]]:
        """Return the cells to execute with their positions in the record, the injected parameters among them."""
        cells = notebook.node.cells
        plans = {plan.index: plan for plan in self._plan.cells}
        indexes: Iterable[int] = self._plan.order
        if self._plan.whole:  # Run All decides by the cells themselves
            indexes = (notebook.original(at) for at in range(len(cells)) if at != notebook.injected)
        order = [
            (plans.get(index) or CellPlan(index=index, cell_id="", action="run"), notebook.position(index))
            for index in indexes
        ]
        injected = notebook.injected
        if injected is not None and all(position != injected for _, position in order):
            before = next((at for at, (_, position) in enumerate(order) if position == injected - 1), -1)
            order.insert(before + 1, (CellPlan(index=_INJECTED, cell_id="", action="run"), injected))
        return [(plan, position) for plan, position in order if executable(cells[position])]


def lost_upstream(store: RunStore, task: StepTask) -> dict[str, Outcome]:
    """Return the outcomes of this run that matter to a step: of the assets upstream, and that its views show."""
    request = task.request
    wanted = {up for spec in request.assets for up in spec.upstream}
    wanted |= {shown for cell in request.step.cells for shown in cell.shows}
    wanted -= set(request.step.assets)
    if not wanted:
        return {}
    return {each.asset: each.outcome for each in store.run_assets(request.run_id) if each.asset in wanted}


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


def _where(notebook: OpenNotebook, position: int) -> str:
    if position == notebook.injected:
        return f"{notebook.name}, injected parameters"
    return f"{notebook.name}, cell {notebook.original(position) + 1}"
