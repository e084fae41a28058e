"""Which parts a daemon has, in the order in which they are asked."""

from __future__ import annotations

from nbpipe.daemon.backfill_queue import Backfills
from nbpipe.daemon.definitions import Notebooks
from nbpipe.daemon.monitor import Monitor, Retries
from nbpipe.daemon.parts import Duty, Part
from nbpipe.daemon.queue import RunQueue
from nbpipe.daemon.retention import RetentionPart
from nbpipe.daemon.schedules import Schedules
from nbpipe.daemon.sensors import Sensors
from nbpipe.execution.evaluators import SensorProcesses


def parts_of(duty: Duty) -> list[Part]:
    """Make the parts: first what others depend on, and what starts runs before what carries them out."""
    return [
        Notebooks(duty),
        Schedules(duty),
        Sensors(duty, SensorProcesses),
        Monitor(duty),
        Retries(duty),
        Backfills(duty),
        RunQueue(duty),
        RetentionPart(duty),
    ]
