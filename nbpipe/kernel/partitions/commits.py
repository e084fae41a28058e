"""What becomes of the partitions of a cell, put into the state store in groups."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from nbpipe import clock
from nbpipe.core.partitions.records import NewPartition, SkippedPartition
from nbpipe.core.partitions.sets import PartitionSet, Position
from nbpipe.core.partitions.subsets import Families, families_of
from nbpipe.core.ports import ValueGroup
from nbpipe.core.records import Materialization, Outcome
from nbpipe.errors import NbpipeError, StateError, StoredValueError
from nbpipe.kernel.sayings import warn
from nbpipe.kernel.workbench import Workbench

Lost: TypeAlias = Callable[[Mapping[str, Mapping[str, None]], StoredValueError], None]
"""Takes note of keys by asset, and why they are lost."""

_LONGEST = 0.2
"""Seconds that a value may wait to be committed together with others."""
_MOST = 256
"""Values that are committed together."""
_LARGEST = 64 << 20
"""Bytes that are."""
_REMEMBERED = 16
"""Values of one group that may be handed on."""


class Commits:
    """Commits values, failures and skips of the partitions of some assets, in one run or in a person's kernel."""

    def __init__(self, bench: Workbench, sets: Mapping[str, PartitionSet], group: ValueGroup, *, lost: Lost) -> None:
        """Write for assets with these sets of partitions.

        Args:
            bench: of this kernel.
            sets: by asset.
            group: where their values are stored before they are added here; made durable before they are committed.
            lost: called with what was added and can't be made durable.
        """
        self._bench, self._sets = bench, sets
        self.group = group
        self._lost = lost
        self._marked: dict[str, dict[str, None]] = {asset: {} for asset in sets}
        self._pending: list[NewPartition] = []
        self._values: deque[tuple[str, str, Any]] = deque(maxlen=_REMEMBERED)
        self._since = 0.0
        self.latest: dict[str, Materialization] = {}
        """What was committed last, by asset."""

    def set_of(self, asset: str) -> PartitionSet:
        """Return the partitions of an asset."""
        return self._sets[asset]

    def position(self, asset: str, key: str) -> Position:
        """Return where a partition is."""
        return self._sets[asset].position(key)

    def start(self, keys: Sequence[str]) -> None:
        """Mark partitions as being worked on."""
        run_id = self._bench.run_id
        if run_id is None or not keys:
            return
        for asset, marked in self._marked.items():
            marked.update(dict.fromkeys(keys))
            self._bench.store.partitions.start(
                self._bench.env,
                asset,
                self._families(asset, keys),
                run_id=run_id,
                at=clock.now(),
                label=_label(keys),
                keys=keys,
            )

    def add(self, new: NewPartition, value: Any) -> None:
        """Commit a value soon; the value itself may be handed on to who reads it next."""
        if not self._pending:
            self._since = clock.monotonic()
        self._pending.append(new)
        self._values.append((new.value.asset, new.value.partition, value))
        is_full = len(self._pending) >= _MOST or self.group.size >= _LARGEST
        if is_full or clock.monotonic() - self._since >= _LONGEST:
            self.flush()

    def flush(self) -> None:
        """Make what was added durable, and commit it then: whoever dies between the two has lost it, not broken it.

        The same goes for who is interrupted: what is half written is not committed later, nor anything twice.
        """
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        try:
            self.group.flush()
        except StoredValueError as error:
            self._lose(pending, error)
            return
        try:
            committed = self._bench.store.partitions.commit(pending)
        except StateError:
            self._pending = pending
            raise
        kept = {(asset, key): value for asset, key, value in self._values}
        self._values.clear()
        for made in committed:
            self._marked[made.asset].pop(made.partition, None)
            self.latest[made.asset] = made
            if (made.asset, made.partition) in kept:
                self._bench.values.remember(made, kept[made.asset, made.partition])

    def _lose(self, pending: Sequence[NewPartition], error: StoredValueError) -> None:
        """Take note that what was added is gone."""
        gone: dict[str, dict[str, None]] = {}
        for new in pending:
            gone.setdefault(new.value.asset, {})[new.value.partition] = None
        self._values.clear()
        self._lost(gone, error)

    def skip(self, skipped: Sequence[SkippedPartition]) -> None:
        """Note that partitions had nothing to do."""
        self._bench.store.partitions.skip(skipped)
        for each in skipped:
            self._marked[each.asset].pop(each.partition, None)

    def fail(self, asset: str, keys: Sequence[str], message: str) -> None:
        """Note that partitions failed; a person's error is not hidden by one of the store."""
        if not keys:
            return

        def write() -> None:
            bench = self._bench
            which, at = self._families(asset, keys), clock.now()
            bench.store.partitions.fail(
                bench.env, asset, which, message, at=at, label=_label(keys), keys=keys, run_id=bench.run_id
            )

        self._tolerant(f"the failure of {asset}@{_label(keys)}", write)
        for key in keys:
            self._marked[asset].pop(key, None)

    def leave(self, keys: Sequence[str], outcome: Outcome, reason: str | None = None) -> None:
        """Note what became of partitions that were not executed."""
        if self._bench.run_id is None or not keys:
            return
        for asset in self._sets:
            self._bench.store.end_partitions(
                self._bench.run_id, asset, outcome, at=clock.now(), keys=keys, error=reason, label=_label(keys)
            )

    def abandon(self) -> None:
        """Commit what is complete, and take back the marks of the rest: somebody interrupted it."""
        self._tolerant("what was complete", self.flush)
        run_id = self._bench.run_id
        for asset, marked in self._marked.items():
            if marked and run_id is not None:
                keys = list(marked)
                which = self._families(asset, keys)

                def write(asset: str = asset, which: Families = which, keys: Sequence[str] = keys) -> None:
                    self._bench.store.partitions.stop(
                        self._bench.env,
                        asset,
                        which,
                        run_id=str(run_id),
                        at=clock.now(),
                        label=_label(keys),
                        keys=keys,
                    )

                self._tolerant(f"the end of {asset}@{_label(keys)}", write)
            marked.clear()

    def _families(self, asset: str, keys: Iterable[str]) -> Families:
        return families_of(self.position(asset, key) for key in keys)

    @staticmethod
    def _tolerant(what: str, write: Callable[[], None]) -> None:
        try:
            write()
        except NbpipeError as error:  # what went wrong before matters more
            warn(f"{what} could not be recorded: {error}")


def _label(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]}..{keys[-1]}"
