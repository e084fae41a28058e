"""A step of a run in this process: cells execute in an IPython shell as in the kernel of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from nbpipe import clock
from nbpipe.commands.materialize import prepare
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import RunAsset
from nbpipe.core.runs.plans import StepRequest
from nbpipe.core.runs.tasks import encoded
from nbpipe.execution.submit import submit
from nbpipe.execution.workers import this_worker
from nbpipe.kernel import extension, step
from tests.live import Shown
from tests.notebooks import read_notebook


class InStep:
    """The kernel of the only step of a run, without the kernel."""

    def __init__(
        self, workspace: Workspace, shell: InteractiveShell, run_id: str, cells: list[Mapping[str, Any]]
    ) -> None:
        self.workspace, self.shell, self.run_id, self._cells = workspace, shell, run_id, cells

    def run(self, cell: int) -> Shown:
        """Run a cell of the notebook."""
        source = self._cells[cell]["source"]
        with capture_output() as captured:
            result = self.shell.run_cell(source, store_history=True, cell_id=self._cells[cell]["id"])
        return Shown(captured.stdout, captured.stderr, [each.data for each in captured.outputs], result)

    def rows(self, asset: str) -> dict[str, RunAsset]:
        """Return what became of the partitions of an asset."""
        return {row.partition: row for row in self.workspace.store.run_assets(self.run_id, assets=[asset])}

    def outcomes(self, asset: str) -> dict[str, str]:
        return {key: row.outcome for key, row in self.rows(asset).items()}

    def value(self, asset: str, key: str) -> Any:
        """Read a value as another process would."""
        of = self.workspace.book.of(asset)
        assert of is not None
        found = self.workspace.store.partitions.materialization("default", asset, key, of.position(key))
        assert found is not None, f"{asset}@{key}"
        return self.workspace.io.manager(found.stored.io).load(found.stored)


@contextmanager
def in_step(root: Path, notebook: Path, selection: str, **wanted: Any) -> Iterator[InStep]:
    """Begin the run of a selection of one notebook, and its step; `wanted` as for `prepare`."""
    with Workspace.open(root) as workspace:
        plan = prepare(workspace, selection, **wanted)
        (only,) = plan.steps
        run_id, at = clock.new_id(), clock.now()
        submit(workspace.store, plan, root=root, run_id=run_id, at=at, definitions=workspace.definitions)
        workspace.store.claim_run(run_id, this_worker(), at=at)
        workspace.store.advance_run(run_id, "running", at=at)
        parameters = workspace.definitions.notebooks[only.notebook].parameters
        request = StepRequest(
            run_id=run_id,
            root=str(root),
            env=workspace.env,
            state=workspace.config.state_url(root),
            storage=workspace.config.storage_url(root),
            notebook=only.notebook,
            mode=plan.mode,
            step=only,
            assets=plan.assets,
            partitions=plan.partitions,
            sets=plan.sets,
            known=tuple(workspace.definitions.assets),
            parameter_defaults={each.name: each.default for each in parameters},
        )
        path = root / ".nbpipe" / "request.json"
        path.write_bytes(encoded(request))
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        InteractiveShell.clear_instance()
        shell = InteractiveShell.instance(config=config)
        step.begin(str(path))
        try:
            yield InStep(workspace, shell, run_id, read_notebook(notebook)["cells"])
        finally:
            step.end()
            extension.unload(shell)
            InteractiveShell.clear_instance()
