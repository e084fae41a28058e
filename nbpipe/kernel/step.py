"""A kernel that executes one step of a run.

The runner calls `begin` before the first cell and `end` after the last, in executions that leave no trace in
the notebook. What is selected, and the code that counts, is pinned by the request.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.ports import StateStore
from nbpipe.core.reading.declarations import parse_asset, split_cell
from nbpipe.core.reading.names import analyze
from nbpipe.core.records import AssetState, Materialization
from nbpipe.core.references import Reference
from nbpipe.core.runs.plans import StepRequest
from nbpipe.core.staleness import out_of_date
from nbpipe.errors import MissingValueError, RefusedError, StoredValueError, UsageError
from nbpipe.io.registry import IoRegistry, open_io
from nbpipe.kernel.asset_cells import AssetCells
from nbpipe.kernel.defining import define
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.extension import load
from nbpipe.kernel.parameter_values import ParameterValues
from nbpipe.kernel.project_files import ProjectFiles
from nbpipe.kernel.sayings import say, warn
from nbpipe.kernel.sessions import CurrentCell, set_session
from nbpipe.kernel.shells import current_shell, executed_text, transformer
from nbpipe.kernel.verifying import verifying
from nbpipe.loading.files import FileHashes
from nbpipe.settings import resolve_secrets, secret_values
from nbpipe.storage.open import open_store

__all__ = ["StepSession", "begin", "define", "end"]

_ALONE = re.compile(r"\s*%asset\s[^\n]*\s*")
"""A cell that shows a value, and does nothing else."""


def begin(path: str) -> None:
    """Turn this kernel into that of the step described by the request file at `path`."""
    gc.freeze()  # what is loaded stays: the collector need not look at it while cells run
    shell = current_shell()
    request = msgspec.json.decode(Path(path).read_bytes(), type=StepRequest)
    root = Path(request.root)
    store = open_store(resolve_secrets(request.state), root=root)
    io = open_io(request.io, storage=request.storage, root=root, env=request.env)
    if request.mode == "verify":
        store = verifying(store, io, Path(path))
    load(shell, StepSession(shell, request, store, io))


def end() -> None:
    """Release the state store."""
    set_session(current_shell(), None)


class StepSession:
    """Executes the asset cells of a step as its plan says."""

    in_step = True

    def __init__(self, shell: InteractiveShell, request: StepRequest, store: StateStore, io: IoRegistry) -> None:
        """Work for one request; the store is closed with the session."""
        self.shell = shell
        self.request = request
        self.store = store
        root = Path(request.root)
        files = ProjectFiles(root, FileHashes(root, now_ns=clock.now_ns))
        self.parameters = ParameterValues(shell.user_ns)
        self.cells = AssetCells(
            shell,
            store,
            io,
            env=request.env,
            files=files,
            parameters=self.parameters,
            run_id=request.run_id,
            secrets=secret_values([request.state, request.storage, request.io, request.secrets]),
        )
        self._defaults = set(request.parameter_defaults)
        self._current = CurrentCell("", None)
        self._specs = {spec.key: spec for spec in request.assets}
        self._known = frozenset(request.known)

    @cached_property
    def workspace(self) -> Workspace:
        """The project as it is saved, for magics that only show."""
        return Workspace.open(Path(self.request.root), env=self.request.env)

    def seen(self) -> Workspace:
        """Return the project as it is saved now."""
        self.workspace.reload()
        return self.workspace

    def before_cell(self, info: ExecutionInfo) -> None:
        """Load the assets that a view cell is about to read."""
        source = executed_text(info)
        self._current = CurrentCell(source, info.cell_id)
        if split_cell(source).magic != "asset":
            self._load_read(source)

    def after_cell(self, result: ExecutionResult) -> None:
        """Remember the defaults that the parameters cell gave: the first one that binds all of them."""
        if self._defaults and self._defaults.issubset(analyze(executed_text(result.info)).binds):
            self.parameters.note_defaults(self._defaults)
            self._defaults = set()

    def admit(self, line: str, body: str) -> AssetCell | None:
        """Return the cell, unless it is up to date and the run is of stale assets only, or of a whole notebook.

        A whole notebook behaves as Run All: a stored value that is up to date is loaded, and shown as it was.
        """
        cell = self._cell(line, body)
        if cell.specs[0].key in cell.sets:
            return self._partitioned(cell)
        whole = self.request.step.whole
        if not whole and self.request.mode != "stale":
            return cell
        keys = [spec.key for spec in cell.specs]
        states = self.store.states(self.request.env, {*keys, *(key for spec in cell.specs for key in spec.inputs)})
        if self._reasons(cell, states) or (whole and not self._loaded(cell, states)):
            return cell
        self.store.record_unchanged(self.request.env, keys, at=clock.now(), run_id=self.request.run_id)
        say(f"{cell.name}: {'up to date, loaded' if whole else 'unchanged, not executed'}")
        return None

    def _partitioned(self, cell: AssetCell) -> AssetCell | None:
        """Return the cell with the partitions that the plan names; of a whole notebook, one as in a person's kernel."""
        from nbpipe.kernel.partitions.planned import loaded, planned_keys

        spec = cell.specs[0]
        keys = planned_keys(self.cells, spec.key, cell.sets[spec.key], self.request.partitions.get(spec.key))
        cell = replace(cell, chosen=keys, only_stale=self.request.mode == "stale")
        if self.request.step.whole and len(keys) == 1 and loaded(self.cells, cell):
            return None
        return cell

    def known_assets(self) -> Collection[str]:
        """Return the names of all assets of the project."""
        return self._known

    def value(self, reference: Reference) -> Any:
        """See `Session`. Of what a cell only shows, it is said that it is not there, and the run goes on.

        But a whole notebook is about all that it shows: of that, only a partition may be missing.
        """
        try:
            return self._value(reference.asset, key=reference.partition, version=reference.version)
        except (MissingValueError, RefusedError) as error:
            if not _ALONE.fullmatch(self._current.source):
                raise
            if self.request.step.whole and self._partitions(reference.asset) is None:
                raise
            say(str(error))
            return None

    def choose_partition(self, key: str) -> None:  # noqa: ARG002 - the plan says which
        """Say that the plan decides."""
        say("a run executes the partitions of its plan: %partition does nothing here")

    def force(self, assets: tuple[str, ...]) -> None:
        """Nothing to do: the plan says what executes."""

    def place(self, notebook: str) -> None:
        """Nothing to do: the plan says which notebook this is."""

    def committed(self, cell: AssetCell, materializations: tuple[Materialization, ...]) -> None:
        """Nothing to say: the record shows the cell's own output."""

    def close(self) -> None:
        """Close the state store."""
        if "workspace" in self.__dict__:
            self.workspace.close()
        self.store.close()

    def _cell(self, line: str, body: str) -> AssetCell:
        declared = parse_asset(line).names or _unnamed(body, self.shell)
        specs = tuple(self._specs[name] for name in declared if name in self._specs)
        if len(specs) != len(declared) or not specs:
            raise RefusedError(f"the plan of this run does not select {' '.join(declared) or 'this cell'}")
        index = specs[0].cell.index
        binds = {name for cell in self.request.step.cells for name in cell.binds}
        above = {name for cell in self.request.step.cells if cell.index < index for name in cell.binds}
        place = self._current.located(line, body)
        names = {name for spec in specs for name in (spec.key, *spec.inputs)}
        return AssetCell(
            specs=specs,
            source=place.source,
            body=body,
            first_line=place.first_line,
            visible=above,
            protected=binds | self._known,
            defaults=self.request.parameter_defaults,
            sources=self.request.sources,
            sets={name: self.request.sets[name] for name in sorted(names) if name in self.request.sets},
        )

    def _loaded(self, cell: AssetCell, states: Mapping[str, AssetState]) -> bool:
        """Bind the stored values; return False if one of them can't be read any more."""
        current = {spec.key: found for spec in cell.specs if (found := states[spec.key].current) is not None}
        try:
            self.cells.load(cell, current)
        except StoredValueError as error:
            warn(f"{error}: {cell.name} is executed again")
            return False
        return True

    def _reasons(self, cell: AssetCell, states: Mapping[str, AssetState]) -> list[str]:
        reasons: list[str] = []
        for spec in cell.specs:
            parameters = self.parameters.effective(spec.parameters, cell.defaults)
            reasons += out_of_date(
                spec,
                states,
                files=self.cells.files.hash,
                parameters=parameters,
                now=clock.now(),
                versions=self.cells.linked_versions(cell.sets, spec) if cell.sets else {},
            )
        return reasons

    def _load_read(self, source: str) -> None:
        facts = analyze(source, transform=transformer(self.shell))
        for name in dict.fromkeys(read.name for read in facts.reads):
            if name in self._known and name not in self.cells.names:
                try:
                    self.cells.names.bind(name, self._value(name))
                except (StoredValueError, UsageError) as error:
                    warn(str(error))

    def _value(self, name: str, *, key: str = "", version: int | None = None) -> Any:
        """Return what a view cell sees of an asset: of one with partitions, the last one that this run is about."""
        partitions = self.request.sets.get(name)
        if partitions is None and (key or self.store.materialization(self.request.env, name) is None):
            partitions = self._partitions(name)
        if partitions is None:
            if key:
                raise UsageError(f"asset {name} has no partitions: leave out @{key}")
            return self.cells.values.load_current(name, version=version)[1]
        from nbpipe.kernel.partitions.planned import planned_keys
        from nbpipe.kernel.partitions.stored import value_at

        keys = (key,) if key else planned_keys(self.cells, name, partitions, self.request.partitions.get(name))
        return value_at(self.cells, name, partitions, keys[-1] if keys else None, version=version)

    def _partitions(self, name: str) -> str | None:
        """Return the SPEC of an asset in the plan, or of any other as it is saved; None if it has no partitions."""
        if name in self.request.sets:
            return self.request.sets[name]
        spec = self.workspace.definitions.assets.get(name)
        return None if spec is None else spec.options.partitions


def _unnamed(body: str, shell: InteractiveShell) -> tuple[str, ...]:
    last = analyze(body, transform=transformer(shell)).last_assigned
    return (last,) if last else ()
