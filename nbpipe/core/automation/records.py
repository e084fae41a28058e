"""What the state store keeps of schedules and sensors: who leads, what is on, ticks, cursors and run keys."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from nbpipe.core.records import WorkerId

Source: TypeAlias = Literal["schedule", "sensor"]
TickStatus: TypeAlias = Literal["launched", "skipped", "missed", "failed"]
"""A tick that started runs, or told people of some, is `launched`."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to act for an environment. Whoever takes it over gets a higher token; the old one no longer works."""

    env: str
    worker: WorkerId
    token: int
    beats: int = 0
    """Signs of life; the lease is alive as long as they move."""


class AutomationState(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one schedule or sensor."""

    source: Source
    name: str
    on: bool | None = None
    """Started or stopped by a person; None: as it is declared."""
    times: str = ""
    """`ScheduleDef.times` when `since` was set."""
    since: datetime | None = None
    """Ticks up to here are settled, whatever becomes of the definition."""
    cursor: str | None = None
    changed_at: datetime | None = None


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One moment at which a schedule or a sensor was asked."""

    id: int = 0
    source: Source
    name: str
    scheduled_at: datetime
    """When it was due; of a sensor, when it was evaluated, the first time if it stands for several."""
    status: TickStatus
    runs: tuple[str, ...] = ()
    reason: str | None = None
    """Why it was skipped or missed, or the error; who was told, and who could not be."""
    at: datetime
    """When this was recorded last."""
    count: int = 1
    """How many in a row this stands for: skips of a sensor, and missed ticks before this one."""
