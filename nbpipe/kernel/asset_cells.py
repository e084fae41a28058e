"""Execute one asset cell: load its inputs, run the body, store and commit, bind and publish.

The same code serves a person's kernel and a job's: what differs (which specification counts, whether the
cell is out of date, what is said) is decided by the callers, `live` and `step`.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbpipe import clock
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.parameters import canonical_source
from nbpipe.core.ports import StateStore
from nbpipe.core.reading.names import analyze
from nbpipe.core.records import Materialization, NewMaterialization, StoredValue
from nbpipe.errors import DefinitionError, MissingValueError, NbpipeError
from nbpipe.io.registry import IoRegistry
from nbpipe.io.targets import StoreTarget
from nbpipe.kernel.bodies import Body
from nbpipe.kernel.captures import Displays, captured_displays, replay, show_figures
from nbpipe.kernel.context import Context
from nbpipe.kernel.measures import peak_memory, reset_peak_memory
from nbpipe.kernel.namespaces import NotebookNamespace, body_module
from nbpipe.kernel.parameter_values import ParameterValues
from nbpipe.kernel.project_files import ProjectFiles
from nbpipe.kernel.redaction import told_error, without_secrets
from nbpipe.kernel.retries import retrying
from nbpipe.kernel.sayings import warn
from nbpipe.kernel.shells import transformer
from nbpipe.kernel.time_limits import async_time_limit, time_limit
from nbpipe.kernel.tracebacks import own_errors, start_at
from nbpipe.kernel.values import Values


@dataclass(frozen=True, kw_only=True)
class AssetCell:
    """An asset cell that is about to be executed or loaded."""

    specs: tuple[AssetSpec, ...]
    """Its assets in the order of their declaration."""
    source: str
    """The whole cell."""
    body: str
    first_line: int
    """1-based line of the cell on which the body starts."""
    visible: Collection[str]
    """Names of setup and parameters cells above it."""
    protected: Collection[str]
    """Names that publishing must not overwrite."""
    defaults: Mapping[str, str]
    """Source of the defaults of the notebook's parameters."""
    sources: Mapping[str, str]
    """Source text by component hash."""

    @property
    def name(self) -> str:
        """Name the cell in messages and as owner of what it publishes."""
        return " ".join(spec.key for spec in self.specs)


@dataclass(kw_only=True)
class _Execution:
    """One execution of a body, between its inputs and its commit."""

    cell: AssetCell
    body: Body
    context: Context
    names: Mapping[str, Any]
    """Names of the notebook that the body sees."""
    inputs: Mapping[str, Materialization]
    values: Mapping[str, Any] | None
    """Values of the inputs, until the first attempt takes them."""
    files: Mapping[str, str]
    parameters: Mapping[str, str]
    started: float
    before: dict[str, Any] = field(default_factory=dict)
    """The body's namespace as the latest attempt began."""
    namespace: Mapping[str, Any] = field(default_factory=dict)
    displays: Displays = field(default_factory=Displays)


class AssetCells:
    """Executes and loads asset cells in one kernel."""

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
        self._io = io
        self.files = files
        self._parameters = parameters
        self._secrets = secrets

    def file_hashes(self, specs: Collection[AssetSpec]) -> dict[str, str]:
        """Return the content hash of each file input."""
        return {path: self.files.hash(path) for spec in specs for path in spec.files}

    def load(self, cell: AssetCell, current: Mapping[str, Materialization]) -> None:
        """Bind stored values instead of executing, and show what the cell showed when it computed them."""
        loaded = {key: self.values.load(materialization) for key, materialization in current.items()}
        self.names.unpublish(cell.name)
        for key, value in loaded.items():
            self.names.bind(key, value)
        replay(self.shell, self.store.details(next(iter(current.values())).id).displays)

    def execute(self, cell: AssetCell) -> tuple[Materialization, ...]:
        """Run the body and commit what it computes.

        Raises:
            MissingValueError: an upstream asset has no value.
            Exception: whatever the body raises; the failed attempt is recorded.
        """
        __tracebackhide__ = True
        with own_errors():
            execution = self._prepare(cell)

        def attempt() -> Any:
            __tracebackhide__ = True
            module = self._begin(execution)
            with time_limit(cell.specs[0].options.timeout, cell.name):
                return execution.body.run(module)

        with self._watched(execution):
            value = retrying(cell.specs[0], attempt)()
            self._show(execution, value)
        return self._finished(execution, value)

    async def execute_async(self, cell: AssetCell) -> tuple[Materialization, ...]:
        """Do what `execute` does for a body with top-level `await`."""
        __tracebackhide__ = True
        with own_errors():
            execution = self._prepare(cell)

        async def attempt() -> Any:
            __tracebackhide__ = True
            module = self._begin(execution)
            async with async_time_limit(cell.specs[0].options.timeout, cell.name, execution.body.filename):
                return await execution.body.run_async(module)

        with self._watched(execution):
            value = await retrying(cell.specs[0], attempt)()
            self._show(execution, value)
        return self._finished(execution, value)

    def _prepare(self, cell: AssetCell) -> _Execution:
        spec = cell.specs[0]
        body = Body(self.shell, cell.body, first_line=cell.first_line, cell=cell.source)
        self._refuse_unbound(cell)
        self._io.manager(spec.options.io)  # what can't be stored for want of one is not computed first
        inputs, values = {}, {}
        for key in spec.inputs:
            inputs[key], values[key] = self.values.load_current(key, reader=cell.name)
        parameters = sorted({name for each in cell.specs for name in each.parameters})
        reset_peak_memory()
        return _Execution(
            cell=cell,
            body=body,
            context=Context(cell.name, self.run_id),
            names=self.names.body_names(cell.visible, cell.protected),
            inputs=inputs,
            values=values,
            files=self.file_hashes(cell.specs),
            parameters=self._parameters.effective(parameters, cell.defaults),
            started=clock.monotonic(),
        )

    def _begin(self, execution: _Execution) -> types.ModuleType:
        """Return the namespace of a new attempt: what an earlier one did to its inputs is not seen."""
        values, execution.values = execution.values, None
        if values is None:
            values = {key: self.values.load(found) for key, found in execution.inputs.items()}
        injected = {"context": execution.context, "partition": None}
        module = body_module({**execution.names, **values, **injected})
        execution.namespace = vars(module)
        execution.before = dict(execution.namespace)
        return module

    @contextmanager
    def _watched(self, execution: _Execution) -> Iterator[None]:
        """Capture what the body displays; record a failure, but not that a person interrupted it."""
        __tracebackhide__ = True
        try:
            with captured_displays(self.shell) as execution.displays:
                yield
        except (Exception, SystemExit) as error:
            self._fail(execution, error)
            raise
        except BaseException as error:
            start_at(self.shell, error, execution.body.filename)
            raise

    def _finished(self, execution: _Execution, value: Any) -> tuple[Materialization, ...]:
        __tracebackhide__ = True
        try:
            with own_errors():
                return self._finish(execution, value)
        except Exception as error:
            self._fail(execution, error)
            raise

    def _files_after(self, execution: _Execution) -> dict[str, str]:
        """Return the hashes of the files that the body names, as they are now that it ran.

        A file that was written meanwhile is taken for one that the body wrote: with its hash from before, the asset
        would be out of date at once, and a new file would count as a new input.
        """
        notebook = execution.cell.specs[0].cell.notebook
        facts = analyze(execution.cell.body, transform=transformer(self.shell))
        literals = {text for statement in facts.statements for text in statement.strings}
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

    def _show(self, execution: _Execution, value: Any) -> None:
        show_figures()
        if execution.body.ends_in_expression and not execution.body.quiet:
            self.shell.displayhook(value)

    def _finish(self, execution: _Execution, value: Any) -> tuple[Materialization, ...]:
        cell = execution.cell
        results = _results(cell, execution, value)
        duration = clock.monotonic() - execution.started
        files = self._files_after(execution)
        peak = peak_memory()
        stored = {key: self._store(key, result, cell) for key, result in results.items()}
        now = clock.now()
        committed = self.store.commit(
            [
                self._new(spec, stored[spec.key], execution, files=files, at=now, duration=duration, peak_memory=peak)
                for spec in cell.specs
            ]
        )
        for materialization, result in zip(committed, results.values(), strict=True):
            self.values.remember(materialization, result)
        self.names.publish(cell.name, execution.namespace, execution.before, {*cell.protected, *results})
        for key, result in results.items():
            self.names.bind(key, result)
        return committed

    def _store(self, key: str, value: Any, cell: AssetCell) -> StoredValue:
        manager = self._io.manager(cell.specs[0].options.io)
        return manager.store(value, StoreTarget(env=self.env, asset=key, uid=clock.new_id()))

    def _new(
        self,
        spec: AssetSpec,
        stored: StoredValue,
        execution: _Execution,
        *,
        files: Mapping[str, str],
        at: datetime,
        duration: float,
        peak_memory: int | None,
    ) -> NewMaterialization:
        needed = dict(spec.code).values()
        sources = execution.cell.sources
        new = NewMaterialization(
            env=self.env,
            asset=spec.key,
            stored=stored,
            code=spec.code,
            code_version=spec.code_version,
            sources={digest: sources[digest] for digest in needed if digest in sources},
            inputs={key: found.stored.data_version for key, found in execution.inputs.items()},
            input_versions={key: found.version for key, found in execution.inputs.items()},
            files=files,
            parameters={name: execution.parameters[name] for name in spec.parameters},
            parameter_defaults={
                name: canonical_source(execution.cell.defaults.get(name, "")) for name in spec.parameters
            },
            notebook=spec.cell.notebook,
            cell_id=spec.cell.cell_id,
            run_id=self.run_id,
            created_at=at,
            duration=duration,
            peak_memory=peak_memory,
            metadata={**dict(spec.options.metadata), **execution.context.metadata},
            displays=execution.displays.bundles,
        )
        return without_secrets(new, self._secrets)

    def _fail(self, execution: _Execution, error: BaseException) -> None:
        start_at(self.shell, error, execution.body.filename, hint=self._hint(execution, error))
        keys = [spec.key for spec in execution.cell.specs]
        message = told_error(error, self._secrets)
        try:
            self.store.record_failure(self.env, keys, message, at=clock.now(), run_id=self.run_id)
        except NbpipeError as second:  # the body's own error is what matters
            warn(f"the failure of {execution.cell.name} could not be recorded: {second}")

    def _hint(self, execution: _Execution, error: BaseException) -> str:
        """Explain a name that the notebook has and the body does not see."""
        name = error.name if isinstance(error, NameError) else None
        owner = self.names.published_by(name) if name is not None and name not in execution.namespace else None
        if owner is None:
            return ""
        return (
            f"nbpipe: {name!r} is a temporary of asset {owner}, invisible to other assets: "
            f"declare it as an asset too (%%asset {owner} {name})"
        )


def _results(cell: AssetCell, execution: _Execution, value: Any) -> dict[str, Any]:
    """Return the value of each asset of the cell: the variable of its name, else the last expression's value."""
    results = {}
    for spec in cell.specs:
        key = spec.key
        if key in execution.namespace and execution.namespace[key] is not execution.before.get(key, execution):
            results[key] = execution.namespace[key]
        elif len(cell.specs) == 1 and execution.body.ends_in_expression:
            results[key] = value
        else:
            raise DefinitionError(
                f"the cell of asset {key} ended without a value for it: assign the variable {key}"
                + (", or end the cell with the value as its last expression" if len(cell.specs) == 1 else "")
            )
    return results
