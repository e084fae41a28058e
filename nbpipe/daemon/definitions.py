"""Keep an eye on the saved notebooks: what they declare counts soon, and what they declared while they are broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from nbpipe import clock
from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef
from nbpipe.core.counted import counted
from nbpipe.core.definitions import Definitions, unreadable_notebooks
from nbpipe.daemon.last_good import LastGood
from nbpipe.daemon.parts import Duty
from nbpipe.errors import NbpipeError

_Def = TypeVar("_Def", JobDef, ScheduleDef, SensorDef)

#: Seconds between two looks at the files, and how much longer than a look took.
_EVERY = 2.0
_SHARE = 50.0
_LONGEST = 60.0
_LASTS = ": what it was before still counts"


class Notebooks:
    """Looks at the saved notebooks again and again."""

    def __init__(self, duty: Duty) -> None:
        """Look for a daemon."""
        self._duty = duty
        self._due = 0.0
        self._said: frozenset[str] = frozenset()
        self._trouble = ""
        self._saved: Definitions | None = None
        self._last_good = LastGood(duty.root, duty.env)

    @property
    def idle(self) -> bool:
        """See `Part`."""
        return True

    def act(self, now: datetime) -> datetime | None:
        """See `Part`."""
        left = self._due - clock.monotonic()
        if left > 0:
            return now + timedelta(seconds=left)
        began = clock.monotonic()
        try:
            self._look()
        finally:
            pause = min(max(_EVERY, _SHARE * (clock.monotonic() - began)), _LONGEST)
            self._due = clock.monotonic() + pause
        return now + timedelta(seconds=pause)

    def close(self) -> None:
        """See `Part`."""

    def _look(self) -> None:
        project = self._duty.project
        try:
            project.look()
        except NbpipeError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._duty.log(f"{error}: what was declared before still counts", level="error")
            if not self._duty.declared.version:
                self._duty.declared.take(self._last_good.read())
                self._duty.bell.ring()
            return
        self._trouble = ""
        if project.definitions is self._saved:
            return
        before = self._last_good.read() if self._saved is None else self._duty.declared.definitions
        self._saved = project.definitions
        kept = kept_definitions(before, self._saved)
        self._tell(kept)
        self._last_good.keep(kept)
        self._duty.declared.take(kept)
        self._duty.bell.ring()

    def _tell(self, kept: Definitions) -> None:
        """Say what is wrong, once as long as it stays so."""
        troubles = set(_troubles(kept))
        for text in sorted(troubles - self._said):
            self._duty.log(text, level="warning", event="definitions")
        self._said = frozenset(troubles)
        self._duty.log(
            f"{counted(len(kept.notebooks), 'notebook')}: {counted(len(kept.jobs), 'job')}, "
            f"{counted(len(kept.schedules), 'schedule')}, {counted(len(kept.sensors), 'sensor')}",
            event="definitions",
        )


def _troubles(kept: Definitions) -> Iterator[str]:
    """Yield what is wrong, once each: with the notebook, or else with the name of what is declared."""
    lasting = set()
    untold = {}
    for name, problem in kept.unusable.items():
        kind, _, label = name.partition(" ")
        lasts = label in getattr(kept, f"{kind}s")
        untold[problem] = f"{name}: {problem}{_LASTS if lasts else ''}"
        lasting |= {problem} if lasts else set()
    for each in kept.diagnostics:
        if each.severity == "error":
            untold.pop(each.message, None)
            yield f"{each.notebook}: {each.message}{_LASTS if each.message in lasting else ''}"
    yield from untold.values()


def kept_definitions(before: Definitions, saved: Definitions) -> Definitions:
    """Return what is saved, with the jobs, schedules and sensors of before whose declarations are broken now.

    Those that were taken away are gone; of a notebook that can't be read, nobody can tell: what it declared stays.
    """
    unreadable = unreadable_notebooks(saved)
    return msgspec.structs.replace(
        saved,
        jobs=_with_kept("job", before.jobs, saved.jobs, saved, unreadable),
        schedules=_with_kept("schedule", before.schedules, saved.schedules, saved, unreadable),
        sensors=_with_kept("sensor", before.sensors, saved.sensors, saved, unreadable),
    )


def _with_kept(
    kind: str, before: Mapping[str, _Def], now: Mapping[str, _Def], saved: Definitions, unreadable: frozenset[str]
) -> dict[str, _Def]:
    kept = {
        name: definition
        for name, definition in before.items()
        if f"{kind} {name}" in saved.unusable
        or (definition.cell is not None and definition.cell.notebook in unreadable and name not in now)
    }
    return dict(sorted({**kept, **now}.items()))
