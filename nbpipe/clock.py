"""The only reader of the clock, of random identity and of this process's identity in time.

Tests may let time jump, or go faster, in many processes at once: all that inherit the variable `NBPIPE_CLOCK` follow
the file that it names. `nbpipe.testing.ClockFile` writes it. Signs of life, and the patience with them, keep the
system's pace: they are about processes, which don't go faster.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from nbpipe import settings


class Pace(NamedTuple):
    """What a followed file says: where time stood at some moment, and how fast it goes since."""

    at: float
    """That moment, on the system's clock that never jumps, which all processes of a machine share."""
    wall: float
    """Seconds since the epoch, then."""
    elapsed: float
    """Seconds of `elapsed`, then."""
    rate: float
    """Seconds that go by in each second of the system."""

    @classmethod
    def of(cls, text: str) -> Pace:
        """Read the content of the file.

        Raises:
            ValueError: it is none.
        """
        at, wall, elapsed, rate = map(float, text.split())
        return cls(at, wall, elapsed, rate)

    @property
    def text(self) -> str:
        """Return the content of the file."""
        return " ".join(map(repr, self))

    def since(self) -> float:
        """Return how many seconds have gone by."""
        return (time.monotonic() - self.at) * self.rate


class _Follower:
    """Reads a file again when it was replaced."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._pace = Pace(0.0, 0.0, 0.0, 1.0)

    def pace(self) -> Pace:
        status = self._file.stat()
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            self._pace, self._seen = Pace.of(self._file.read_text(encoding="ascii")), seen
        return self._pace


_followed: _Follower | None = None


def follow(file: Path | None) -> None:
    """Let a file say what time it is; None: the system's clock does."""
    global _followed  # noqa: PLW0603 - there is one time in a process
    _followed = None if file is None else _Follower(file)


follow(settings.clock_file())


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC) if _followed is None else datetime.fromtimestamp(_seconds(_followed), UTC)


def monotonic() -> float:
    """Return seconds of a clock that never jumps; only differences mean something."""
    return time.monotonic()


def elapsed() -> float:
    """Return seconds of a clock that never jumps, but goes as fast as `now`: for what is done every so often."""
    if _followed is None:
        return monotonic()
    pace = _followed.pace()
    return pace.elapsed + pace.since()


def seconds_until(moment: datetime) -> float:
    """Return how long to wait until it is a moment of `now`, if nobody sets the clock; negative if it has passed."""
    left = (moment - now()).total_seconds()
    return left if _followed is None else left / _followed.pace().rate


def sleep(seconds: float) -> None:
    """Wait; for loops that poll something that can't be awaited."""
    time.sleep(seconds)


def new_id() -> str:
    """Return a new identifier that sorts by creation time: 12 hex digits of milliseconds, 8 random ones."""
    milliseconds = time.time_ns() // 1_000_000 if _followed is None else int(_seconds(_followed) * 1000)
    return f"{milliseconds:012x}{os.urandom(4).hex()}"


def now_ns() -> int:
    """Return nanoseconds since the epoch, to compare with the times of files: always by the system's clock."""
    return time.time_ns()


def _seconds(followed: _Follower) -> float:
    pace = followed.pace()
    return pace.wall + pace.since()
