"""A person's kernel: asset cells are loaded if nothing changed, and executed, stored and published if something did."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from nbpipe import clock
from nbpipe.commands.retention import remove_old_values
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec, NotebookDef
from nbpipe.core.reading.declarations import LATER_CELL_MAGICS, parse_asset, split_cell
from nbpipe.core.reading.notebooks import PARAMETERS_TAG, NotebookFacts
from nbpipe.core.records import Materialization
from nbpipe.core.references import Reference
from nbpipe.core.resolving.kinds import declares
from nbpipe.errors import NbpipeError, UnknownNameError
from nbpipe.kernel.asset_cells import AssetCells
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.identity import find_notebook, located
from nbpipe.kernel.live_checks import check_cell, refuse_differences, refuse_duplicates, refuse_unfinished
from nbpipe.kernel.live_notebook import LiveNotebook
from nbpipe.kernel.live_resolution import LiveResolution
from nbpipe.kernel.live_values import LiveValues
from nbpipe.kernel.loaded_modules import LoadedModules
from nbpipe.kernel.parameter_values import ParameterValues
from nbpipe.kernel.project_files import ProjectFiles
from nbpipe.kernel.sayings import warn
from nbpipe.kernel.sessions import CurrentCell, Located
from nbpipe.kernel.shells import earlier_cells, executed_text, transformer
from nbpipe.kernel.started_runs import StartedRuns
from nbpipe.kernel.tracebacks import failed_line
from nbpipe.loading.notebooks import read_notebook

_NO_FILE = "<session>"
_RETAIN_EVERY = 60.0
"""Seconds."""
_UNREADABLE = frozenset({"unreadable", "not-json", "not-utf8", "not-a-notebook"})
"""A file that is being written, or merged: what was read before still counts."""


class LiveSession:
    """One kernel that a person works in."""

    in_step = False

    def __init__(self, shell: InteractiveShell, notebook: Path | None = None) -> None:
        """Find out which notebook and project this is; nothing is created before an asset cell runs."""
        self.shell = shell
        self.parameters = ParameterValues(shell.user_ns)
        self._current = CurrentCell("", None)
        self._plain: str | None = None
        self._open(notebook or find_notebook(shell))
        if self.notebook is None:
            for source in earlier_cells(shell):
                self._execute_plain(None, source)

    def _open(self, notebook: Path | None) -> None:
        workspace = Workspace.open(notebook.parent if notebook else None)
        self.workspace, self.notebook = workspace, notebook
        self.live = LiveNotebook(_path_of(notebook, workspace.root), transformer(self.shell))
        self.values = LiveValues(workspace, self.parameters, lambda: self.cells, self.partitions_of)
        self._resolution: LiveResolution | None = None
        self._read_at: object = None
        self._searched: object = None
        self._cells: AssetCells | None = None
        self._retain_at = 0.0
        self._started = StartedRuns()
        self._unnamed: dict[str, tuple[str, ...]] = {}
        self._modules = LoadedModules(workspace.root, self.shell)
        self._modules.look()
        self._read_saved()

    @property
    def cells(self) -> AssetCells:
        """Executes asset cells; opens the state store when first asked for."""
        if self._cells is None:
            workspace = self.workspace
            self._cells = AssetCells(
                self.shell,
                workspace.store,
                workspace.io,
                env=workspace.env,
                files=ProjectFiles(workspace.root, workspace.project.file_hash),
                parameters=self.parameters,
                secrets=workspace.secrets,
            )
        return self._cells

    @property
    def facts(self) -> NotebookFacts:
        """Facts of the notebook as this kernel knows it."""
        return self.live.facts()

    # --- every cell ---

    def before_cell(self, info: ExecutionInfo) -> None:
        """Note which cell runs; load the assets that a plain cell reads and that are not bound yet."""
        source = executed_text(info)
        self._current = CurrentCell(source, info.cell_id)
        self._plain = None
        if not info.store_history:
            return  # a frontend asks for itself
        self._take_over()
        self._read_saved()
        self._plain = self._execute_plain(info.cell_id, source)
        if self._plain is None:
            return
        self.values.let_go()
        reads = self.live.cell(self._plain).code.reads
        wanted = {read.name: read for read in reads if read.name not in self.shell.user_ns}
        if wanted:
            self.workspace.reload()
            known = self.known_assets()
            for name, read in wanted.items():
                if name in known:
                    self.values.bind(name, wanted_now=not read.deferred)

    def after_cell(self, result: ExecutionResult) -> None:
        """Learn what a plain cell bound; warn if it gave an asset's name another value."""
        self._modules.look()
        cell_id, self._plain = self._plain, None
        if cell_id is None:
            return
        if result.error_before_exec is not None:
            self.live.take_back()
            return
        cell = self.live.cell(cell_id)
        if result.error_in_exec is not None:
            self.live.stop(cell_id, failed_line(result.error_in_exec, self.shell))
            self._hint(result.error_in_exec)
        if PARAMETERS_TAG in cell.tags:
            self.parameters.note_defaults(parameter.name for parameter in cell.parameters)
        if self._cells is not None:
            self._cells.names.disown(cell.code.binds)
        own = self.notebook_assets() if cell.code.binds else ()
        for name in cell.code.binds:
            if name in own:
                warn(f"{name} is an asset: asset cells go on reading its stored value, not what this cell assigned")

    def _execute_plain(self, cell_id: str | None, source: str) -> str | None:
        if split_cell(source).magic in {"asset", *LATER_CELL_MAGICS}:
            return None
        return self.live.execute(cell_id, source).cell_id

    def _hint(self, error: BaseException) -> None:
        """Explain the missing temporary of an asset that was loaded and not executed."""
        name = error.name if isinstance(error, NameError) else None
        owners = [cell.names for cell in self.facts.cells if declares(cell) and name in cell.code.binds]
        if name is not None and owners and name not in owners[0]:
            asset = " ".join(owners[0])
            warn(
                f"{name} is a temporary of asset {owners[0][0]}, which exists only after its cell has been executed, "
                f"not loaded: %force {asset} runs it again, or make {name} an asset too"
            )

    # --- what is known ---

    def notebook_assets(self) -> tuple[str, ...]:
        """Return the assets that this notebook declares, as it is known here."""
        return tuple(dict.fromkeys(name for cell in self.facts.cells if declares(cell) for name in cell.names))

    def known_assets(self) -> Collection[str]:
        """Return the names of all assets: those of this notebook as it is here, and the saved ones of the others."""
        own = set(self.notebook_assets())
        path = self.live.path
        return own | {key for key, spec in self.workspace.definitions.assets.items() if spec.cell.notebook != path}

    def value(self, reference: Reference) -> Any:
        """See `Session`."""
        self.workspace.reload()
        return self.values.value(reference.asset, key=reference.partition, version=reference.version)

    def choose_partition(self, key: str) -> Any:
        """See `Session`."""
        self.workspace.reload()
        own = {asset: text for asset in self.notebook_assets() if (text := self.partitions_of(asset)) is not None}
        return self.values.choose(key, own)

    def partitions_of(self, asset: str) -> str | None:
        """Return the SPEC of the partitions of an asset, as it is known here; None if it has none."""
        for cell in self.facts.cells:
            if cell.declaration is not None and asset in cell.names and declares(cell):
                return cell.declaration.options.partitions
        spec = self.workspace.definitions.assets.get(asset)
        return None if spec is None or spec.cell.notebook == self.live.path else spec.options.partitions

    def force(self, assets: tuple[str, ...]) -> None:
        """Execute the next run of these assets' cells whatever their state; without a name, of all here."""
        own = self.notebook_assets()
        for name in assets:
            if name not in own:
                raise UnknownNameError("asset", name, own, hint="%force takes assets of this notebook")
        self.values.forced.update(assets or own)

    def place(self, notebook: str) -> None:
        """Take `notebook` for the one of this kernel; what was executed here so far still counts."""
        path = Path(notebook).expanduser()
        if not notebook or not path.is_file():
            folder = path.parent if path.parent.is_dir() else Path()
            hint = "%project takes the path of a saved notebook, relative to the working folder"
            raise UnknownNameError("notebook", notebook, (str(each) for each in folder.glob("*.ipynb")), hint=hint)
        executed, before = self.live.sources(), self.workspace
        self._open(located(path))
        before.close()
        for cell_id, source in executed:
            self.live.execute(cell_id, source)

    # --- sensor cells ---

    def located(self, magic: str, line: str, body: str) -> Located:
        """Return the declaring cell that runs, whose magic is called with this line and body."""
        return self._current.located(line, body, magic)

    def names_for(self, cell_id: str | None) -> tuple[Collection[str], Collection[str]]:
        """Return the names of plain cells that a sensor sees, and those that it does not see.

        Of a cell that is not saved nobody knows what stands above it: it sees all.
        """
        self.workspace.reload()
        self._read_saved()
        resolution = self._resolve()
        every = resolution.setup_names
        visible = resolution.names_above(cell_id) if cell_id and resolution.has(cell_id) else every
        return visible, (every | set(self.known_assets())) - visible

    # --- asset cells ---

    def admit(self, line: str, body: str) -> AssetCell | None:
        """Return the cell to execute, or load its values and return None."""
        place = self._current.located(line, body)
        named = bool(parse_asset(line).names)
        self.workspace.reload()
        self._read_saved()
        cell_id, replaced = self.live.execute(place.cell_id, place.source)
        for name in replaced:
            warn(f"{name} was defined by another cell of this kernel before: this cell replaces it")
        resolution = self._resolve()
        cell = resolution.cell(cell_id)
        check_cell(resolution, cell, alone=None if self.workspace.config.file else self.workspace.root)
        if self.notebook is not None:
            refuse_duplicates(cell.assets, resolution, self.workspace.definitions, self.live.path)
        self._warn_of_new_name(cell_id, cell.assets, named=named)
        specs = resolution.assets(cell)
        asset_cell = self._asset_cell(resolution, specs, place, body)
        admitted = self.values.admit(asset_cell)
        if admitted is None:
            return None
        refuse_unfinished(specs, self.live, {each.cell_id: each.index for each in self.facts.cells})
        self._modules.refuse_changed(specs)
        return admitted

    def committed(self, cell: AssetCell, materializations: tuple[Materialization, ...]) -> None:
        """Say in one line what was stored and why the cell ran."""
        self.values.committed(cell, materializations)
        if any(each.version > self.workspace.config.retention.values for each in materializations):
            self._retain()

    def close(self) -> None:
        """Release the state store."""
        self.workspace.close()
        self._cells = None

    def _retain(self) -> None:
        """Remove old values, not at every execution: it takes a transaction of its own."""
        now = clock.monotonic()
        if now >= self._retain_at:
            self._retain_at = now + _RETAIN_EVERY
            with contextlib.suppress(NbpipeError):  # the value is stored: later is soon enough
                remove_old_values(self.workspace)

    def reloaded(self, assets: Collection[str]) -> None:
        """Bind the values that a job has just materialized, where their names are bound here."""
        for name in assets:
            if name in self.shell.user_ns:
                self.values.bind(name)

    def seen(self) -> Workspace:
        """Return the project as this kernel knows it: what was executed here counts, saved or not."""
        self.workspace.reload()
        self._read_saved()
        resolved = self._resolve().resolved
        saved = self.workspace.definitions.notebooks.get(self.live.path)
        if saved is not None and _texts(saved) == _texts(resolved.notebook):
            return self.workspace
        return self.workspace.with_notebook(resolved)

    def follow(self, run_id: str) -> None:
        """Bind what a run materializes once it has ended, before the next cell, where the names show assets here."""
        self._started.add(run_id)

    def _take_over(self) -> None:
        if self._started:
            with contextlib.suppress(NbpipeError):  # the store is asked again before the cell after this one
                made = self._started.made(self.workspace.store)
                self.reloaded([name for name in made if self.cells.names.shows(name)])

    def refuse_unsaved(self) -> None:
        """Refuse work on the saved notebook while it differs from what was executed here.

        Raises:
            RefusedError: names the cells.
        """
        self.workspace.reload()
        self._read_saved()
        refuse_differences(self.live, has_file=self.notebook is not None)

    def _read_saved(self) -> None:
        """Take over the saved notebook if its file has changed; find it again if it was renamed."""
        try:
            status = self.notebook.stat() if self.notebook is not None else None
        except OSError:
            status = None
        if status is None:
            self._search()
            return
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._read_at and self.notebook is not None:
            found = read_notebook(self.notebook, self.workspace.root)
            if not any(each.code in _UNREADABLE for each in found.diagnostics):
                self._read_at = stamp
                self.live.read(found.text)

    def _search(self) -> None:
        """Find the notebook by the ids of its cells: it was renamed, or no frontend told its path."""
        running = self._current.cell_id
        if running is None or self._searched == (self.workspace.project, running):
            return
        self.workspace.reload()
        self._searched = (self.workspace.project, running)
        found = self.live.found_in(self.workspace.project.facts, running)
        if found is not None and (self.workspace.root / found).is_file():
            self.notebook = self.workspace.root / found
            self.live.move(found)
            self._read_saved()

    def _resolve(self) -> LiveResolution:
        facts, project = self.facts, self.workspace.project
        if self._resolution is None or not self._resolution.holds(facts, project):
            self._resolution = LiveResolution(facts, project)
        return self._resolution

    def _warn_of_new_name(self, cell_id: str, assets: tuple[str, ...], *, named: bool) -> None:
        """Warn of a cell without a name that used to make another asset."""
        if named:
            self._unnamed.pop(cell_id, None)
            return
        before = self._unnamed.get(cell_id, assets)
        self._unnamed[cell_id] = assets
        if before != assets:
            warn(
                f"this cell has no name and made asset {before[0]} before; now it makes {assets[0]}, the last variable "
                f"that it assigns: write %%asset {assets[0]} to keep the name"
            )

    def _asset_cell(
        self, resolution: LiveResolution, specs: tuple[AssetSpec, ...], place: Located, body: str
    ) -> AssetCell:
        return AssetCell(
            specs=specs,
            source=place.source,
            body=body,
            first_line=place.first_line,
            visible=resolution.names_above(specs[0].cell.cell_id),
            protected=resolution.setup_names | set(self.known_assets()),
            defaults=resolution.defaults,
            sources=resolution.resolved.sources,
        )


def _path_of(notebook: Path | None, root: Path) -> str:
    """Return the path of a notebook relative to the root; of a session without one, a name in its folder."""
    place = Path.cwd().resolve() / _NO_FILE if notebook is None else notebook
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else _NO_FILE


def _texts(notebook: NotebookDef) -> list[tuple[str, str]]:
    return [(cell.ref.cell_id, cell.source_hash) for cell in notebook.cells]
