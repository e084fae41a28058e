"""A workspace as a daemon needs it."""

from __future__ import annotations

from pathlib import Path

from nbpipe.commands.job_plans import plan_work
from nbpipe.commands.runs import prepare_retry
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import Definitions, unreadable_notebooks
from nbpipe.core.reading.notebooks import NotebookFacts
from nbpipe.core.records import Run
from nbpipe.core.runs.plans import RunPlan
from nbpipe.daemon.backfill_parts import PlannedRun
from nbpipe.daemon.parts import Work
from nbpipe.errors import RefusedError, UnknownNameError
from nbpipe.loading.config import Config


class SavedWorkspace:
    """See `DaemonProject`."""

    def __init__(self, workspace: Workspace) -> None:
        """Work on a workspace, which is reloaded when it is looked at."""
        self._workspace = workspace

    @property
    def root(self) -> Path:
        """See `DaemonProject`."""
        return self._workspace.root

    @property
    def env(self) -> str:
        """See `DaemonProject`."""
        return self._workspace.env

    @property
    def config(self) -> Config:
        """See `DaemonProject`."""
        return self._workspace.config

    @property
    def definitions(self) -> Definitions:
        """See `DaemonProject`."""
        return self._workspace.definitions

    def facts(self, notebook: str) -> NotebookFacts | None:
        """See `DaemonProject`."""
        return self._workspace.project.facts_of(notebook)

    def look(self) -> bool:
        """See `DaemonProject`."""
        return self._workspace.reload()

    def plan(self, work: Work) -> PlannedRun | None:
        """See `DaemonProject`."""
        try:
            plan = plan_work(self._workspace, work)
        except UnknownNameError as error:
            unreadable = unreadable_notebooks(self.definitions)
            if not unreadable:
                raise
            raise RefusedError(f"{error}; it can't be looked for in {', '.join(sorted(unreadable))}") from error
        return self._planned(plan) if plan.steps else None

    def plan_retry(self, run: Run) -> PlannedRun:
        """See `DaemonProject`."""
        return self._planned(prepare_retry(self._workspace, run, from_failure=True))

    def _planned(self, plan: RunPlan) -> PlannedRun:
        workspace = self._workspace
        return PlannedRun(
            plan=plan, definitions=workspace.definitions, sources=workspace.project.sources(plan.notebooks)
        )
