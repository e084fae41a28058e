"""When a run that failed is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

from nbpipe.core.automation.definitions import JobDef

LONGEST_DELAY = 24 * 3600.0
"""Seconds; a delay that grows exponentially stops here."""


def retry_at(job: JobDef, attempt: int, ended_at: datetime) -> datetime | None:
    """Return when the run of a job is tried again; None if it has been tried often enough.

    Args:
        job: its policy.
        attempt: how often it has been tried, the failed attempt included.
        ended_at: when that one ended.
    """
    if attempt > job.retries:
        return None
    factor = {"constant": 1, "linear": attempt, "exponential": 2 ** min(attempt - 1, 30)}[job.backoff]
    return ended_at + timedelta(seconds=min(job.retry_delay * factor, LONGEST_DELAY))
