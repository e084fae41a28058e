"""Execute one asset cell: load its inputs, run the body, store and commit, bind and publish.

The same code serves a person's kernel and a job's: what differs (which specification counts, whether the
cell is out of date, what is said) is decided by the callers, `session` and `step`.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from IPython.core.interactiveshell import InteractiveShell

from nbpipe import clock
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.names import analyze
from nbpipe.core.parameters import canonical, canonical_source
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Materialization, NewMaterialization, StoredValue
from nbpipe.errors import DefinitionError, MissingValueError
from nbpipe.io.registry import IoRegistry
from nbpipe.io.targets import StoreTarget
from nbpipe.kernel.bodies import Body
from nbpipe.kernel.captures import Displays, captured_displays, replay
from nbpipe.kernel.measures import peak_memory, reset_peak_memory, time_limit
from nbpipe.kernel.namespaces import NotebookNamespace
from nbpipe.kernel.shells import transformer
from nbpipe.kernel.tracebacks import own_errors, start_at
from nbpipe.kernel.values import Values


class ProjectFiles(NamedTuple):
    """The files of the project, as they are now."""

    hash: Callable[[str], str]
    """Gives the content hash of a path relative to the root, or of a `glob:` pattern; empty if it is missing."""
    find: Callable[[str, str], str | None]
    """`(notebook, text)` -> path of the file that the text names, or None."""


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


class Context:
    """What a body sees as `context`.

    Attributes:
        asset: the name of the asset; of several, the names joined by spaces.
        run_id: the run that executes the cell, or None in a person's kernel.
        log: a logger; what it writes appears in the cell's output.
    """

    def __init__(self, asset: str, run_id: str | None) -> None:
        """Make the context of one execution."""
        self.asset = asset
        self.run_id = run_id
        self.log = logging.getLogger(f"nbpipe.asset.{asset}")
        self.metadata: dict[str, Any] = {}

    def add_output_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Record facts with the materialization, for example `{"accuracy": 0.93}`."""
        self.metadata.update({str(key): _plain_metadata(value) for key, value in metadata.items()})


@dataclass(kw_only=True)
class _Execution:
    """One execution of a body, between its inputs and its commit."""

    cell: AssetCell
    body: Body
    context: Context
    namespace: dict[str, Any]
    before: dict[str, Any]
    inputs: Mapping[str, Materialization]
    files: Mapping[str, str]
    parameters: Mapping[str, str]
    started: float
    displays: Displays = field(default_factory=Displays)
    created: Mapping[str, str] = field(default_factory=dict)


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
        run_id: str | None = None,
    ) -> None:
        """Work on the variables of `shell`."""
        self.shell = shell
        self.store = store
        self.env = env
        self.values = Values(store, io, env)
        self.names = NotebookNamespace(shell.user_ns)
        self.run_id = run_id
        self._io = io
        self.files = files

    def effective_parameters(self, names: Collection[str], defaults: Mapping[str, str]) -> dict[str, str]:
        """Return the value of each parameter as source text: what the notebook holds, else its default."""
        result = {}
        for name in names:
            text = canonical(self.names.get(name)) if name in self.names else None
            default = canonical_source(defaults.get(name, ""))
            # A default that is no literal (`date.today()`) can't be compared by value: its source stands for it.
            literal = _is_literal(default)
            result[name] = default if text is None or (default and not literal and name in defaults) else text
        return result

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
            execution.namespace = dict(execution.before)
            with time_limit(cell.specs[0].options.timeout, cell.name):
                return execution.body.run(execution.namespace)

        try:
            with captured_displays(self.shell) as execution.displays:
                value = _retrying(cell.specs[0], attempt)()
                self._show(execution, value)
            with own_errors():
                return self._finish(execution, value)
        except Exception as error:
            self._fail(execution, error)
            raise

    async def execute_async(self, cell: AssetCell) -> tuple[Materialization, ...]:
        """Do what `execute` does for a body with top-level `await`."""
        __tracebackhide__ = True
        with own_errors():
            execution = self._prepare(cell)

        async def attempt() -> Any:
            __tracebackhide__ = True
            execution.namespace = dict(execution.before)
            with time_limit(cell.specs[0].options.timeout, cell.name):
                return await execution.body.run_async(execution.namespace)

        try:
            with captured_displays(self.shell) as execution.displays:
                value = await _retrying(cell.specs[0], attempt)()
                self._show(execution, value)
            with own_errors():
                return self._finish(execution, value)
        except Exception as error:
            self._fail(execution, error)
            raise

    def _prepare(self, cell: AssetCell) -> _Execution:
        spec = cell.specs[0]
        body = Body(self.shell, cell.body, first_line=cell.first_line, cell=cell.source)
        inputs, values = {}, {}
        for key in spec.inputs:
            inputs[key], values[key] = self.values.load_current(key)
        context = Context(cell.name, self.run_id)
        self._refuse_unbound(cell)
        namespace = self.names.body_namespace(cell.visible, {**values, "context": context, "partition": None})
        parameters = sorted({name for each in cell.specs for name in each.parameters})
        reset_peak_memory()
        return _Execution(
            cell=cell,
            body=body,
            context=context,
            namespace={},
            before=namespace,
            inputs=inputs,
            files=self.file_hashes(cell.specs),
            parameters=self.effective_parameters(parameters, cell.defaults),
            started=clock.monotonic(),
        )

    def _created_files(self, execution: _Execution) -> dict[str, str]:
        """Return the hash of each file that the body names and that is there only since it ran.

        Without this a file that the body writes would count as a new input the next time.
        """
        notebook = execution.cell.specs[0].cell.notebook
        facts = analyze(execution.cell.body, transform=transformer(self.shell))
        literals = {text for statement in facts.statements for text in statement.strings}
        found = {path for text in literals if (path := self.files.find(notebook, text)) is not None}
        return {path: self.files.hash(path) for path in sorted(found - execution.files.keys())}

    def _refuse_unbound(self, cell: AssetCell) -> None:
        missing = sorted(name for name in cell.specs[0].setup_names if name not in self.names)
        if missing:
            raise MissingValueError(
                f"asset {cell.name} needs {', '.join(missing)}, which a setup cell above defines, "
                "but that cell has not run in this kernel: run it first"
            )

    def _show(self, execution: _Execution, value: Any) -> None:
        if execution.body.ends_in_expression and not execution.body.quiet:
            self.shell.displayhook(value)

    def _finish(self, execution: _Execution, value: Any) -> tuple[Materialization, ...]:
        cell = execution.cell
        results = _results(cell, execution, value)
        duration = clock.monotonic() - execution.started
        execution.created = self._created_files(execution)
        peak = peak_memory()
        stored = {key: self._store(key, result, cell) for key, result in results.items()}
        now = clock.now()
        committed = self.store.commit(
            [self._new(spec, stored[spec.key], execution, now, duration, peak) for spec in cell.specs]
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
        now: datetime,
        duration: float,
        peak: int | None,
    ) -> NewMaterialization:
        needed = dict(spec.code).values()
        sources = execution.cell.sources
        return NewMaterialization(
            env=self.env,
            asset=spec.key,
            stored=stored,
            code=spec.code,
            code_version=spec.code_version,
            sources={digest: sources[digest] for digest in needed if digest in sources},
            inputs={key: found.stored.data_version for key, found in execution.inputs.items()},
            input_versions={key: found.version for key, found in execution.inputs.items()},
            files={**{path: execution.files[path] for path in spec.files}, **execution.created},
            parameters={name: execution.parameters[name] for name in spec.parameters},
            parameter_defaults={
                name: canonical_source(execution.cell.defaults.get(name, "")) for name in spec.parameters
            },
            notebook=spec.cell.notebook,
            cell_id=spec.cell.cell_id,
            run_id=self.run_id,
            created_at=now,
            duration=duration,
            peak_memory=peak,
            metadata={**dict(spec.options.metadata), **execution.context.metadata},
            displays=execution.displays.bundles,
        )

    def _fail(self, execution: _Execution, error: Exception) -> None:
        start_at(self.shell, error, execution.body.filename)
        keys = [spec.key for spec in execution.cell.specs]
        message = f"{type(error).__name__}: {error}"
        self.store.record_failure(self.env, keys, message, at=clock.now(), run_id=self.run_id)


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


def _retrying(spec: AssetSpec, run: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap one attempt at a body by the retry policy of its asset."""
    options = spec.options
    if not options.retries:
        return run
    import tenacity

    waits: dict[str, tenacity.wait.wait_base] = {
        "constant": tenacity.wait_fixed(options.retry_delay),
        "linear": tenacity.wait_incrementing(start=options.retry_delay, increment=options.retry_delay),
        "exponential": tenacity.wait_exponential(multiplier=options.retry_delay),
    }

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        print(f"{spec.key}: attempt {state.attempt_number} failed ({type(error).__name__}: {error}); trying again")  # noqa: T201 - the cell's output is where a person looks

    return tenacity.retry(
        stop=tenacity.stop_after_attempt(options.retries + 1),
        wait=waits[options.backoff],
        retry=tenacity.retry_if_exception_type(Exception),
        before_sleep=tell,
        reraise=True,
    )(run)


def _is_literal(source: str) -> bool:
    import ast

    try:
        ast.literal_eval(source)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


def _plain_metadata(value: Any) -> Any:
    """Return a JSON-able form of a metadata value: numbers of array libraries become plain, the rest text."""
    if isinstance(value, str | bool | int | float | types.NoneType):
        return value
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", 0) == 0:
        return _plain_metadata(item())
    if isinstance(value, list | tuple):
        return [_plain_metadata(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain_metadata(each) for key, each in value.items()}
    return str(value)
