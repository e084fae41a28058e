"""Execute a cell whose assets have no partitions: its body once, all of its values in one commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from nbpipe import clock
from nbpipe.core.records import Materialization
from nbpipe.errors import NbpipeError
from nbpipe.kernel.captures import captured_displays
from nbpipe.kernel.executions import AssetCell, Execution, Inputs, results_of
from nbpipe.kernel.sayings import warn
from nbpipe.kernel.tracebacks import own_errors, start_at
from nbpipe.kernel.values import Values
from nbpipe.kernel.workbench import Workbench


class WholeInputs:
    """The current values of upstream assets."""

    def __init__(self, values: Values, names: tuple[str, ...], reader: str) -> None:
        """Load them.

        Raises:
            MissingValueError: an upstream asset has no value.
        """
        self._values = values
        self.current: dict[str, Materialization] = {}
        first: dict[str, Any] = {}
        for name in names:
            self.current[name], first[name] = values.load_current(name, reader=reader)
        self._first: dict[str, Any] | None = first

    def take(self) -> dict[str, Any]:
        """See `Inputs`."""
        found, self._first = self._first, None
        return found if found is not None else {name: self._values.load(each) for name, each in self.current.items()}

    def recorded(self) -> tuple[Mapping[str, str], Mapping[str, int]]:
        """Return the data version of each upstream, and its version."""
        found = self.current.items()
        return {name: each.stored.data_version for name, each in found}, {name: each.version for name, each in found}


class _Recorded(Inputs, Protocol):
    """Inputs that can be recorded."""

    def recorded(self) -> tuple[Mapping[str, str], Mapping[str, int]]:
        """Return what stands for the data of each upstream, and the versions of those that are one value."""


class WholeWork:
    """See `Work`."""

    def __init__(self, bench: Workbench, cell: AssetCell) -> None:
        """Execute a cell without partitions."""
        self._bench = bench
        self._cell = cell
        self._inputs: _Recorded
        self._committed: tuple[Materialization, ...] = ()

    def executions(self) -> Iterator[Execution]:
        """See `Work`."""
        __tracebackhide__ = True
        with own_errors():
            prepared = self._bench.prepare(self._cell)
            self._inputs = self._opened()
            execution = self._bench.open(prepared, self._inputs)
        yield execution

    def _opened(self) -> _Recorded:
        if not self._cell.sets:
            return WholeInputs(self._bench.values, self._cell.specs[0].inputs, self._cell.name)
        from nbpipe.kernel.partitions.whole import WholeLinkedInputs

        return WholeLinkedInputs(self._bench, self._cell)

    def begin(self, execution: Execution) -> None:
        """Nothing to prepare."""

    @contextmanager
    def watched(self, execution: Execution) -> Iterator[None]:
        """Record a failure, but not that a person interrupted it."""
        __tracebackhide__ = True
        try:
            with captured_displays(self._bench.shell) as execution.displays:
                yield
        except (Exception, SystemExit) as error:
            self._fail(execution, error)
            raise
        except BaseException as error:
            start_at(self._bench.shell, error, execution.body.filename)
            raise

    def take(self, execution: Execution, value: Any) -> None:
        """Nothing to take before the end."""

    def finish(self, execution: Execution, value: Any) -> None:
        """Store the values and commit them."""
        __tracebackhide__ = True
        self._bench.show(execution, value)
        with own_errors():
            self._commit(execution, results_of(execution, value))

    def result(self) -> tuple[Materialization, ...]:
        """Return what was committed."""
        return self._committed

    def _commit(self, execution: Execution, results: Mapping[str, Any]) -> None:
        bench, cell = self._bench, self._cell
        left, manager = bench.left(execution), bench.manager(cell)
        stored = {key: bench.keep(key, result, manager) for key, result in results.items()}
        inputs, versions = self._inputs.recorded()
        self._committed = bench.store.commit(
            [
                bench.record(spec, stored[spec.key], execution, left, inputs=inputs, input_versions=versions)
                for spec in cell.specs
            ]
        )
        for materialization, result in zip(self._committed, results.values(), strict=True):
            bench.values.remember(materialization, result)
        bench.publish(execution, results)

    def _fail(self, execution: Execution, error: BaseException) -> None:
        message = self._bench.told(execution, error)
        keys = [spec.key for spec in self._cell.specs]
        try:
            self._bench.store.record_failure(self._bench.env, keys, message, at=clock.now(), run_id=self._bench.run_id)
        except NbpipeError as second:  # the body's own error is what matters
            warn(f"the failure of {self._cell.name} could not be recorded: {second}")
