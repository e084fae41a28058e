"""What a retried run has to do."""

from __future__ import annotations

from nbpipe.core.ports import RunStore
from nbpipe.core.records import ACTIVE_RUN, Run
from nbpipe.errors import RefusedError


def left_to_do(store: RunStore, run: Run) -> dict[str, tuple[str, ...]]:
    """Return what did not succeed in a run: its assets in plan order, and the keys of those that have partitions."""
    found: dict[str, list[str]] = {}
    for each in store.run_assets(run.id):
        if not each.done:
            found.setdefault(each.asset, []).extend([each.partition] if each.partition else [])
    return {asset: tuple(keys) for asset, keys in found.items()}


def assets_to_retry(store: RunStore, run: Run, *, from_failure: bool) -> tuple[str, ...]:
    """Return the assets of a run to execute again: all, or those that did not succeed, in plan order.

    Raises:
        RefusedError: the run has not ended, or nothing is left to do.
    """
    if run.status in ACTIVE_RUN:
        raise RefusedError(f"run {run.id} is still {run.status}: wait for its end, or cancel it")
    if not from_failure:
        return run.assets
    left = tuple(left_to_do(store, run))
    if not left and run.assets:
        raise RefusedError(f"all assets of run {run.id} succeeded: retry it without --from-failure")
    return left
