"""Times as pages show them: in the zone of this machine, which is always named."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


def time_text(at: datetime | None, *, zone: bool = False) -> str:
    """Write a time in the zone of this machine; in a table, its heading names the zone, see `time_heading`."""
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}{f' {zone_text(at)}' if zone else ''}"


def short_time_text(at: datetime) -> str:
    """Write a time with its zone, and with seconds if there are any."""
    return f"{time_text(at).removesuffix(':00')} {zone_text(at)}"


def time_heading(name: str, times: Iterable[datetime | None]) -> str:
    """Return the heading of a column of times with their zone: "made (UTC)", or "made (CEST/CET)"."""
    zones = dict.fromkeys(zone_text(at) for at in times if at is not None)
    return f"{name} ({'/'.join(sorted(zones))})" if zones else name


def zone_text(at: datetime) -> str:
    """Name the zone of this machine at a time."""
    return at.astimezone().tzname() or f"UTC{at.astimezone():%z}"
