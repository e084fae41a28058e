"""What the names mean that the body of a sensor reads.

They resolve as in the body of an asset, with two differences: `cursor` is what the sensor kept last, and assets are not
there, since a sensor is evaluated all day long without computing or loading anything that it does not ask for.
"""

from __future__ import annotations

from nbpipe.core.keys import PARTITION
from nbpipe.core.reading.facts import Read
from nbpipe.core.reading.notebooks import CellFacts
from nbpipe.core.resolving.bodies import BodyResolver, ResolvedBody, Surroundings, declaring_line

#: What the sensor kept last; it may bind it anew.
CURSOR = "cursor"
#: What a sensor needs of nbpipe is there without an import; a setup cell may bind the names to something else.
PROVIDED = frozenset({"nbpipe", "RunRequest", "PartitionsRequest", "SkipReason"})


def resolve_sensor_body(around: Surroundings, position: int, name: str) -> tuple[tuple[str, ...], str]:
    """Resolve the names of the sensor cell at `position`; report what is wrong with them.

    Returns:
        The names of setup and parameters cells that it needs, also through others, sorted; and its first error, if it
        has one.
    """
    known = len(around.reports.found)
    body = _SensorBody(around, position, name).resolve()
    errors = (each.message for each in around.reports.found[known:] if each.severity == "error")
    return tuple(sorted(body.reach.setup)), next(errors, "")


class _SensorBody(BodyResolver):
    """Resolves one body."""

    def __init__(self, around: Surroundings, position: int, name: str) -> None:
        super().__init__(around, position)
        self._name = name

    def resolve(self) -> ResolvedBody:
        for read in self._cell.code.reads:
            if read.name != CURSOR:
                self._read(read)
        self._reach()
        self._reached_outside()
        self._value()
        return self._found

    def _asset(self, read: Read) -> None:
        self._error(
            "sensor-reads-asset",
            f"{read.name!r} is an asset, which a sensor does not get by its name: load it with "
            f"nbpipe.load({read.name!r})",
            read,
        )

    def _unknown(self, read: Read) -> None:
        if read.name not in PROVIDED:
            super()._unknown(read)

    def _injected(self, read: Read) -> None:
        if read.name == PARTITION and read.certain:
            self._error("no-partitions", f"a sensor has no {PARTITION}: put its key into a RunRequest", read)

    def _temporary(self, read: Read, owner: CellFacts) -> None:
        asset = owner.names[0] if owner.names else "?"
        self._error(
            "temporary",
            f"{read.name!r} is a temporary of asset {asset!r} (cell {owner.index + 1}), invisible to sensors: bind it "
            "here, or in a plain cell above",
            read,
        )

    def _view_name(self, read: Read, position: int) -> None:
        self._error(
            "view-name",
            f"{read.name!r} is bound by {self._place_of(position)}, which shows assets: a sensor can't see it",
            read,
        )

    def _value(self) -> None:
        """Warn of a sensor that can never ask for anything."""
        code = self._cell.code
        if code.ends_in_expression or self._name in code.binds:
            return
        self._around.reports.warning(
            "no-value",
            "the sensor has no value, so that it never asks for a run: end with an expression, for example a "
            "RunRequest, or True",
            self._cell,
            declaring_line(self._cell),
        )
