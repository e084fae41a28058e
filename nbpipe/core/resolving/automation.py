"""Jobs, schedules and sensors of a whole project: what they name is looked up, and names are unique.

What has an error is left out of the definitions: nothing starts runs by half of what was meant.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef
from nbpipe.core.definitions import AssetSpec, Automation, Definitions, Diagnostic, NotebookDef
from nbpipe.core.graph import AssetGraph
from nbpipe.core.parameters import parse_value
from nbpipe.core.resolving.declared import Configured, Declared, Kind
from nbpipe.core.runs.parameter_checks import parameters_for
from nbpipe.core.selection import STATUSES, resolve
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.errors import ParameterError, UnknownNameError, UsageError

_Def = TypeVar("_Def", JobDef, ScheduleDef, SensorDef)


def resolve_automation(
    declared: Iterable[Declared],
    assets: Mapping[str, AssetSpec],
    notebooks: Mapping[str, NotebookDef],
    configured: Configured | None = None,
) -> tuple[Automation, list[Diagnostic]]:
    """Put together what notebooks and the configuration declare; return it with what is wrong.

    Args:
        declared: of all notebooks, in order.
        assets: all assets.
        notebooks: all notebooks.
        configured: what the configuration declares.
    """
    given = configured or Configured()
    return _Project((*given.declared, *declared), assets, notebooks, given.notifiers).resolve()


class _Project:
    def __init__(
        self,
        declared: Sequence[Declared],
        assets: Mapping[str, AssetSpec],
        notebooks: Mapping[str, NotebookDef],
        notifiers: Collection[str],
    ) -> None:
        self._assets = assets
        self._notebooks = notebooks
        self._notifiers = notifiers
        self._graph: AssetGraph | None = None
        self._unusable: dict[str, str] = {}
        self._found: list[Diagnostic] = []
        self._first: dict[tuple[Kind, str], Declared] = {}
        for each in declared:
            self._add(each)

    def resolve(self) -> tuple[Automation, list[Diagnostic]]:
        jobs = self._all(JobDef, self._job)
        self._jobs = jobs
        schedules = self._all(ScheduleDef, self._schedule)
        sensors = self._all(SensorDef, self._sensor)
        return Automation(jobs, schedules, sensors, self._unusable), self._found

    def _add(self, declared: Declared) -> None:
        if declared.definition is None:
            if declared.name:
                self._spoil(declared, declared.problem)
            return
        first = self._first.setdefault((declared.kind, declared.name), declared)
        if first is not declared:
            message = (
                f"{declared.kind} {declared.name!r} is declared in {first.place}, and again in {declared.place}: "
                "rename one of them; until then, neither counts"
            )
            self._error(declared, f"duplicate-{declared.kind}", message)

    def _all(self, kind: type[_Def], check: object) -> dict[str, _Def]:
        found: dict[str, _Def] = {}
        for (_, name), declared in sorted(self._first.items()):
            if isinstance(declared.definition, kind) and not self._is_unusable(declared.kind, name):
                definition = check(declared, declared.definition)  # type: ignore[operator]
                if not self._is_unusable(declared.kind, name):
                    found[name] = definition
        return found

    def _job(self, declared: Declared, job: JobDef) -> JobDef:
        if job.notebook is None:
            self._check_parameters(declared, job, self._selected(declared, job.selection))
            return job
        path = self._find_notebook(declared, job.notebook)
        if path is None:
            error = UnknownNameError("notebook", job.notebook, self._notebooks, hint="in this project")
            self._error(declared, "unknown-notebook", str(error))
            return job
        self._check_parameters(declared, job, [path])
        return msgspec.structs.replace(job, notebook=path)

    def _schedule(self, declared: Declared, schedule: ScheduleDef) -> ScheduleDef:
        if schedule.job is not None:
            self._check_job(declared, schedule.job)
        if schedule.selection:
            self._selected(declared, schedule.selection)
        return schedule

    def _sensor(self, declared: Declared, sensor: SensorDef) -> SensorDef:
        for name in sensor.assets:
            if name not in self._assets:
                self._error(declared, "unknown-asset", str(UnknownNameError("asset", name, self._assets)))
        for job in (*([sensor.job] if sensor.job else []), *sensor.jobs):
            self._check_job(declared, job)
        for name in sensor.notify:
            if name not in self._notifiers:
                hint = "" if self._notifiers else f"declare it as [notify.{name}] in nbpipe.toml"
                error = UnknownNameError("notification", name, self._notifiers, hint=hint)
                self._error(declared, "unknown-notification", str(error))
        return sensor

    def _check_job(self, declared: Declared, name: str) -> None:
        if name in self._jobs:
            return
        if self._is_unusable("job", name):
            self._error(declared, "broken-job", f"job {name!r} has an error, so that nothing can run it")
        else:
            known = [each for kind, each in self._first if kind == "job"]
            self._error(declared, "unknown-job", str(UnknownNameError("job", name, known)))

    def _selected(self, declared: Declared, selection: str) -> list[str]:
        """Return the notebooks of the selected assets; of those with a certain status, of all that might have it."""
        asked = False

        def any_status() -> Mapping[str, Collection[str]]:
            nonlocal asked
            asked = True
            return dict.fromkeys(self._assets, STATUSES)

        if self._graph is None:
            self._graph = AssetGraph.of(Definitions(assets=self._assets))
        try:
            keys = resolve(parse_selection(selection), self._graph, self._assets, any_status)
        except UsageError as error:
            self._error(declared, "selection", str(error))
            return []
        if asked:
            return sorted(self._notebooks)
        if not keys:
            self._error(declared, "selection", f"{selection} selects nothing")
        return list(dict.fromkeys(self._assets[key].cell.notebook for key in keys))

    def _check_parameters(self, declared: Declared, job: JobDef, paths: Iterable[str]) -> None:
        notebooks = [self._notebooks[path] for path in paths if path in self._notebooks]
        if not (notebooks and job.parameters):
            return
        try:
            parameters_for(notebooks, {name: parse_value(text) for name, text in job.parameters})
        except ParameterError as error:
            self._error(declared, "unknown-parameter", str(error))

    def _find_notebook(self, declared: Declared, written: str) -> str | None:
        folder = "" if declared.cell is None else posixpath.dirname(declared.file)
        paths = (posixpath.normpath(posixpath.join(base, written)) for base in (folder, ""))
        return next((path for path in paths if path in self._notebooks), None)

    def _is_unusable(self, kind: Kind, name: str) -> bool:
        return f"{kind} {name}" in self._unusable

    def _spoil(self, declared: Declared, problem: str) -> None:
        self._unusable.setdefault(f"{declared.kind} {declared.name}", problem)

    def _error(self, declared: Declared, code: str, message: str) -> None:
        text = message if code.startswith("duplicate-") else f"{declared.label}: {message}"
        self._spoil(declared, text)
        self._found.append(
            Diagnostic(
                severity="error",
                code=code,
                message=text,
                notebook=declared.file,
                cell_id=declared.cell.cell_id if declared.cell else None,
                cell=declared.cell.index + 1 if declared.cell else None,
                line=declared.line,
            )
        )
