"""A step that computes and does not commit: what came out is told in a file, and thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from nbpipe.core.ports import StateStore
from nbpipe.core.ports.partitions import PartitionStore
from nbpipe.core.records import Materialization, NewMaterialization
from nbpipe.core.runs.plans import VERIFIED, Computed
from nbpipe.errors import MissingValueError
from nbpipe.io.registry import IoRegistry

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.records import NewPartition


def verifying(store: StateStore, io: IoRegistry, request: Path) -> StateStore:
    """Return a store that reads as `store` does, but keeps nothing of what asset cells compute.

    Args:
        store: the real one.
        io: where the values are written, to be compared like with like, and removed again.
        request: file of the step's request; the report is written beside it.
    """
    return cast("StateStore", _Verifying(store, io, request.with_suffix("").with_suffix(VERIFIED)))


class _Verifying:
    """Stands before a store; whatever is not about results of asset cells passes through."""

    def __init__(self, store: StateStore, io: IoRegistry, report: Path) -> None:
        self._store, self._io, self._report = store, io, report
        self._computed: dict[str, Computed] = {}

    def commit(self, values: Sequence[NewMaterialization]) -> tuple[Materialization, ...]:
        """Report the values, remove them, and return what is current."""
        for value in values:
            self.report(value)
        return tuple(self._current(value) for value in values)

    @property
    def partitions(self) -> PartitionStore:
        """Return what reads the partitions, and keeps as little of them."""
        return cast("PartitionStore", _VerifyingPartitions(self._store.partitions, self))

    def report(self, value: NewMaterialization) -> None:
        """Report a value and remove it."""
        stored = value.stored
        self._io.manager(stored.io).delete(stored)
        self._computed[value.asset] = Computed(
            data_version=stored.data_version, opaque=stored.opaque, format=stored.format, size=stored.size
        )
        self._report.write_bytes(msgspec.json.encode(self._computed))

    def record_failure(self, *args: Any, **options: Any) -> None:
        """Note nothing: the stored value is as good as before; the run's record tells of the failure."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _current(self, value: NewMaterialization) -> Materialization:
        found = self._store.materialization(value.env, value.asset)
        if found is None:
            raise MissingValueError(f"asset {value.asset} has no stored value to compare with: materialize it first")
        return found


class _VerifyingPartitions:
    """Stands before the part of a store that is about partitions."""

    def __init__(self, partitions: PartitionStore, whole: _Verifying) -> None:
        self._partitions, self._whole = partitions, whole

    def commit(self, values: Sequence[NewPartition]) -> tuple[Materialization, ...]:
        """Report the values, remove them, and return what is current."""
        found = []
        for new in values:
            value = new.value
            self._whole.report(value)
            current = self._partitions.materialization(value.env, value.asset, value.partition, new.position)
            if current is None:
                raise MissingValueError(f"{value.asset}@{value.partition} has no stored value to compare with")
            found.append(current)
        return tuple(found)

    def skip(self, *args: Any, **options: Any) -> None:
        """Note nothing."""

    def fail(self, *args: Any, **options: Any) -> None:
        """Note nothing."""

    def start(self, *args: Any, **options: Any) -> None:
        """Note nothing."""

    def stop(self, *args: Any, **options: Any) -> None:
        """Note nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._partitions, name)
