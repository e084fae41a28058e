"""The only reader of the clock, of random identity and of this process's identity in time."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds of a clock that never jumps; only differences mean something."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait; for loops that poll something that can't be awaited."""
    time.sleep(seconds)


def new_id() -> str:
    """Return a new identifier that sorts by creation time: 12 hex digits of milliseconds, 8 random ones."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(4).hex()}"


def now_ns() -> int:
    """Return nanoseconds since the epoch, to compare with the times of files."""
    return time.time_ns()
