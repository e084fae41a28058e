"""Runs whose process has been started but has not claimed them yet, in files: whoever leads next counts them too."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from nbpipe import clock
from nbpipe.core.records import WorkerId
from nbpipe.execution.liveness import PATIENCE
from nbpipe.execution.workers import is_alive, worker_of

_FOLDER = ".nbpipe/launched"


class Launched:
    """Notes such runs, and knows those that another leader has noted."""

    def __init__(self, root: Path) -> None:
        """Read what is noted in a project."""
        self._folder = root / _FOLDER
        self._began = clock.monotonic()
        self._others = self._read()

    def note(self, run_id: str, pid: int) -> None:
        """Note which process is to claim a run."""
        with contextlib.suppress(OSError):  # it has ended already, or the disk is full: then nobody counts it
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / run_id).write_bytes(msgspec.json.encode(worker_of(pid)))

    def forget(self, run_id: str) -> None:
        """Take a run off: it was claimed, or its process has ended."""
        self._others.pop(run_id, None)
        with contextlib.suppress(OSError):
            (self._folder / run_id).unlink()

    def of_others(self, longest: float) -> list[str]:
        """Return the runs whose processes others have started, and that may still claim them.

        A process that can't be seen from here has ten seconds for it, any other `longest` seconds.
        """
        waited = clock.monotonic() - self._began
        for run_id, worker in list(self._others.items()):
            alive = is_alive(worker)
            if alive is False or waited > (PATIENCE if alive is None else longest):
                self.forget(run_id)
        return sorted(self._others)

    def _read(self) -> dict[str, WorkerId]:
        found = {}
        with contextlib.suppress(OSError):  # there is none
            for file in self._folder.iterdir():
                with contextlib.suppress(OSError, msgspec.DecodeError):
                    found[file.name] = msgspec.json.decode(file.read_bytes(), type=WorkerId)
        return found
