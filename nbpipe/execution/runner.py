"""Carry out a run: its steps as they become ready, several at once, until all have ended or somebody says stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any

import msgspec

from nbpipe import clock, settings
from nbpipe.core.ports import Executor, KernelProvider, ProgressListener, StateStore
from nbpipe.core.records import Outcome, Run, RunStatus, StepStatus, kept_error
from nbpipe.core.runs.plans import StepPlan, StepRequest
from nbpipe.core.runs.readiness import LOST, readiness
from nbpipe.core.runs.tasks import MemoryLimit, OutputLimits, RunProgress, StepOutcome, StepTask
from nbpipe.errors import RefusedError, StateError, UnknownNameError
from nbpipe.execution.executors.local import LocalExecutor
from nbpipe.execution.heartbeat import Heartbeat, run_look
from nbpipe.execution.kernels.plain import PlainKernels
from nbpipe.execution.partition_outcomes import RunPartitions
from nbpipe.execution.partition_progress import telling
from nbpipe.execution.steps import StepTools, ignore
from nbpipe.execution.stop_signals import stop_signals
from nbpipe.execution.submit import SubmittedPlan
from nbpipe.execution.workers import this_worker


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run takes place: the project as its kernels must see it. Secrets stay `${NAME}`."""

    root: str
    """Absolute path."""
    state: str
    """SQLAlchemy URL of the state store, as configured."""
    storage: str
    """fsspec URL of the values, as configured."""
    io: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """The `[io.NAME]` tables, as configured."""
    parallel: int = 4
    """Steps that may execute at once."""
    limits: OutputLimits = OutputLimits()
    memory: int | None = None
    """Bytes that a kernel may take, unless the plan of a run says something else."""
    secrets: tuple[str, ...] = ()
    """References such as `${NAME}` to what no record may show, besides those in the addresses above."""


class Runner:
    """Carries out runs in this process."""

    def __init__(
        self,
        store: StateStore,
        site: Site,
        *,
        kernels: KernelProvider | None = None,
        on_event: ProgressListener = ignore,
    ) -> None:
        """Work for the project at `site`; kernels are started afresh unless a provider is given."""
        self._store = store
        self._site = site
        self._kernels = kernels or PlainKernels()
        self._on_event = on_event

    def execute(self, run_id: str) -> Run:
        """Carry out a queued run and return it as it ended.

        Ctrl-C and SIGTERM stop it: called in the main thread, this takes them over until the run has ended.

        Raises:
            UnknownNameError: there is no such run.
            RefusedError: another process has taken it, or it has ended.
        """
        run = self._store.run(run_id)
        plan = self._store.plan(run_id)
        if run is None or plan is None:
            raise UnknownNameError("run", run_id)
        worker = this_worker()
        if not self._store.claim_run(run.id, worker, at=clock.now()):
            raise RefusedError(f"run {run.id} is not queued any more: see `nbpipe runs show {run.id}`")
        execution = _RunExecution(self._store, self._site, run, msgspec.json.decode(plan, type=SubmittedPlan))
        tools = StepTools(store=self._store, kernels=self._kernels, on_event=self._on_event)
        executor = LocalExecutor(tools, parallel=self._site.parallel)
        look = run_look(self._store, run.id)
        try:
            with (
                Heartbeat(self._store, worker, look, execution.cancel),
                stop_signals(execution.cancel),
                _time_limit(run.timeout, execution.expire),
            ):
                try:
                    with telling(self._store, run.id, execution.partitions, self._on_event):
                        execution.carry_out(executor, self._on_event)
                finally:  # no kernel works on after its run has ended
                    executor.cancel()
                    executor.close()
        except BaseException as error:
            execution.give_up(error)
            raise
        return self._store.run(run.id) or run


class _Stop(msgspec.Struct, frozen=True):
    """Somebody, or the clock, ends a run."""

    reason: str
    status: RunStatus


@contextlib.contextmanager
def _time_limit(seconds: float | None, expire: Callable[[str], None]) -> Iterator[None]:
    """Call `expire`, from another thread, if the block takes longer."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, expire, (f"it took longer than its time limit of {seconds:g} s",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _RunExecution:
    """One run on its way."""

    def __init__(self, store: StateStore, site: Site, run: Run, plan: SubmittedPlan) -> None:
        self._store, self._site, self._run, self._plan = store, site, run, plan
        self._partitions = RunPartitions(store, run_id=run.id, env=run.env, partitions=plan.partitions, sets=plan.sets)
        self._steps = {step.index: step for step in store.steps(run.id)}
        self._plans = {step.index: step for step in plan.steps}
        self._statuses: dict[int, StepStatus] = {}
        self._outcomes: dict[int, StepOutcome] = {}
        self._assets: dict[str, Outcome] = {}
        self._news: SimpleQueue[StepOutcome | _Stop] = SimpleQueue()
        self._stopped: _Stop | None = None

    @property
    def partitions(self) -> Mapping[str, tuple[str, ...]]:
        """See `RunPlan.partitions`."""
        return self._plan.partitions

    def cancel(self, reason: str) -> None:
        """Ask the run to stop; safe in a signal handler and from any thread."""
        self._news.put(_Stop(reason, "canceled"))

    def expire(self, reason: str) -> None:
        """Stop the run because its time is over, which is a failure; safe from any thread."""
        self._news.put(_Stop(reason, "failure"))

    def carry_out(self, executor: Executor, on_event: ProgressListener) -> None:
        """Start steps as they become ready and wait until all have ended; then end the run."""
        self._store.advance_run(self._run.id, "running", at=clock.now())
        on_event(RunProgress(run_id=self._run.id, kind="run_started", at=clock.now()))
        active = 0
        while True:
            active += self._start_ready(executor, executor.parallel - active)
            if not active:
                break
            news = self._news.get()
            if isinstance(news, StepOutcome):
                active -= 1
                self._take(news)
            elif self._stopped is None:
                self._stopped = news
                executor.cancel()
        status, error = self._verdict()
        self._store.advance_run(self._run.id, status, at=clock.now(), error=error)
        on_event(RunProgress(run_id=self._run.id, kind="run_ended", at=clock.now(), status=status, error=error))

    def give_up(self, error: BaseException) -> None:
        """End the run because of an error of ours, if the store still takes it; else the next command ends it."""
        site = self._site
        secrets = settings.secret_values([site.state, site.storage, site.io, site.secrets])
        reason = settings.redacted(f"the runner failed: {type(error).__name__}: {error}", secrets)
        with contextlib.suppress(StateError):
            self._store.advance_run(self._run.id, "failure", at=clock.now(), error=kept_error(reason))

    def _start_ready(self, executor: Executor, room: int) -> int:
        """Start steps whose time has come, at most `room`; skip those that have nothing left to do."""
        if self._stopped is not None or room < 1:
            return 0
        now = readiness(self._plan, self._statuses, self._assets)
        for index, reason in now.blocked.items():
            self._skip(self._plans[index], reason)
        starting = now.ready[:room]
        for index in starting:
            self._statuses[index] = "running"
            executor.start(self._task(self._plans[index]), self._news.put)
        return len(starting) if starting or not now.blocked else self._start_ready(executor, room)

    def _skip(self, step: StepPlan, reason: str) -> None:
        at = clock.now()
        whole = [key for key in step.assets if key not in self._partitions]
        if whole:
            self._store.update_run_assets(self._run.id, whole, "skipped", at=at, error=reason)
        for key in step.assets:
            if key in self._partitions:
                self._partitions.end(key, "skipped", reason)
        self._store.update_step(self._run.id, step.index, "skipped", at=at, error=reason)
        self._take(
            StepOutcome(
                index=step.index, status="skipped", error=reason, outcomes=dict.fromkeys(step.assets, "skipped")
            )
        )

    def _take(self, outcome: StepOutcome) -> None:
        self._outcomes[outcome.index] = outcome
        self._statuses[outcome.index] = outcome.status
        self._assets.update(outcome.outcomes)
        self._assets.update({key: "success" for key in outcome.outcomes if self._goes_on(outcome, key)})

    def _goes_on(self, outcome: StepOutcome, asset: str) -> bool:
        """Tell whether something that needs an asset goes on, though not all of its partitions are done."""
        if asset not in self._partitions or outcome.outcomes[asset] not in LOST:
            return False
        below = (spec for spec in self._plan.assets if asset in spec.upstream)
        return any(not self._partitions.loses(spec, asset) for spec in below)

    def _task(self, step: StepPlan) -> StepTask:
        selected = set(step.assets)
        request = StepRequest(
            run_id=self._run.id,
            root=self._site.root,
            env=self._plan.env,
            state=self._site.state,
            storage=self._site.storage,
            io=self._site.io,
            notebook=step.notebook,
            mode=self._plan.mode,
            step=step,
            assets=tuple(spec for spec in self._plan.assets if spec.key in selected),
            partitions=self._plan.partitions,
            sets=self._plan.sets,
            sources=self._plan.sources,
            known=self._plan.known,
            parameter_defaults=self._plan.parameter_defaults.get(step.notebook, {}),
            secrets=self._site.secrets,
        )
        return StepTask(
            request=request,
            output=self._steps[step.index].output,
            limits=self._site.limits,
            memory=self._memory(),
        )

    def _memory(self) -> MemoryLimit | None:
        if self._plan.memory is not None:
            return MemoryLimit(size=self._plan.memory, set_by="`memory` of its job")
        if self._site.memory is not None:
            return MemoryLimit(size=self._site.memory, set_by="`memory` of its job, or in [executor]")
        return None

    def _verdict(self) -> tuple[RunStatus, str | None]:
        if self._stopped is not None:
            return self._stopped.status, self._stopped.reason
        failed = [each for _, each in sorted(self._outcomes.items()) if each.status in ("failure", "canceled")]
        if not failed:
            return "success", None
        notebook, first = self._steps[failed[0].index].notebook, failed[0].error or "no reason is known"
        first = first if notebook in first else f"{notebook}: {first}"
        return "failure", first if len(failed) == 1 else f"{len(failed)} steps failed; the first: {first}"
