"""A daemon's parts on a store in memory, with a clock, a project and processes that a test controls."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nbpipe.core.automation.definitions import JobDef, ScheduleDef
from nbpipe.core.definitions import Definitions
from nbpipe.core.records import Run
from nbpipe.core.runs.plans import RunPlan, StepPlan
from nbpipe.daemon.backfill_parts import PlannedRun
from nbpipe.daemon.bell import Bell
from nbpipe.daemon.parts import Duty, Part, Work
from nbpipe.daemon.processes import Processes
from nbpipe.execution.workers import this_worker
from nbpipe.loading.config import Config
from nbpipe.storage.memory import InMemoryStateStore
from tests.notebooks import write_notebook

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def after(**about: float) -> datetime:
    return NOON + timedelta(**about)


def defined(*schedules: ScheduleDef, jobs: Sequence[JobDef] = ()) -> Definitions:
    return Definitions(
        jobs={job.name: job for job in jobs}, schedules={schedule.name: schedule for schedule in schedules}
    )


class FakeProject:
    """One notebook; a job of it is planned, or refused, as the test says."""

    env = "default"

    def __init__(self, root: Path, definitions: Definitions = Definitions()) -> None:  # noqa: B008 - immutable
        self.root, self.definitions = root, definitions
        self.config = Config()
        self.works: list[Work] = []
        self.answer: Callable[[Work], object] = lambda _: True
        self.saved = definitions
        write_notebook(root / "n.ipynb", ["1"])

    def look(self) -> bool:
        if isinstance(self.saved, Exception):
            raise self.saved
        changed, self.definitions = self.saved is not self.definitions, self.saved
        return changed

    def plan(self, work: Work) -> PlannedRun | None:
        self.works.append(work)
        answer = self.answer(work)
        if isinstance(answer, Exception):
            raise answer
        return self._planned(work.job.selection) if answer else None

    def plan_retry(self, run: Run) -> PlannedRun:
        return self._planned(run.selection)

    def _planned(self, selection: str) -> PlannedRun:
        step = StepPlan(index=0, notebook="n.ipynb", whole=True)
        return PlannedRun(plan=RunPlan(env="default", selection=selection, steps=(step,)), definitions=Definitions())


class FakeProcess:
    """Runs until the test says how it ended."""

    numbers = itertools.count(1_000_000)

    def __init__(self, what: Sequence[str]) -> None:
        self.what, self.pid, self.code = tuple(what), next(self.numbers), None

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:  # noqa: ARG002
        return 0 if self.code is None else self.code

    def kill(self) -> None:
        self.code = -9

    def terminate(self) -> None:
        self.code = -15


class FakeStarter:
    """Starts processes that do nothing."""

    def __init__(self) -> None:
        self.processes: list[FakeProcess] = []
        self.error: OSError | None = None
        self.pid: int | None = None
        """That of all its processes; None: numbers of no process."""

    def start(self, what: Sequence[str], log: Path) -> FakeProcess:  # noqa: ARG002
        if self.error is not None:
            raise self.error
        self.processes.append(FakeProcess(what))
        self.processes[-1].pid = self.pid or self.processes[-1].pid
        return self.processes[-1]

    @property
    def runs(self) -> list[str]:
        return [process.what[1] for process in self.processes if process.what[0] == "_run"]


class World:
    """A store, a project and a clock; `lead` begins a daemon's turn."""

    def __init__(self, root: Path, definitions: Definitions = Definitions()) -> None:  # noqa: B008 - immutable
        self.store = InMemoryStateStore()
        self.project = FakeProject(root, definitions)
        self.starter = FakeStarter()
        self.processes = Processes(self.starter)
        self.said: list[str] = []
        self.time = NOON

    def lead(self, **about: Any) -> Duty:
        """Take the lease over from whoever has it."""
        automation, worker = self.store.automation, this_worker()
        lease = automation.lead("default", worker, at=self.time, instead_of=automation.lease("default"))
        assert lease is not None
        duty = Duty(
            store=self.store,
            lease=lease,
            project=self.project,
            processes=self.processes,
            log=lambda text, **_: self.said.append(text),
            bell=Bell(),
            now=lambda: self.time,
            **about,
        )
        duty.declared.take(self.project.definitions)
        return duty

    def act(self, part: Part, at: datetime | None = None) -> datetime | None:
        """Ask a part until it has nothing more to do at a moment; return when it wants to be asked again."""
        self.time = at or self.time
        for _ in range(1_000):
            again = part.act(self.time)
            if again is None or again > self.time:
                return again
        raise AssertionError("the part never comes to rest")

    def ticks(self, name: str) -> list[tuple[str, str]]:
        """Return the ticks of a schedule, oldest first, as time and status."""
        found = self.store.automation.ticks("default", "schedule", name, limit=10_000)
        return [(f"{tick.scheduled_at:%H:%M:%S}", tick.status) for tick in reversed(found)]

    def declare(self, duty: Duty, definitions: Definitions) -> None:
        """Let others be saved, and noticed."""
        self.project.definitions = self.project.saved = definitions
        duty.declared.take(definitions)


def ended(store: InMemoryStateStore, run_id: str, status: str, at: datetime, error: str | None = None) -> None:
    """Let a queued run be carried out."""
    assert store.claim_run(run_id, this_worker(), at=at)
    assert store.advance_run(run_id, status, at=at, error=error)


def policies(**changes: Any) -> Mapping[str, Any]:
    return {"name": "nightly", "selection": "x", **changes}
