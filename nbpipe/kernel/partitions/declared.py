"""The partitions that an asset of a notebook declares."""

from __future__ import annotations

from nbpipe import clock
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.sets import ListedDimension, PartitionSet
from nbpipe.errors import RefusedError
from nbpipe.kernel.values import quoted
from nbpipe.kernel.workbench import Workbench


def set_of(bench: Workbench, asset: str, spec: str) -> PartitionSet:
    """Return the partitions that an asset declares, with the keys registered now."""
    found = PartitionBook({asset: spec}, bench.store.partitions, bench.env).of(asset)
    assert found is not None  # noqa: S101 - it is declared
    return found


def no_partition(asset: str, of: PartitionSet) -> RefusedError:
    """Return the error for an asset that has no complete partition yet."""
    empty = [part for part in of.dimensions if isinstance(part, ListedDimension) and not part.count(clock.now())]
    if empty:
        name = quoted(empty[0].source)
        remedy = f"add keys: %partitions add {name} KEY"
    else:
        remedy = "no window has ended yet; %partition KEY chooses one"
    return RefusedError(f"asset {asset} has no partition so far ({of}): {remedy}")
