"""The jobs, schedules and sensors that counted last, in a file: a notebook may be broken when a daemon is restarted."""

from __future__ import annotations

import contextlib
from pathlib import Path
from urllib.parse import quote

import msgspec

from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef
from nbpipe.core.definitions import Definitions
from nbpipe.execution.records import write_atomically


class _Declared(msgspec.Struct, frozen=True, kw_only=True):
    jobs: tuple[JobDef, ...] = ()
    schedules: tuple[ScheduleDef, ...] = ()
    sensors: tuple[SensorDef, ...] = ()


class LastGood:
    """Keeps them for an environment of a project, for whichever daemon leads next."""

    def __init__(self, root: Path, env: str) -> None:
        """Keep them under the root."""
        self._file = root / ".nbpipe" / f"declared-{quote(env, safe='')}.json"
        self._written = b""

    def read(self) -> Definitions:
        """Return what counted last; nothing if that can't be told."""
        try:
            content = self._file.read_bytes()
            found = msgspec.json.decode(content, type=_Declared)
        except (OSError, msgspec.DecodeError):
            return Definitions()
        self._written = content
        return Definitions(
            jobs={each.name: each for each in found.jobs},
            schedules={each.name: each for each in found.schedules},
            sensors={each.name: each for each in found.sensors},
        )

    def keep(self, definitions: Definitions) -> None:
        """Keep what counts now."""
        declared = _Declared(
            jobs=tuple(definitions.jobs.values()),
            schedules=tuple(definitions.schedules.values()),
            sensors=tuple(definitions.sensors.values()),
        )
        content = msgspec.json.encode(declared)
        if content == self._written:
            return
        with contextlib.suppress(OSError):  # the disk is full: tried again with the next change
            write_atomically(self._file, content)
            self._written = content
