"""The partitions of a step: those that its plan names, or one as in a person's kernel where it names none."""

from __future__ import annotations

from nbpipe import clock
from nbpipe.core.partitions.ranges import parse_ranges
from nbpipe.errors import MissingValueError
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.partitions.declared import no_partition, set_of
from nbpipe.kernel.sayings import say, warn
from nbpipe.kernel.workbench import Workbench


def planned_keys(bench: Workbench, asset: str, spec: str, ranges: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the keys of an asset that a run is about, in their order.

    Args:
        bench: of this kernel.
        asset: its name.
        spec: SPEC of its partitions.
        ranges: those of the plan; None: the latest complete partition.

    Raises:
        RefusedError: the plan names none, and there is none.
    """
    of, now = set_of(bench, asset, spec), clock.now()
    if ranges is not None:
        return tuple(parse_ranges(of, ranges, now))
    from nbpipe.kernel.partitions.choice import Choices

    key = Choices().key(of, now)
    if key is None:
        raise no_partition(asset, of)
    return (key,)


def loaded(bench: Workbench, cell: AssetCell) -> bool:
    """Load the one partition of a cell if it is up to date; tell whether it was."""
    from nbpipe.kernel.partitions.stored import bind, look

    (key,) = cell.chosen or ("",)
    found = look(bench, cell, key)
    if found.reasons:
        return False
    try:
        bind(bench, cell, found)
    except MissingValueError as error:
        warn(f"{error}: {cell.label} is executed again")
        return False
    if bench.run_id is not None:
        for asset in found.details:
            bench.store.end_partitions(bench.run_id, asset, "unchanged", at=clock.now(), keys=[key], label=key)
    say(f"{cell.label}: up to date, loaded")
    return True
