"""What the body of a sensor sees as `context`."""

from __future__ import annotations

import logging
from datetime import datetime

from nbpipe.kernel.context import cell_log


class SensorContext:
    """What a sensor's body sees as `context`.

    Attributes:
        sensor: the name of the sensor.
        last_tick_at: when it was asked last, aware; None the first time.
        log: a logger; what it writes is kept with the tick, like what the body prints.
    """

    def __init__(self, sensor: str, last_tick_at: datetime | None) -> None:
        """Make the context of one evaluation."""
        self.sensor = sensor
        self.last_tick_at = last_tick_at
        self.log: logging.Logger = cell_log(f"nbpipe.sensor.{sensor}")
