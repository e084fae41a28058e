"""What a run that has ended means for the partitions of its backfill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nbpipe.core.backfills.records import Portion
from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.core.partitions.subsets import Families, compact, difference, families_of, union
from nbpipe.core.records import Run, RunAsset
from nbpipe.execution.reconcile import GONE


def became(
    run: Run,
    rows: Sequence[RunAsset],
    requested: Mapping[str, Families],
    sets: Mapping[str, PartitionSet],
    *,
    stopping: bool,
) -> tuple[Mapping[str, Portion], tuple[RunAsset, ...]]:
    """Return what is done, failed and skipped in a run, by asset, and the rows of what failed.

    What is in none of these is to run again: what had not begun, and what a process that vanished, or a request to
    stop, has interrupted. In a run that got nowhere everything has failed, or it would be tried for ever.

    Args:
        run: as it ended.
        rows: what became of its assets and partitions.
        requested: what it was to execute, by asset.
        sets: partitions of its assets; `WHOLE` for none.
        stopping: it was the backfill that was asked to stop.
    """
    done = [row for row in rows if row.outcome in ("success", "unchanged")]
    skipped = [row for row in rows if row.outcome == "skipped" and row.done]
    failed = [row for row in rows if row.outcome == "failed" and row.error != GONE]
    interrupted = run.error == GONE or (run.status == "canceled" and stopping)
    if not (interrupted or done or skipped or failed):
        lost = tuple(row for row in rows if not row.done)
        return {asset: Portion(requested={}, failed=families) for asset, families in requested.items()}, lost
    if run.status == "canceled" and not stopping:  # a person wanted this one not to run
        failed += [row for row in rows if row.outcome == "canceled"]
    parts = {"done": _families(done, sets), "skipped": _families(skipped, sets), "failed": _families(failed, sets)}
    found = {
        asset: Portion(requested={}, **{name: families[asset] for name, families in parts.items() if asset in families})
        for asset in requested
    }
    return found, tuple(failed)


def objection(run: Run, ended: Mapping[str, Portion], requested: Mapping[str, Families]) -> str | None:
    """Return why a backfill fails for a run whose partitions are all stored or skipped; None: it does not fail.

    What is stored is right and stays, but the cell has failed after it: its author has to know.
    """
    if run.status != "failure" or run.error == GONE:
        return None
    for asset, families in requested.items():
        portion = ended.get(asset, Portion(requested={}))
        if compact(difference(families, union(portion.done, portion.skipped))):
            return None
    reason = (run.error or "no reason is known").strip().partition("\n")[0]
    return f"run {run.id} failed, though all of its partitions are stored: {reason}"


def requested_of(rows: Iterable[RunAsset], sets: Mapping[str, PartitionSet]) -> Mapping[str, Families]:
    """Return the partitions that a run was to execute, by asset."""
    return _families(rows, sets)


def _families(rows: Iterable[RunAsset], sets: Mapping[str, PartitionSet]) -> dict[str, Families]:
    """Return the partitions of rows by asset."""
    keys: dict[str, list[str]] = {}
    for row in rows:
        if row.asset in sets and sets[row.asset].is_valid(row.partition):  # a key may have been deleted meanwhile
            keys.setdefault(row.asset, []).append(row.partition)
    return {asset: families_of(map(sets[asset].position, found)) for asset, found in keys.items()}
