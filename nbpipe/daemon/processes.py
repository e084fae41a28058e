"""Processes of their own that do the work: the daemon starts and watches them, and they outlive it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

#: Seconds that a process has to end after it was killed.
_MOMENT = 5.0
#: Bytes of a log that are read for its last line.
_TAIL = 10_000


class Process(Protocol):
    """A process; `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code."""

    def kill(self) -> None:
        """Kill it."""

    def terminate(self) -> None:
        """Ask it to end."""


class Starter(Protocol):
    """Starts `nbpipe` commands."""

    def start(self, what: Sequence[str], log: Path) -> Process:
        """Start a command with its arguments in the project's environment; what it prints goes to `log`.

        Raises:
            OSError: it can't be started.
        """


class Started:
    """One process that was started."""

    def __init__(self, process: Process, log: Path, at: float) -> None:
        """Watch a process that was started at a moment of the clock that never jumps."""
        self.process, self.log, self.at = process, log, at
        self._code: int | None = None

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        if self._code is None and self.process.poll() is not None:
            self._code = self.process.wait()  # lets its number be used again
        return self._code

    def last_words(self) -> str:
        """Return the last line that it printed."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
            lines = log.read().decode(errors="replace").strip().splitlines()
            return lines[-1][:500] if lines else ""
        return ""

    def kill(self) -> None:
        """Kill it and wait for its end."""
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._code = self.process.wait(_MOMENT)

    def tidy(self) -> None:
        """Remove its log, if it ended as it should."""
        if self._code in (0, 1):
            with contextlib.suppress(OSError):
                self.log.unlink()


class Processes:
    """All processes that this one has started, by what they do; kept whether it leads or not."""

    def __init__(self, starter: Starter) -> None:
        """Start them with `starter`."""
        self._starter = starter
        self.runs: dict[str, Started] = {}
        """By id of the run."""
        self.backfills: dict[str, Started] = {}
        """By id of the backfill."""
        self.cleaning: Started | None = None
        """Removes old values."""

    def start(self, what: Sequence[str], log: Path, at: float) -> Started:
        """Start one.

        Raises:
            OSError: it can't be started.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        return Started(self._starter.start(what, log), log, at)
