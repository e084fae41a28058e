"""What is stored of one partition of a cell: whether it is up to date, and its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nbpipe import clock
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.records import PartitionDetail
from nbpipe.core.records import AssetState
from nbpipe.core.staleness import failure_reason
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.partitions.choice import Choices
from nbpipe.kernel.partitions.declared import no_partition, set_of
from nbpipe.kernel.partitions.judging import Judge
from nbpipe.kernel.partitions.reading import Sources
from nbpipe.kernel.workbench import Workbench


class Stored(NamedTuple):
    """One partition of all assets of a cell."""

    key: str
    reasons: tuple[str, ...]
    """Why it would be executed now; nothing if it is up to date."""
    details: dict[str, PartitionDetail]
    """By asset."""


def look(bench: Workbench, cell: AssetCell, key: str) -> Stored:
    """Look at what is stored of a partition of a cell."""
    book = PartitionBook(cell.sets, bench.store.partitions, bench.env)
    reasons: dict[str, None] = {}
    details = {}
    for spec in cell.specs:
        of = book.of(spec.key)
        assert of is not None  # noqa: S101 - all assets of the cell have partitions
        position = of.position(key)
        detail = details[spec.key] = bench.store.partitions.detail(bench.env, spec.key, key, position)
        judge = Judge(
            bench.store,
            bench.env,
            spec,
            Sources(bench.store, bench.env, book, spec),
            parameters=bench.parameters.effective(spec.parameters, cell.defaults),
            files=bench.files.hash,
        )
        failure = failure_reason(AssetState(asset=spec.key, failed_at=detail.failed_at, error=detail.error))
        reasons.update(dict.fromkeys(judge.reasons(position, failure=failure, recorded=_inputs(detail))))
    return Stored(key, tuple(reasons), details)


def _inputs(detail: PartitionDetail) -> Mapping[str, str]:
    return detail.current.inputs if detail.current is not None else {}


def bind(bench: Workbench, cell: AssetCell, found: Stored) -> str:
    """Bind the values of a partition that is up to date; return what to say. A skipped one without a value is None.

    Raises:
        MissingValueError: a value can't be read any more.
    """
    values = {
        asset: None if detail.current is None else bench.values.load(detail.current)
        for asset, detail in found.details.items()
    }
    bench.names.unpublish(cell.name)
    for asset, value in values.items():
        bench.names.bind(asset, value)
    first = next(iter(found.details.values()))
    if first.skipped_at is not None:
        return f"up to date, skipped ({first.reason}); %force {cell.name} runs it again"
    if first.held and first.current is not None:
        return f"held at version {first.current.version} after a rollback; %force {cell.name} runs it again"
    return f"up to date, loaded; %force {cell.name} runs it again"


def value_at(bench: Workbench, asset: str, spec: str, key: str | None, *, version: int | None = None) -> Any:
    """Return the value of a partition of any asset; of one that was skipped and has no value, None.

    Args:
        bench: of this kernel.
        asset: its name.
        spec: SPEC of its partitions.
        key: None for the latest complete one.
        version: None for the current one.

    Raises:
        UnknownNameError: there is no such partition.
        MissingValueError: it has no value.
    """
    of = set_of(bench, asset, spec)
    key = key or Choices().key(of, clock.now())
    if key is None:
        raise no_partition(asset, of)
    position = of.position(key)
    if version is None:
        detail = bench.store.partitions.detail(bench.env, asset, key, position)
        if detail.current is None and detail.skipped_at is not None:
            return None
    return bench.values.load_partition(asset, key, position, version=version)[1]
