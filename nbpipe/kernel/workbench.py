"""What every execution of a body shares: what it finds when it begins, and the record of what it leaves."""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbpipe import clock
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.parameters import canonical_source
from nbpipe.core.ports import IOManager, StateStore, ValueGroup
from nbpipe.core.records import NewMaterialization, StoredValue, kept_error
from nbpipe.errors import MissingValueError
from nbpipe.execution.spare_memory import take_spare
from nbpipe.io.registry import IoRegistry
from nbpipe.io.targets import StoreTarget
from nbpipe.kernel.bodies import Body
from nbpipe.kernel.captures import show_figures
from nbpipe.kernel.context import Context
from nbpipe.kernel.executions import AssetCell, Execution, Inputs
from nbpipe.kernel.measures import peak_memory, reset_peak_memory
from nbpipe.kernel.namespaces import NotebookNamespace, body_module
from nbpipe.kernel.parameter_values import ParameterValues
from nbpipe.kernel.project_files import ProjectFiles
from nbpipe.kernel.redaction import told_error, without_secrets
from nbpipe.kernel.sayings import warn
from nbpipe.kernel.tracebacks import start_at
from nbpipe.kernel.values import Values
from nbpipe.settings import redacted


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What all executions of one cell share."""

    cell: AssetCell
    body: Body
    names: Mapping[str, Any]
    parameters: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Left:
    """What an execution leaves beside its values."""

    files: Mapping[str, str]
    at: datetime
    duration: float
    peak_memory: int | None


class Workbench:
    """The tools of one kernel: its variables, the stores, the project's files and parameters."""

    def __init__(
        self,
        shell: InteractiveShell,
        store: StateStore,
        io: IoRegistry,
        *,
        env: str,
        files: ProjectFiles,
        parameters: ParameterValues,
        run_id: str | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        """Work on the variables of `shell`; the state store is never told one of `secrets`."""
        self.shell = shell
        self.store = store
        self.env = env
        self.values = Values(store, io, env)
        self.names = NotebookNamespace(shell.user_ns)
        self.run_id = run_id
        self.files = files
        self.parameters = parameters
        self._io = io
        self._secrets = secrets

    # --- before ---

    def prepare(self, cell: AssetCell) -> Prepared:
        """Compile a cell and find what its body sees.

        Raises:
            MissingValueError: a setup cell that it needs has not run.
            UnknownNameError: nothing is configured under the name of its I/O manager.
        """
        body = Body(self.shell, cell.body, first_line=cell.first_line, cell=cell.source)
        self._refuse_unbound(cell)
        self.manager(cell)  # what can't be stored for want of one is not computed first
        parameters = sorted({name for each in cell.specs for name in each.parameters})
        return Prepared(
            cell=cell,
            body=body,
            names=self.names.body_names(cell.visible, cell.protected),
            parameters=self.parameters.effective(parameters, cell.defaults),
        )

    def open(self, prepared: Prepared, inputs: Inputs) -> Execution:
        """Return an execution that is about to begin; its time and memory count from here."""
        reset_peak_memory()
        cell = prepared.cell
        return Execution(
            cell=cell,
            body=prepared.body,
            context=Context(cell.name, self.run_id),
            names=prepared.names,
            inputs=inputs,
            files=self.file_hashes(cell.specs),
            parameters=prepared.parameters,
            started=clock.monotonic(),
        )

    def begin(self, execution: Execution) -> types.ModuleType:
        """Return the namespace of a new attempt."""
        injected = {"context": execution.context, "partition": execution.partition}
        module = body_module({**execution.names, **execution.inputs.take(), **injected})
        execution.module = module
        execution.namespace = vars(module)
        execution.before = dict(execution.namespace)
        return module

    def file_hashes(self, specs: Collection[AssetSpec]) -> dict[str, str]:
        """Return the content hash of each file input."""
        return {path: self.files.hash(path) for spec in specs for path in spec.files}

    # --- after ---

    def show(self, execution: Execution, value: Any) -> None:
        """Show what a notebook would show at the end of a cell."""
        show_figures()
        if execution.body.ends_in_expression and not execution.body.quiet:
            self.shell.displayhook(value)

    def left(self, execution: Execution) -> Left:
        """Return what an execution that has ended leaves beside its values; ask before storing them."""
        duration = clock.monotonic() - execution.started
        return Left(files=self._files_after(execution), at=clock.now(), duration=duration, peak_memory=peak_memory())

    def manager(self, cell: AssetCell) -> IOManager:
        """Return what keeps the values of a cell."""
        return self._io.manager(cell.specs[0].options.io)

    def keep(self, key: str, value: Any, into: IOManager | ValueGroup, partition: str = "") -> StoredValue:
        """Write the value of an asset, or of one of its partitions."""
        return into.store(value, StoreTarget(env=self.env, asset=key, partition=partition, uid=clock.new_id()))

    def record(
        self,
        spec: AssetSpec,
        stored: StoredValue,
        execution: Execution,
        left: Left,
        *,
        inputs: Mapping[str, str],
        input_versions: Mapping[str, int],
        partition: str = "",
    ) -> NewMaterialization:
        """Return what is to be committed for a stored value."""
        needed = dict(spec.code).values()
        sources = execution.cell.sources
        new = NewMaterialization(
            env=self.env,
            asset=spec.key,
            partition=partition,
            stored=stored,
            **self.recipe(spec, execution, left),
            sources={digest: sources[digest] for digest in needed if digest in sources},
            inputs=inputs,
            input_versions=input_versions,
            notebook=spec.cell.notebook,
            cell_id=spec.cell.cell_id,
            run_id=self.run_id,
            created_at=left.at,
            duration=left.duration,
            peak_memory=left.peak_memory,
            metadata={**dict(spec.options.metadata), **execution.context.metadata},
            displays=execution.displays.bundles,
        )
        return without_secrets(new, self._secrets)

    def recipe(self, spec: AssetSpec, execution: Execution, left: Left) -> dict[str, Any]:
        """Return by what an execution was done: fields of `NewMaterialization`, and of `Recipe`."""
        defaults = execution.cell.defaults
        return {
            "code": spec.code,
            "code_version": spec.code_version,
            "files": left.files,
            "parameters": {name: execution.parameters[name] for name in spec.parameters},
            "parameter_defaults": {name: canonical_source(defaults.get(name, "")) for name in spec.parameters},
        }

    def publish(self, execution: Execution, results: Mapping[str, Any]) -> None:
        """Show in the notebook what a body made: its own names, and the values of its assets."""
        cell = execution.cell
        self.names.publish(cell.name, execution.namespace, execution.before, {*cell.protected, *results})
        for key, result in results.items():
            self.names.bind(key, result)

    def told(self, execution: Execution, error: BaseException) -> str:
        """Let an error show where the person wrote the line; return it as the state store may keep it."""
        take_spare(self.shell)
        start_at(self.shell, error, execution.body.filename, hint=self._hint(execution, error))
        return self.worded(error)

    def worded(self, error: BaseException) -> str:
        """Return an error as the state store may keep it."""
        return told_error(error, self._secrets)

    def redacted(self, text: str) -> str:
        """Return what a body said as the state store may keep it."""
        return kept_error(redacted(text, self._secrets))

    def _files_after(self, execution: Execution) -> dict[str, str]:
        """Return the hashes of the files that the body names, as they are now that it ran.

        A file that was written meanwhile is taken for one that the body wrote: with its hash from before, the asset
        would be out of date at once, and a new file would count as a new input.
        """
        notebook = execution.cell.specs[0].cell.notebook
        literals = execution.body.literals
        found = {path for text in literals if (path := self.files.find(notebook, text)) is not None}
        after = {path: self.files.hash(path) for path in sorted(found | execution.files.keys())}
        for path, before in execution.files.items():
            if before and after[path] != before:
                warn(f"{path} changed while {execution.cell.name} ran: taken for a file that the cell writes")
        return after

    def _refuse_unbound(self, cell: AssetCell) -> None:
        missing = sorted(name for name in cell.specs[0].setup_names if name not in self.names)
        if missing:
            raise MissingValueError(
                f"asset {cell.name} needs {', '.join(missing)}, which a setup cell above defines, "
                "but that cell has not run in this kernel: run it first"
            )

    def _hint(self, execution: Execution, error: BaseException) -> str:
        """Explain a name that the notebook has and the body does not see."""
        name = error.name if isinstance(error, NameError) else None
        owner = self.names.published_by(name) if name is not None and name not in execution.namespace else None
        if owner is None:
            return ""
        return (
            f"nbpipe: {name!r} is a temporary of asset {owner}, invisible to other assets: "
            f"declare it as an asset too (%%asset {owner} {name})"
        )
