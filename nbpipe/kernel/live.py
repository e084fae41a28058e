"""A person's kernel: asset cells are loaded if nothing changed, and executed, stored and published if something did."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.declarations import parse_asset
from nbpipe.core.definitions import AssetSpec, CellDef, Diagnostic
from nbpipe.core.names import analyze
from nbpipe.core.notebooks import NotebookFacts
from nbpipe.core.reasons import age_text
from nbpipe.core.records import AssetState, Materialization
from nbpipe.core.resolution import ResolvedNotebook, resolve_notebook
from nbpipe.core.staleness import out_of_date
from nbpipe.errors import DefinitionError, MissingValueError, RefusedError, UnknownNameError
from nbpipe.kernel.asset_cells import AssetCell, AssetCells, ProjectFiles
from nbpipe.kernel.identity import find_notebook, located
from nbpipe.kernel.live_notebook import LiveNotebook
from nbpipe.kernel.sessions import CurrentCell
from nbpipe.kernel.shells import executed_text, transformer
from nbpipe.loading.files import FileFinder
from nbpipe.loading.notebooks import read_notebook
from nbpipe.loading.scan import UNKNOWN

_NO_FILE = "<session>"


class LiveSession:
    """One kernel that a person works in."""

    in_step = False

    def __init__(self, shell: InteractiveShell, notebook: Path | None = None) -> None:
        """Find out which notebook and project this is; nothing is created before an asset cell runs."""
        self.shell = shell
        self._open(notebook or find_notebook(shell))

    def _open(self, notebook: Path | None) -> None:
        self.notebook = notebook
        self.workspace = Workspace.open(notebook.parent if notebook else None)
        path = _NO_FILE
        if notebook is not None:
            path = notebook.relative_to(self.workspace.root).as_posix()
        self.live = LiveNotebook(path, transformer(self.shell))
        self._current = CurrentCell("", None)
        self._forced: set[str] = set()
        self._reasons: tuple[str, ...] = ()
        self._resolved: tuple[object, ResolvedNotebook, Mapping[str, CellDef]] | None = None
        self._read_at: object = None
        self._cells: AssetCells | None = None
        self._unnamed: dict[str, str] = {}
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
                files=ProjectFiles(workspace.project.file_hash, FileFinder(workspace.root, UNKNOWN).find),
            )
        return self._cells

    def before_cell(self, info: ExecutionInfo) -> None:
        """Note which cell runs; load the assets that a plain cell reads and that are not bound yet."""
        source = executed_text(info)
        self._current = CurrentCell(source, info.cell_id)
        if source.lstrip().startswith("%%"):
            return
        self.live.execute(info.cell_id, source)
        facts = analyze(source, transform=transformer(self.shell))
        wanted = [read.name for read in facts.reads if read.name not in self.shell.user_ns]
        known = self.known_assets() if wanted else ()
        for name in dict.fromkeys(wanted):
            if name in known:
                self._bind_stored(name)

    def after_cell(self, result: ExecutionResult) -> None:
        """Warn of a plain cell that gave an asset's name another value."""
        source = executed_text(result.info)
        if source.lstrip().startswith("%%"):
            return
        facts = analyze(source, transform=transformer(self.shell))
        own = set(self.notebook_assets())
        for name in facts.binds:
            if name in own:
                _say(f"{name} is an asset: asset cells go on reading its stored value, not what this cell assigned")
            elif name in self._unnamed.values():
                _say(f"{name} names an asset whose cell gives it no name: write %%asset {name} there")

    def notebook_assets(self) -> tuple[str, ...]:
        """Return the assets that this notebook declares, as it is known here."""
        return tuple(dict.fromkeys(name for cell in self.live.facts().cells for name in cell.names))

    def known_assets(self) -> Collection[str]:
        """Return the names of all assets: those of this notebook as it is here, and the saved ones of the others."""
        own = set(self.notebook_assets())
        path = self.live.path
        return own | {key for key, spec in self.workspace.definitions.assets.items() if spec.cell.notebook != path}

    def force(self, assets: tuple[str, ...]) -> None:
        """Execute the next run of these assets' cells whatever their state; without a name, of all here."""
        own = self.notebook_assets()
        for name in assets:
            if name not in own:
                raise UnknownNameError("asset in this notebook", name, own)
        self._forced.update(assets or own)

    def place(self, notebook: str) -> None:
        """Take `notebook` for the one of this kernel."""
        path = Path(notebook).expanduser()
        if not path.is_file():
            folder = path.parent if path.parent.is_dir() else Path()
            raise UnknownNameError("notebook", notebook, (str(each) for each in folder.glob("*.ipynb")))
        self.close()
        self._open(located(path))

    def admit(self, line: str, body: str) -> AssetCell | None:
        """Return the cell to execute, or load its values and return None."""
        source, first_line = self._current.located(line, body)
        names = parse_asset(line).names
        cell_id = self.live.execute(self._current.cell_id, source, names)
        self.workspace.reload()
        self._read_saved()
        resolved, cell_def = self._resolve(cell_id)
        self._warn_of_replaced(cell_id, cell_def.assets)
        specs = tuple(spec for spec in resolved.assets if spec.key in cell_def.assets)
        self._check(resolved.diagnostics, cell_def)
        if not names and specs:
            self._unnamed[cell_id] = specs[0].key
        cell = self._asset_cell(resolved, specs, source, body, first_line)
        return cell if self._must_run(cell) else None

    def committed(self, cell: AssetCell, materializations: tuple[Materialization, ...]) -> None:
        """Say in one line what was stored and why the cell ran."""
        sizes = "; ".join(_shape(each) for each in materializations)
        why = f" ({self._reasons[0]})" if self._reasons else ""
        print(f"{cell.name}: materialized{sizes}{why}")  # noqa: T201 - the cell's output is where a person looks

    def close(self) -> None:
        """Release the state store."""
        self.workspace.close()
        self._cells = None

    def reloaded(self, assets: Collection[str]) -> None:
        """Bind the values that a job has just materialized, where their names are bound here."""
        for name in assets:
            if name in self.shell.user_ns:
                self._bind_stored(name)

    def refuse_unsaved(self) -> None:
        """Refuse work on the saved notebook while it differs from what was executed here.

        Raises:
            RefusedError: names the cells.
        """
        self._read_saved()
        cells = self.live.unsaved()
        if cells:
            which = f"cell {cells[0]} has" if len(cells) == 1 else f"cells {', '.join(map(str, cells))} have"
            raise RefusedError(f"{which} unsaved edits: save first")
        new = self.live.new_assets()
        if self.notebook is not None and new:
            raise RefusedError(f"the saved notebook does not have {', '.join(new)} yet: save first")

    def _read_saved(self) -> None:
        """Take over the saved notebook if its file has changed."""
        if self.notebook is None:
            if self._current.cell_id is not None:
                self._follow_rename()
            return
        try:
            status = self.notebook.stat()
        except OSError:
            self._follow_rename()
            return
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._read_at:
            self._read_at = stamp
            self.live.read(read_notebook(self.notebook, self.workspace.root).text)

    def _follow_rename(self) -> None:
        """Find the notebook by the ids of its cells: it was renamed, or no frontend told its path."""
        found = self.live.found_in(self.workspace.project.facts)
        if found is not None and (self.workspace.root / found).is_file():
            self.notebook = self.workspace.root / found
            self.live.path = found
            self._read_saved()

    def _resolve(self, cell_id: str) -> tuple[ResolvedNotebook, CellDef]:
        key = (self.live.revision, self.live.path, self.workspace.definitions.hash)
        if self._resolved is None or self._resolved[0] != key:
            facts = self.live.facts()
            resolved = resolve_notebook(facts, self.workspace.project.surroundings(self.live.path), sources=True)
            by_id = {cell.ref.cell_id: cell for cell in resolved.notebook.cells}
            self._resolved = (key, resolved, by_id)
        return self._resolved[1], self._resolved[2][cell_id]

    def _warn_of_replaced(self, cell_id: str, assets: Collection[str]) -> None:
        for name in self.live.replaced(cell_id, assets):
            _say(f"{name} was defined by another cell of this kernel before: this cell replaces it")

    def _check(self, diagnostics: Collection[Diagnostic], cell: CellDef) -> None:
        for diagnostic in diagnostics:
            if diagnostic.cell_id == cell.ref.cell_id and diagnostic.severity == "warning":
                _say(f"line {diagnostic.line}: {diagnostic.message}")
        for diagnostic in diagnostics:
            here = diagnostic.cell_id == cell.ref.cell_id
            if diagnostic.severity == "error" and (here or set(diagnostic.assets) & set(cell.assets)):
                where = f"line {diagnostic.line}: " if here else f"cell {diagnostic.cell}, line {diagnostic.line}: "
                raise DefinitionError(where + diagnostic.message)
        if not cell.assets:
            raise DefinitionError("this cell declares no asset: name it, for example %%asset orders")

    def _asset_cell(
        self, resolved: ResolvedNotebook, specs: tuple[AssetSpec, ...], source: str, body: str, first_line: int
    ) -> AssetCell:
        index = specs[0].cell.index
        setup = {name for cell in resolved.notebook.cells for name in cell.binds}
        above = {name for cell in resolved.notebook.cells if cell.ref.index < index for name in cell.binds}
        return AssetCell(
            specs=specs,
            source=source,
            body=body,
            first_line=first_line,
            visible=above,
            protected=setup | set(self.known_assets()),
            defaults={parameter.name: parameter.default for parameter in resolved.notebook.parameters},
            sources=resolved.sources,
        )

    def _must_run(self, cell: AssetCell) -> bool:
        keys = {spec.key for spec in cell.specs}
        states = self.workspace.states({*keys, *(key for spec in cell.specs for key in spec.inputs)})
        self._reasons = self._why(cell, states)
        forced = bool(keys & self._forced)
        self._forced -= keys
        if forced:
            self._reasons = ("forced",)
        if self._reasons:
            return True
        current = {key: found for key in sorted(keys) if (found := states[key].current) is not None}
        try:
            self.cells.load(cell, current)
        except MissingValueError as error:
            self._reasons = (str(error),)
            return True
        print(f"{cell.name}: {self._fresh_line(cell, states)}")  # noqa: T201 - see `committed`
        return False

    def _why(self, cell: AssetCell, states: Mapping[str, AssetState]) -> tuple[str, ...]:
        reasons: list[str] = []
        for spec in cell.specs:
            parameters = self.cells.effective_parameters(spec.parameters, cell.defaults)
            files = self.workspace.project.file_hash
            reasons += out_of_date(spec, states, files=files, parameters=parameters, now=clock.now())
        return tuple(dict.fromkeys(reasons))

    def _fresh_line(self, cell: AssetCell, states: Mapping[str, AssetState]) -> str:
        spec = cell.specs[0]
        state = states[spec.key]
        if state.held and state.current is not None:
            return f"held at version {state.current.version} after a rollback; %force {cell.name} runs it again"
        watched = spec.upstream or spec.files or spec.options.fresh_for or spec.parameters
        if not watched and state.current is not None:
            age = age_text(clock.now() - state.current.created_at)
            return (
                f"loaded; stored {age}, and nbpipe sees nothing that it reads: "
                f"%force {cell.name} runs it again, --fresh-for 1d does so daily"
            )
        return f"up to date, loaded; %force {cell.name} runs it again"

    def _bind_stored(self, name: str) -> None:
        try:
            self.cells.names.bind(name, self.cells.values.load_current(name)[1])
        except MissingValueError as error:
            _say(str(error))

    @property
    def facts(self) -> NotebookFacts:
        """Facts of the notebook as this kernel knows it."""
        return self.live.facts()


def _say(message: str) -> None:
    print(f"nbpipe: {message}", file=sys.stderr)  # noqa: T201 - a warning in the cell's output


def _shape(materialization: Materialization) -> str:
    metadata = materialization.stored.metadata
    if "rows" in metadata and "columns" in metadata:
        columns = metadata["columns"]
        count = columns if isinstance(columns, int) else len(columns)
        return f", {metadata['rows']:,} rows x {count} columns"
    return ""
