"""Tell whether a worker that can't be seen from here still lives: by its counter of beats and our own clock.

Commands are short, so what one of them saw is kept for the next in a small file. The monotonic clock of one
boot of one machine is the same for all of its processes, and never jumps; wall clocks are never compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from nbpipe import clock
from nbpipe.core.records import WorkerId, WorkerState
from nbpipe.execution.records import write_atomically
from nbpipe.execution.workers import this_worker

#: Seconds after which a counter that has not moved means that its worker is gone.
PATIENCE = 10.0
#: Seconds that a worker is remembered whose counter was not seen to move.
_REMEMBERED = 3_600.0


class _Sighting(msgspec.Struct):
    beats: int
    since: float
    """Our monotonic clock when this number was first seen."""


class _Sightings(msgspec.Struct):
    observer: str
    """Machine and boot whose clock it is."""
    workers: dict[str, _Sighting]


class Sightings:
    """What has been seen of workers, kept in one file of this machine."""

    def __init__(self, file: Path) -> None:
        """Keep sightings in `file`."""
        self._file = file

    def expired(self, worker: WorkerId, states: Iterable[WorkerState]) -> bool:
        """Note the counter of a worker; tell whether it has stood still for too long."""
        beats = next((state.beats for state in states if state.worker == worker), -1)
        seen = self._read()
        now = clock.monotonic()
        known = seen.workers.get(worker.id)
        if known is not None and known.beats == beats and known.since <= now:
            return now - known.since > PATIENCE
        # those that ended as they should are never asked about again
        seen.workers = {name: each for name, each in seen.workers.items() if 0 <= now - each.since < _REMEMBERED}
        seen.workers[worker.id] = _Sighting(beats, now)
        self._write(seen)
        return False

    def forget(self, worker: WorkerId) -> None:
        """Forget a worker that has ended."""
        seen = self._read()
        if seen.workers.pop(worker.id, None) is not None:
            self._write(seen)

    def _read(self) -> _Sightings:
        observer = _observer()
        with contextlib.suppress(OSError, msgspec.DecodeError):
            seen = msgspec.json.decode(self._file.read_bytes(), type=_Sightings)
            if seen.observer == observer:
                return seen
        return _Sightings(observer, {})

    def _write(self, seen: _Sightings) -> None:
        with contextlib.suppress(OSError):  # a folder that can't be written: the next command waits anew
            write_atomically(self._file, msgspec.json.encode(seen))


def _observer() -> str:
    me = this_worker()
    return f"{me.host}/{me.boot_id}"
