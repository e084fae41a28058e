"""Jobs, schedules and sensors as they are declared, in a notebook or in the configuration."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from nbpipe.core.definitions import CellRef

Catchup: TypeAlias = Literal["none", "last", "all"] | int
"""Which of the ticks that came while no daemon worked are made up for: none, the last, all, or the last N."""

EVERY = 30.0
"""Seconds between two evaluations of a sensor, unless it says something else."""
HIGHEST_PRIORITY = 1_000_000
"""The lowest is as far below 0; every database can keep them."""
TIMEOUT = 60.0
"""Seconds that one evaluation may take, unless it says something else."""


class JobDef(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Work with a name: a selection of assets, or any notebook."""

    name: str
    selection: str = ""
    notebook: str | None = None
    """Path relative to the root: the whole notebook is run; then there is no selection."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Values as written, by name; sorted."""
    partitions: str | None = None
    """SPEC of the job's own partitions. Without it, a job of assets has those of its assets."""
    tags: tuple[tuple[str, str], ...] = ()
    retries: int = 0
    """How often a run that failed is tried again, from what failed."""
    retry_delay: float = 0.0
    """Seconds before the first retry."""
    backoff: Literal["constant", "linear", "exponential"] = "constant"
    timeout: float | None = None
    """Seconds that a run may take."""
    memory: int | None = None
    """Bytes that each of its kernels may take, instead of what the configuration says."""
    priority: int = 0
    """Runs with a higher one start first."""
    cell: CellRef | None = None
    """Where it is declared; None: in the configuration."""


class ScheduleDef(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """When work is to be done."""

    name: str
    job: str | None = None
    selection: str | None = None
    """Assets, where no job is named."""
    crons: tuple[str, ...] = ()
    """Cron expressions of five fields, or six with seconds first; a tick of any of them counts once."""
    at: tuple[str, ...] = ()
    """Single moments, ISO 8601, local where they have no offset."""
    zone: str = "UTC"
    exclude: tuple[str, ...] = ()
    """Local dates on which nothing happens: `2024-12-24`, or `12-24` for every year."""
    catchup: Catchup = "last"
    stopped: bool = False
    """Off until somebody starts it."""
    cell: CellRef | None = None

    @property
    def times(self) -> str:
        """Return what decides its ticks, as one text: a change of it begins anew, and never re-runs the past."""
        return msgspec.json.encode((self.crons, self.at, self.zone, self.exclude)).decode()


SensorKind: TypeAlias = Literal["cell", "asset", "run"]
"""`cell`: code that looks at the world; `asset`: new materializations; `run`: runs that have ended."""


class SensorDef(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What to watch, and which job to run."""

    name: str
    kind: SensorKind = "cell"
    job: str | None = None
    every: float = EVERY
    """Seconds between two evaluations, at least."""
    timeout: float = TIMEOUT
    assets: tuple[str, ...] = ()
    """Of kind `asset`: a materialization of any of them counts."""
    statuses: tuple[str, ...] = ()
    """Of kind `run`: how a run ended, `success`, `failure` or `canceled`."""
    jobs: tuple[str, ...] = ()
    """Of kind `run`: only runs of these jobs; empty: of all."""
    notify: tuple[str, ...] = ()
    """Of kind `run`: names of `[notify.NAME]` that are told."""
    stopped: bool = False
    source_hash: str = ""
    """Hash of the cell, if it has code."""
    setup_names: tuple[str, ...] = ()
    """Names of setup and parameters cells above that the body reads."""
    cell: CellRef | None = None
