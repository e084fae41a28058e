"""Public fakes: what users need to test their own pipelines without a disk, a database, a kernel, or much time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from nbpipe import clock
from nbpipe.io.memory import MemoryIOManager
from nbpipe.settings import CLOCK
from nbpipe.storage.memory import InMemoryStateStore

__all__ = ["ClockFile", "InMemoryStateStore", "MemoryIOManager"]


class ClockFile:
    """The time of processes that follow a file: a daemon, its runs and kernels, commands.

    Start them with `variables` in their environment. What `nbpipe` calls now is what the file says, from the next time
    that it looks (a daemon at rest: within five seconds); what the code of cells asks of Python itself, and the times
    of files, stay as they are. Time begins as it is, at its usual pace.

        time = ClockFile(tmp_path / "clock")
        daemon = subprocess.Popen(["nbpipe", "daemon"], env={**os.environ, **time.variables})
        time.jump(3600)  # what has been missed?
        time.go(10)      # each minute takes six seconds
    """

    def __init__(self, file: Path) -> None:
        """Begin; the folder of `file` is there, and is of the same machine as the processes."""
        self._file = file
        at = clock.monotonic()
        self._write(clock.Pace(at=at, wall=clock.now().timestamp(), elapsed=at, rate=1.0))

    @property
    def variables(self) -> dict[str, str]:
        """Return what processes need in their environment to follow."""
        return {CLOCK: str(self._file)}

    def now(self) -> datetime:
        """Return what time it is for them."""
        return datetime.fromtimestamp(self._pace.wall + self._pace.since(), UTC)

    def jump(self, seconds: float) -> None:
        """Set the clock, forward or, with a negative number, back."""
        self._set(seconds, self._pace.rate)

    def go(self, rate: float) -> None:
        """Let time go so much faster than it does, from now on."""
        self._set(0.0, rate)

    def _set(self, seconds: float, rate: float) -> None:
        pace, at = self._pace, clock.monotonic()
        gone = (at - pace.at) * pace.rate
        self._write(clock.Pace(at=at, wall=pace.wall + gone + seconds, elapsed=pace.elapsed + gone, rate=rate))

    def _write(self, pace: clock.Pace) -> None:
        self._pace = pace
        other = self._file.with_name(f"{self._file.name}.new")
        other.write_text(pace.text, encoding="ascii")
        other.replace(self._file)  # nobody reads half of it
