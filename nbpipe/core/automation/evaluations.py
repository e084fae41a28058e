"""What is said between those who ask a sensor's cell and the process that executes it.

A program holds texts, so that it can be executed in another process, and later, by what was saved when it was read.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from nbpipe.core.automation.definitions import SensorDef
from nbpipe.core.automation.requests import Answer
from nbpipe.core.definitions import CellDef, NotebookDef
from nbpipe.core.parameters import canonical
from nbpipe.core.reading.notebooks import CellFacts, NotebookFacts

#: Both sides must have the same number; it changes when a message or its meaning changes.
PROTOCOL = 1
#: Characters that are kept of what an evaluation prints.
LONGEST_OUTPUT = 2_000
#: Characters of a cursor.
LONGEST_CURSOR = 1_000_000

_EVERYTHING = "*"


class SetupCell(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A cell that is executed before the sensor."""

    index: int
    """0-based position among all cells."""
    cell_id: str
    source: str
    only: tuple[str, ...] | None = None
    """Only the imports, functions and classes that bind these names; None: the whole cell."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What is executed to ask one sensor."""

    sensor: str
    root: str
    """Absolute path of the project's root."""
    env: str
    notebook: str
    """Path relative to the root."""
    kernel: str | None = None
    """Name of its kernelspec."""
    index: int
    """Of the sensor's cell, 0-based among all cells."""
    source: str
    """The whole cell."""
    setup: tuple[SetupCell, ...] = ()
    """In document order; perhaps also cells below, which change nothing that this sensor reads: then several sensors
    of a notebook share them."""
    needs: tuple[str, ...] = ()
    """Names of setup cells that it can't do without."""
    visible: tuple[str, ...] = ()
    """Names that setup cells above it bind; `*` for those that no text shows."""
    hidden: tuple[str, ...] = ()
    """Names that it does not see, though the notebook may bind them."""

    @property
    def key(self) -> str:
        """Return a name for what is executed before the sensor: those with the same one can share a process."""
        parts = msgspec.json.encode([self.root, self.env, self.notebook, self.kernel, self.setup])
        return hashlib.sha256(parts).hexdigest()[:24]


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """Who evaluates."""

    protocol: int
    pid: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, tag="evaluate"):
    """Ask a sensor once."""

    id: str
    program: Program
    cursor: str | None = None
    last_tick_at: datetime | None = None
    """When it was asked last, if it was."""
    timeout: float
    """Seconds for its body; setup cells, where they are executed first, have as many."""
    secrets: tuple[str, ...] = ()
    """Texts with `${NAME}`: what they stand for is blotted out of the answer."""


class Evaluated(msgspec.Struct, frozen=True, kw_only=True, tag="evaluated"):
    """What came of it."""

    id: str
    status: Literal["answered", "failed", "timeout"]
    answer: Answer = Answer()
    """The parameters of its runs are Python source, see `unpacked`."""
    cursor: str | None = None
    """What is to be kept; of no meaning if it failed."""
    error: str = ""
    """With its place: notebook, cell and line."""
    output: str = ""
    """What it printed, shortened."""
    seconds: float = 0.0


def programs_of(
    facts: NotebookFacts, notebook: NotebookDef, sensors: Iterable[SensorDef], *, root: str, env: str
) -> dict[str, Program]:
    """Return what is executed to ask each sensor of one notebook, by name; those whose cell is not there are left out.

    Sensors of a notebook share their setup cells where it makes no difference to them.
    """
    texts = {cell.index: cell for cell in facts.cells}
    steps = [cell for cell in notebook.cells if cell.ref.index in texts and _is_setup(cell)]
    here = [sensor for sensor in sensors if _cell_of(sensor, texts) is not None]
    last = max((sensor.cell.index for sensor in here if sensor.cell), default=0)
    found = {}
    for sensor in here:
        own = sensor.cell.index if sensor.cell else 0
        above = [cell for cell in steps if cell.ref.index < own]
        below = [cell for cell in steps if cell.ref.index > own]
        shared = [cell for cell in below if cell.ref.index < last]
        visible = _bound(above)
        found[sensor.name] = Program(
            sensor=sensor.name,
            root=root,
            env=env,
            notebook=facts.path,
            kernel=notebook.kernel,
            index=own,
            source=texts[own].source,
            setup=tuple(
                _setup_cell(cell, texts[cell.ref.index].source)
                for cell in (*above, *([] if _disturb(shared, sensor) else shared))
            ),
            needs=tuple(name for name in sensor.setup_names if name != _EVERYTHING),
            visible=visible,
            hidden=tuple(sorted({*_bound(below), *notebook.assets} - set(visible))),
        )
    return found


def packed(answer: Answer) -> Answer:
    """Return an answer that survives JSON: parameters as Python source."""
    return _with_parameters(answer, lambda value: canonical(value) or "None")


def unpacked(answer: Answer) -> Answer:
    """Return an answer as the sensor gave it."""
    return _with_parameters(answer, ast.literal_eval)


def _with_parameters(answer: Answer, change: Callable[[Any], Any]) -> Answer:
    runs = tuple(
        msgspec.structs.replace(run, parameters={name: change(value) for name, value in run.parameters.items()})
        if run.parameters
        else run
        for run in answer.runs
    )
    return msgspec.structs.replace(answer, runs=runs)


def _is_setup(cell: CellDef) -> bool:
    return cell.kind in ("setup", "parameters") or (cell.kind == "view" and bool(cell.binds))


def _setup_cell(cell: CellDef, source: str) -> SetupCell:
    only = cell.binds if cell.kind == "view" else None
    return SetupCell(index=cell.ref.index, cell_id=cell.ref.cell_id, source=source, only=only)


def _cell_of(sensor: SensorDef, texts: Mapping[int, CellFacts]) -> CellFacts | None:
    """Return the cell of a sensor, if what is there now is what it was declared by."""
    cell = None if sensor.cell is None else texts.get(sensor.cell.index)
    return cell if cell is not None and cell.source_hash == sensor.source_hash else None


def _bound(cells: Iterable[CellDef]) -> tuple[str, ...]:
    return tuple(sorted({name for cell in cells for name in cell.binds}))


def _disturb(cells: Sequence[CellDef], sensor: SensorDef) -> bool:
    """Tell whether cells below a sensor bind anew what it reads, or may do so."""
    needs = set(sensor.setup_names)
    return any(_EVERYTHING in cell.binds or not needs.isdisjoint(cell.binds) for cell in cells)
