"""`%%sensor` in a person's kernel: ask the sensor with the cursor that it keeps, and show what it would launch."""

from __future__ import annotations

from typing import cast

from nbpipe import clock
from nbpipe.commands.sensor_trial import evaluation_of, kept_cursor, trial_of
from nbpipe.core.automation.definitions import SensorDef
from nbpipe.core.automation.evaluations import Evaluated, Program, packed
from nbpipe.core.reading.automation_lines import parse_automation
from nbpipe.core.reading.automation_options import CELL_SENSOR_TABLE
from nbpipe.core.reading.declarations import SENSOR
from nbpipe.kernel.answers import Answer
from nbpipe.kernel.live import LiveSession
from nbpipe.kernel.sayings import say
from nbpipe.kernel.sensors.asking import ask
from nbpipe.kernel.sessions import Located, Session
from nbpipe.kernel.tracebacks import own_errors
from nbpipe.settings import asking_a_sensor


def sensor_cell(session: Session, line: str, body: str) -> Answer | None:
    """Execute a `%%sensor` cell as a trial; in a job, say that there is nothing to do.

    Nothing is launched, recorded or kept; that the sensor is there counts when its notebook is saved.

    Raises:
        UsageError: the line can't be read.
        DefinitionError: the value, or the cursor, means nothing.
        Exception: whatever the body raises.
    """
    __tracebackhide__ = True
    if session.in_step:
        name = line.split(maxsplit=1)[0] if line.strip() else ""
        say(f"sensor {name}: the daemon asks it, in a job it does nothing")
        return None
    with own_errors():
        definition = parse_automation(f"%%{SENSOR}", line)
        if definition is None:
            say(CELL_SENSOR_TABLE.help())
            return None
        sensor = cast("SensorDef", definition)
        live = cast("LiveSession", session)
        place = live.located(SENSOR, line, body)
        workspace = live.seen()
        before = kept_cursor(workspace, sensor.name)
        program = _program(live, sensor, place)
        evaluation = evaluation_of(workspace, sensor, program, cursor=before)
        visible = live.cells.names.body_names(program.visible, program.hidden)
    began = clock.monotonic()
    with own_errors(), asking_a_sensor():
        asked = ask(live.shell, evaluation, visible)
    found = Evaluated(
        id=evaluation.id,
        status="answered",
        answer=packed(asked.answer),
        cursor=asked.cursor,
        seconds=clock.monotonic() - began,
    )
    with own_errors():
        return Answer("sensor tick", trial_of(workspace, sensor, found, before=before), env=workspace.env)


def _program(live: LiveSession, sensor: SensorDef, place: Located) -> Program:
    visible, hidden = live.names_for(place.cell_id)
    return Program(
        sensor=sensor.name,
        root=str(live.workspace.root),
        env=live.workspace.env,
        notebook=live.live.path,
        index=0,
        source=place.source,
        visible=tuple(sorted(visible)),
        hidden=tuple(sorted(hidden)),
    )
