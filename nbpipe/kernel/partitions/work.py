"""Execute the partitions of an asset cell: its body once for each, or once for a batch of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec

from nbpipe import clock
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.records import NewPartition, SkippedPartition
from nbpipe.core.records import Materialization
from nbpipe.errors import MissingValueError, PartitionsFailedError, StoredValueError
from nbpipe.kernel.captures import show_figures
from nbpipe.kernel.context import PartitionSkipped
from nbpipe.kernel.executions import AssetCell, Execution, results_of
from nbpipe.kernel.partitions.commits import Commits
from nbpipe.kernel.partitions.given import Partition
from nbpipe.kernel.partitions.reading import LinkedInputs, Sources
from nbpipe.kernel.partitions.sieve import Sieve
from nbpipe.kernel.partitions.telling import Teller
from nbpipe.kernel.sayings import say, shape_of
from nbpipe.kernel.tracebacks import own_errors, show_below, start_at
from nbpipe.kernel.workbench import Prepared, Workbench

_GROUP_TIME = 0.2
"""Seconds of work that are marked, and committed, together."""
_LARGEST_GROUP = 256
_TOLD = 3
"""Failures that the error of a cell names."""


class _Batch(msgspec.Struct, kw_only=True):
    """The partitions that one execution is for, and what has become of them."""

    execution: Execution
    inputs: LinkedInputs
    left: dict[str, dict[str, None]]
    """By asset: the keys that nothing has become of so far."""
    values: dict[str, Any] = {}
    """By asset: the value that was kept last."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are left of at least one asset, in their order."""
        return tuple(dict.fromkeys(key for keys in self.left.values() for key in keys))


class PartitionWork:
    """See `Work`."""

    def __init__(self, bench: Workbench, cell: AssetCell) -> None:
        """Execute the chosen partitions of a cell."""
        self._bench, self._cell = bench, cell
        self._commits: Commits
        self._sources: dict[str, Sources]
        self._sieve: Sieve
        self._keys: tuple[str, ...] = ()
        self._teller = Teller(1)
        self._batch: _Batch
        self._last: _Batch | None = None
        self._first: BaseException | None = None
        self._accounts: list[str] = []
        """Of the first failures; the errors themselves would hold on to all that their bodies had in memory."""
        self._more = 0
        self._failed: set[str] = set()

    # --- the loop ---

    def executions(self) -> Iterator[Execution]:
        """See `Work`."""
        __tracebackhide__ = True
        with own_errors():
            prepared = self._bench.prepare(self._cell)
            self._open()
        for group in self._groups():
            try:
                with own_errors():
                    batches = self._begin(group)
                for keys in batches:
                    batch = self._opened(prepared, keys)
                    if batch is not None:
                        self._batch = batch
                        yield batch.execution
                with own_errors():
                    self._commits.flush()
            except BaseException:
                self._commits.abandon()
                raise

    def _open(self) -> None:
        cell, store, env = self._cell, self._bench.store, self._bench.env
        book = PartitionBook(cell.sets, store.partitions, env)
        sets = {}
        for spec in cell.specs:
            book.register(spec.key, at=clock.now())
            sets[spec.key] = book.of(spec.key)
        known = {asset: of for asset, of in sets.items() if of is not None}
        self._commits = Commits(self._bench, known, self._bench.manager(cell).group(), lost=self._lost_written)
        self._sources = {spec.key: Sources(store, env, book, spec) for spec in cell.specs}
        self._sieve = Sieve(self._bench, cell, self._sources)
        self._keys = cell.chosen or ()
        self._teller = Teller(len(self._keys))

    def _groups(self) -> Iterator[tuple[str, ...]]:
        """Yield keys that are marked and committed together: a batch, or as many as take a moment."""
        spec, place, size = self._cell.specs[0], 0, 1
        if spec.ranged:
            number = spec.options.backfill or ""
            size = int(number) if number.isdigit() else len(self._keys)
        steady = spec.ranged or any(name in self._sources for each in self._sources.values() for name in each.links)
        while place < len(self._keys):
            began = clock.monotonic()
            yield self._keys[place : place + size]
            place += size
            if not steady:
                each = (clock.monotonic() - began) / size
                size = max(1, min(size * 2, _LARGEST_GROUP, int(_GROUP_TIME / max(each, 1e-6))))

    def _begin(self, keys: Sequence[str]) -> list[tuple[str, ...]]:
        """Settle what is not executed of a group; return the batches of the rest, one for each execution."""
        for sources in self._sources.values():
            sources.refresh()
        found = self._sieve.sift(keys, self._positions(keys))
        self._commits.leave(found.unchanged, "unchanged")
        for key in found.unchanged:
            self._teller.tell(key, "unchanged")
        for reason in dict.fromkeys(found.below.values()):
            self._commits.leave([key for key, why in found.below.items() if why == reason], "skipped", reason)
        for key, reason in found.below.items():
            self._teller.tell(key, "not executed", f" ({reason})")
        self._sieve.fail(found.below)
        for key, reason in found.lacking.items():
            error = MissingValueError(reason)
            self._unready({spec.key: {key: None} for spec in self._cell.specs}, error)
            if self._teller.alone:
                raise error
        self._commits.start(found.ready)
        if self._cell.specs[0].ranged:
            return [tuple(found.ready)] if found.ready else []
        return [(key,) for key in found.ready]

    def _opened(self, prepared: Prepared, keys: tuple[str, ...]) -> _Batch | None:
        cell, ranged = self._cell, self._cell.specs[0].ranged
        left = {spec.key: dict.fromkeys(keys) for spec in cell.specs}
        try:
            with own_errors():
                positions = self._positions(keys)
                inputs = LinkedInputs(self._bench.values, cell, self._sources, positions, ranged=ranged)
        except Exception as error:
            self._unready(left, error)
            if self._teller.alone:
                raise
            return None
        return _Batch(execution=self._bench.open(prepared, inputs), inputs=inputs, left=left)

    def _positions(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {spec.key: {key: self._commits.position(spec.key, key) for key in keys} for spec in self._cell.specs}

    # --- one execution ---

    def begin(self, execution: Execution) -> None:
        """Let an attempt be for the partitions that are left."""
        keys = self._batch.keys
        self._batch.inputs.narrow(keys)
        execution.partition = Partition(self._commits.set_of(self._cell.specs[0].key), keys)
        execution.context.begin(keys)

    @contextmanager
    def watched(self, execution: Execution) -> Iterator[None]:
        """Record a failure of the partitions that are left, and go on with others; a skip is no failure."""
        __tracebackhide__ = True
        batch = self._batch
        try:
            with self._teller.quiet():
                yield
        except PartitionSkipped as skipped:
            self._skip(batch, {**dict.fromkeys(batch.keys, skipped.reason), **execution.context.skipped})
        except (Exception, SystemExit) as error:
            self._skip(batch, execution.context.skipped)
            self._lost(batch.left, error, self._bench.told(execution, error))
            if self._teller.alone:
                raise
        except BaseException as error:
            start_at(self._bench.shell, error, execution.body.filename)
            self._commits.abandon()
            raise
        if batch.values:
            self._last = batch

    def take(self, execution: Execution, value: Any) -> None:
        """Keep the values of a batch as the body gives them, one by one."""
        if not self._cell.specs[0].ranged:
            return
        context, batch = execution.context, self._batch
        if all(key in context.skipped for key in batch.keys):
            return
        from nbpipe.kernel.partitions.batches import pairs  # most cells give one value

        for asset, result in results_of(execution, value).items():
            within = partial(execution.body.as_main, execution.module)
            for key, each in pairs(asset, tuple(batch.left[asset]), result, within, excused=context.skipped):
                self._keep(batch, asset, key, each)

    def finish(self, execution: Execution, value: Any) -> None:
        """Keep the value of a partition; see what was skipped."""
        __tracebackhide__ = True
        batch = self._batch
        if self._teller.alone:
            self._bench.show(execution, value)
        else:
            show_figures()
        with own_errors():
            skipped = execution.context.skipped
            if not self._cell.specs[0].ranged and not all(key in skipped for key in batch.keys):
                (key,) = batch.keys
                for asset, result in results_of(execution, value).items():
                    self._keep(batch, asset, key, result)
            self._skip(batch, skipped)

    def result(self) -> tuple[Materialization, ...]:
        """Return the latest value of each asset that was committed; show the last execution in the notebook.

        Raises:
            PartitionsFailedError: some partitions failed.
        """
        __tracebackhide__ = True
        if self._last is not None:
            self._bench.publish(self._last.execution, self._last.values)
        self._teller.end()
        if self._first is not None:
            raise self._error(self._first)
        latest = self._commits.latest
        return tuple(latest[spec.key] for spec in self._cell.specs if spec.key in latest)

    # --- what becomes of partitions ---

    def _keep(self, batch: _Batch, asset: str, key: str, value: Any) -> None:
        bench, cell, execution = self._bench, self._cell, batch.execution
        left = bench.left(execution)
        stored = bench.keep(asset, value, self._commits.group, key)
        position = self._commits.position(asset, key)
        inputs = batch.inputs.recorded_of(asset, position)
        spec = next(spec for spec in cell.specs if spec.key == asset)
        new = bench.record(
            spec,
            stored,
            execution,
            left,
            inputs=inputs.data_versions,
            input_versions=inputs.versions,
            partition=key,
        )
        del batch.left[asset][key]
        batch.values[asset] = value
        if all(key not in keys for keys in batch.left.values()):
            self._teller.tell(key, "materialized", shape_of(stored))
        self._commits.add(NewPartition(position=position, value=new, inputs=inputs.fingerprint), value)
        execution.started = clock.monotonic()  # the next value of this execution

    def _skip(self, batch: _Batch, reasons: Mapping[str, str]) -> None:
        """Note partitions that had nothing to do."""
        bench, execution = self._bench, batch.execution
        told = {key: bench.redacted(reasons[key]) for key in batch.keys if key in reasons}
        if not told:
            return
        self._commits.flush()
        left = bench.left(execution)
        for spec in self._cell.specs:
            recipe = Recipe(**bench.recipe(spec, execution, left))
            found = [
                SkippedPartition(
                    env=bench.env,
                    asset=spec.key,
                    partition=key,
                    position=(position := self._commits.position(spec.key, key)),
                    recipe=recipe,
                    inputs=self._sources[spec.key].fingerprint(position),
                    reason=told[key],
                    run_id=bench.run_id,
                    at=left.at,
                )
                for key in batch.left[spec.key]
                if key in told
            ]
            self._commits.skip(found)
            batch.left[spec.key] = {key: None for key in batch.left[spec.key] if key not in told}
        for key, reason in told.items():
            self._teller.tell(key, "skipped", f" ({reason})")
            if self._teller.alone:
                say(f"{self._cell.label}: skipped ({reason})")
                self._show_skipped(key)

    def _show_skipped(self, key: str) -> None:
        """Bind what a person sees of a partition that had nothing to do: an older value, or None."""
        bench, partitions = self._bench, self._bench.store.partitions
        bench.names.unpublish(self._cell.name)
        for spec in self._cell.specs:
            found = partitions.materialization(bench.env, spec.key, key, self._commits.position(spec.key, key))
            bench.names.bind(spec.key, None if found is None else bench.values.load(found))

    def _unready(self, left: Mapping[str, Mapping[str, None]], error: Exception) -> None:
        """Note partitions whose inputs are not there: a run keeps what became of them, a person is told alone."""
        message = self._bench.worded(error)
        if self._bench.run_id is None:
            self._tell_lost(left, error, message)
        else:
            self._lost(left, error, message)

    def _lost(self, left: Mapping[str, Mapping[str, None]], error: BaseException, message: str) -> None:
        """Note partitions that failed."""
        for asset, each in left.items():
            self._commits.fail(asset, list(each), message)
        self._tell_lost(left, error, message)

    def _tell_lost(self, left: Mapping[str, Mapping[str, None]], error: BaseException, message: str) -> None:
        """Say which partitions failed, now and at the end, and let nothing go on that reads them."""
        keys = list(dict.fromkeys(key for each in left.values() for key in each))
        self._sieve.fail(keys)
        self._first = error if self._first is None else self._first
        if len(self._accounts) < _TOLD:
            self._accounts.append(f"{keys[0]}: {message}" if keys else message)
        else:
            self._more += 1
        self._failed.update(keys)
        for key in keys:
            self._teller.tell(key, "failed", f" ({message})")

    def _lost_written(self, gone: Mapping[str, Mapping[str, None]], error: StoredValueError) -> None:
        """Note partitions whose values were written, but not to last."""
        self._lost(gone, error, self._bench.worded(error))
        if self._teller.alone:
            raise error

    def _error(self, first: BaseException) -> PartitionsFailedError:
        more = f"; and {self._more:,} more" if self._more else ""
        number = f"{len(self._failed):,} of {len(self._keys):,} partitions failed: " if self._failed else ""
        told = "; ".join(self._accounts)
        error = PartitionsFailedError(f"{number}{told}{more}")  # none failed: the body gave more than it should
        error.__cause__ = first
        show_below(error, first)
        return error
