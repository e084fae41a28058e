"""What the buttons do: the same as the commands, for some partitions of one asset."""

from __future__ import annotations

from nbpipe.core.partitions.ranges import range_texts
from nbpipe.core.partitions.subsets import PartitionSubset
from nbpipe.errors import RefusedError
from nbpipe.kernel.lineage.model import as_selection
from nbpipe.kernel.live import LiveSession


def materialize(session: LiveSession, asset: str, meant: PartitionSubset) -> str | None:
    """Start a run of some partitions and return its id; None if there is nothing to do.

    Raises:
        RefusedError: nothing is meant, or it can't be run as things stand.
    """
    from nbpipe.kernel.materializing import start_run

    return start_run(session, as_selection(asset), partitions=_texts(meant))


def backfill(session: LiveSession, asset: str, meant: PartitionSubset) -> str | None:
    """Start a backfill of some partitions and return its id; None if there is nothing to do.

    Raises:
        RefusedError: nothing is meant, or it can't be run as things stand.
    """
    from nbpipe.kernel.backfilling import start_backfill

    return start_backfill(session, as_selection(asset), partitions=_texts(meant))


def _texts(meant: PartitionSubset) -> tuple[str, ...]:
    if not meant:
        raise RefusedError("nothing is selected: click a cell, or choose which of the selection are meant")
    return range_texts(meant)
