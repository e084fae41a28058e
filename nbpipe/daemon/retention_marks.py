"""When old rows and old values were removed last, in a file: daemons that end soon take turns with it."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec

from nbpipe import clock
from nbpipe.execution.records import write_atomically


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """When each was done; the first daemon of a project notes its own beginning: nothing is old then."""

    rows: datetime
    """Ticks, runs, backfills and records."""
    values: datetime
    elapsed: float = 0.0
    """`clock.elapsed` when this was written: seconds since this machine was started."""

    def has_leapt(self, now: datetime, leap: timedelta) -> bool:
        """Tell whether the clock was set ahead by more than `leap` since, or back; not across starts of a machine."""
        if now < max(self.rows, self.values):
            return True
        passed = clock.elapsed() - self.elapsed
        return passed >= 0 and now - max(self.rows, self.values) > timedelta(seconds=passed) + leap


class MarksFile:
    """Keeps the marks of an environment of a project."""

    def __init__(self, root: Path, env: str) -> None:
        """Keep them under the root."""
        self._file = root / ".nbpipe" / f"retention-{quote(env, safe='')}.json"

    def read(self) -> Marks | None:
        """Return them; None if nothing is known."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Marks)
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, marks: Marks) -> None:
        """Keep them; on a full disk, what they are about is done again the next time."""
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(exist_ok=True)
            write_atomically(self._file, msgspec.json.encode(msgspec.structs.replace(marks, elapsed=clock.elapsed())))
