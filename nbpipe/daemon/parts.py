"""What the daemon is made of: parts that each look after one thing, and what they share.

A part is made when this process begins to lead, and forgotten when it leads no more: nothing that it keeps in memory
counts for more than what the state store says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from nbpipe import clock
from nbpipe.core.automation.definitions import JobDef
from nbpipe.core.automation.records import Lease
from nbpipe.core.definitions import Definitions
from nbpipe.core.ports import StateStore
from nbpipe.core.reading.notebooks import NotebookFacts
from nbpipe.core.records import Run
from nbpipe.daemon.backfill_parts import PlannedRun
from nbpipe.daemon.bell import Bell
from nbpipe.daemon.log import Log
from nbpipe.daemon.processes import Processes
from nbpipe.errors import ConflictError
from nbpipe.loading.config import Config


class Part(Protocol):
    """Looks after one thing. All parts act in one thread, one after the other."""

    @property
    def idle(self) -> bool:
        """Nothing is under way or due that only this part knows of; the state store is asked for the rest."""

    def act(self, now: datetime) -> datetime | None:
        """Do what is due, in little time: the others wait.

        It is asked at the moment that it returned last, and also after every change of the store or of the
        definitions, so that it must be cheap where there is nothing to do.

        Returns:
            When it wants to be asked again, also if nothing changes: a moment up to `now` means soon. None: only
            after a change.

        Raises:
            ConflictError: this process does not lead any more.
            StateError: the state store does not work; it is asked again a little later.
        """

    def close(self) -> None:
        """Let go of threads and processes; this process does not lead any more, or stops."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be run."""

    job: JobDef
    closed_at: datetime
    """A job of partitions runs those that closed last before this, unless a key is given."""
    partition: str | None = None
    selection: str | None = None
    """Only these assets of the job."""
    parameters: Mapping[str, Any] = MappingProxyType({})
    """Besides those of the job."""


class DaemonProject(Protocol):
    """The project that a daemon works for."""

    @property
    def root(self) -> Path:
        """Folder that all paths are relative to."""

    @property
    def env(self) -> str:
        """Name of the environment."""

    @property
    def config(self) -> Config:
        """The configuration, as it was when the project was last looked at."""

    @property
    def definitions(self) -> Definitions:
        """What was saved when the project was last looked at."""

    def facts(self, notebook: str) -> NotebookFacts | None:
        """Return what the cells of a notebook said when the project was last looked at; None: there is none."""

    def look(self) -> bool:
        """Look at what is saved now; tell whether anything changed.

        Raises:
            NbpipeError: the configuration can't be read; what was known stays.
        """

    def plan(self, work: Work) -> PlannedRun | None:
        """Plan a run; None if there is nothing to do.

        Raises:
            NbpipeError: it can't be run as things stand.
        """

    def plan_retry(self, run: Run) -> PlannedRun:
        """Plan again what did not succeed in a run.

        Raises:
            NbpipeError: nothing is left to do, or it can't be run as things stand.
        """


class Declared:
    """The jobs, schedules and sensors that count; see `definitions.Notebooks`, which looks after them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.definitions = Definitions()
        self.version = 0
        """Grows with each change."""

    def take(self, definitions: Definitions) -> None:
        """Let others count from now on."""
        self.definitions = definitions
        self.version += 1


@dataclass(frozen=True, kw_only=True)
class Duty:
    """What a part needs to know while this process leads."""

    store: StateStore
    lease: Lease
    """Its token guards every write of its own, see `check_lead` for all else; its beats are those of the moment when it
    was taken."""
    project: DaemonProject
    processes: Processes
    log: Log
    bell: Bell
    declared: Declared = field(default_factory=Declared)
    now: Callable[[], datetime] = clock.now
    """Tells the time; what takes long asks again."""
    once: bool = False
    """Each schedule and sensor is looked at once; what they ask for is carried out."""
    until_idle: bool = False
    """This process ends when nothing is left to do."""

    def check_lead(self) -> None:
        """See to it that this process still leads, before it does what the store can't refuse: start, remove, end.

        Raises:
            ConflictError: another process leads.
        """
        known = self.store.automation.lease(self.env)
        if known is None or known.token != self.lease.token:
            raise ConflictError(f"another process leads environment {self.env} by now")

    @property
    def env(self) -> str:
        """Name of the environment."""
        return self.lease.env

    @property
    def root(self) -> Path:
        """Folder that all paths are relative to."""
        return self.project.root
