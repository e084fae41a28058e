"""Jobs, schedules and sensors as one notebook, or the configuration, declares them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal, TypeAlias

import msgspec

from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef
from nbpipe.core.definitions import CellRef
from nbpipe.core.reading.automation_lines import AutomationDef, declared_name, parse_automation
from nbpipe.core.reading.declarations import DECLARING_LINE_MAGICS, SENSOR, split_cell
from nbpipe.core.reading.notebooks import UNREADABLE, CellFacts
from nbpipe.core.resolving.bodies import Surroundings, declaring_line
from nbpipe.core.resolving.kinds import declares_automation
from nbpipe.core.resolving.sensor_bodies import resolve_sensor_body
from nbpipe.errors import DeclarationError

Kind: TypeAlias = Literal["job", "schedule", "sensor"]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One declaration."""

    kind: Kind
    name: str
    """As far as it can be read, if the declaration has an error."""
    definition: AutomationDef | None = None
    """None: it has an error, which was reported."""
    problem: str = ""
    """The error."""
    label: str
    """What it is called in messages: `%job nightly`, or `jobs.nightly`."""
    file: str
    """The notebook, or the file of the configuration."""
    cell: CellRef | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        """Return where it is, for people."""
        return self.file if self.cell is None else str(self.cell)


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration declares."""

    declared: tuple[Declared, ...] = ()
    notifiers: Collection[str] = frozenset()
    """Names of `[notify.NAME]`."""


def kind_of(definition: AutomationDef) -> Kind:
    """Return what a definition is."""
    if isinstance(definition, JobDef):
        return "job"
    return "schedule" if isinstance(definition, ScheduleDef) else "sensor"


def declared_in(around: Surroundings) -> tuple[Declared, ...]:
    """Return what a notebook declares; report what is wrong with it, as far as the notebook alone shows it."""
    found: list[Declared] = []
    for position, cell in enumerate(around.facts.cells):
        if declares_automation(cell):
            found.extend(_in_cell(around, position, cell))
    return tuple(found)


def _in_cell(around: Surroundings, position: int, cell: CellFacts) -> Iterator[Declared]:
    reader = _CellReader(around, cell)
    if cell.magic == SENSOR:
        declared = reader.read(f"%%{SENSOR}", split_cell(cell.source).line, declaring_line(cell))
        if declared is not None:
            yield _with_body(around, position, cell, declared)
    for magic in cell.code.magics:
        if magic.name in DECLARING_LINE_MAGICS:
            declared = reader.read(f"%{magic.name}", magic.argument, magic.line)
            if declared is not None:
                yield declared


class _CellReader:
    """Reads the declaring lines of one cell."""

    def __init__(self, around: Surroundings, cell: CellFacts) -> None:
        self._around = around
        self._cell = cell
        self._ref = CellRef(around.facts.path, cell.index, cell.cell_id)

    def read(self, magic: str, argument: str, line: int) -> Declared | None:
        """Read one line; None if it declares nothing."""
        name = declared_name(argument)
        definition, problem = None, ""
        if self._cell.problem is not None and self._cell.magic != SENSOR:
            problem = f"cell {self._cell.index + 1} can't be read: {self._cell.problem.message}"  # reported as such
        else:
            try:
                definition = parse_automation(magic, argument)
            except DeclarationError as error:
                problem = self._report(magic, argument, line, error)
            else:
                if definition is None:
                    return None
                definition = msgspec.structs.replace(definition, cell=self._ref)
        return Declared(
            kind=_kind(magic),
            name=name if definition is None else definition.name,
            definition=definition,
            problem=problem,
            label=f"{magic} {name}".rstrip(),
            file=self._ref.notebook,
            cell=self._ref,
            line=line,
        )

    def _report(self, magic: str, argument: str, line: int, error: DeclarationError) -> str:
        message = str(error)
        column = self._column(argument, line, error)
        place = "" if column is None or "\n" in message else f"column {column + 1}: "
        message = f"{magic} {declared_name(argument)}".rstrip() + f": {place}{message}"
        self._around.reports.error(UNREADABLE, message, self._cell, line)
        return message

    def _column(self, argument: str, line: int, error: DeclarationError) -> int | None:
        """Return the column in the line of the cell; None where it is not known."""
        text = self._cell.source.split("\n")[line - 1]
        start = text.rfind(argument) if argument else len(text.rstrip())
        return None if error.column is None or start < 0 else start + error.column


def _kind(magic: str) -> Kind:
    name = magic.lstrip("%")
    return "job" if name == "job" else "schedule" if name == "schedule" else "sensor"


def _with_body(around: Surroundings, position: int, cell: CellFacts, declared: Declared) -> Declared:
    """Add to a sensor what its body says."""
    if cell.problem is not None:
        problem = declared.problem or cell.problem.message
        return msgspec.structs.replace(declared, definition=None, problem=problem)
    setup_names, problem = resolve_sensor_body(around, position, declared.name)
    if not isinstance(declared.definition, SensorDef):
        return declared
    if problem:
        return msgspec.structs.replace(declared, definition=None, problem=problem)
    sensor = msgspec.structs.replace(declared.definition, source_hash=cell.source_hash, setup_names=setup_names)
    return msgspec.structs.replace(declared, definition=sensor)
