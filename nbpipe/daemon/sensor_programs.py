"""What is executed to ask each sensor, as it was saved when its notebook could last be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from nbpipe.core.automation.definitions import SensorDef
from nbpipe.core.automation.evaluations import Program, programs_of
from nbpipe.daemon.parts import Duty


class Programs:
    """Keeps the program of each sensor that is on."""

    def __init__(self, duty: Duty) -> None:
        """Begin with none."""
        self._duty = duty
        self._found: dict[str, Program] = {}
        self._made_from: dict[str, object] = {}
        self.secrets: tuple[str, ...] = ()
        """References such as `${NAME}` to what nothing may show."""

    def get(self, sensor: str) -> Program | None:
        """Return the program of a sensor; None if its notebook could never be read."""
        return self._found.get(sensor)

    def look(self, sensors: Mapping[str, SensorDef]) -> None:
        """Take in what is saved; a notebook that is broken now leaves the programs as they are."""
        project = self._duty.project
        self.secrets = project.config.references
        by_notebook: dict[str, list[SensorDef]] = defaultdict(list)
        for sensor in sensors.values():
            if sensor.cell is not None and sensor.kind == "cell":
                by_notebook[sensor.cell.notebook].append(sensor)
        definitions = project.definitions
        for path in self._made_from.keys() - by_notebook.keys():
            del self._made_from[path]
        for path, here in by_notebook.items():
            notebook, facts = definitions.notebooks.get(path), project.facts(path)
            if notebook is None or facts is None or self._made_from.get(path) == (notebook.content_hash, here):
                continue
            self._made_from[path] = (notebook.content_hash, here)
            self._found.update(programs_of(facts, notebook, here, root=str(project.root), env=project.env))
        for name in self._found.keys() - sensors.keys():
            del self._found[name]
