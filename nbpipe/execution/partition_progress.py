"""Tells how many partitions of a run have ended, while kernels note each of them in the store."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping

from nbpipe import clock
from nbpipe.core.ports import ProgressListener, StateStore
from nbpipe.core.records import Counted
from nbpipe.core.runs.tasks import RunProgress
from nbpipe.errors import NbpipeError

#: Seconds between two looks, at least; and how many times as long as a look takes.
_PERIOD, _SHARE = 0.3, 20.0


@contextlib.contextmanager
def telling(
    store: StateStore, run_id: str, partitions: Mapping[str, tuple[str, ...]], on_event: ProgressListener
) -> Iterator[None]:
    """Tell of the partitions of a run whenever some have ended; of a run without, nothing.

    Args:
        store: where their outcomes are.
        run_id: the run.
        partitions: see `RunPlan.partitions`.
        on_event: who is told, from another thread.
    """
    if not partitions:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(
        target=_watch, args=(store, run_id, partitions, on_event, stop), name="nbpipe-partitions", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(
    store: StateStore,
    run_id: str,
    partitions: Mapping[str, tuple[str, ...]],
    on_event: ProgressListener,
    stop: threading.Event,
) -> None:
    known: Mapping[str, Mapping[Counted, int]] = {}
    period, last = 0.0, False
    while not last:
        last = stop.wait(period)
        began = clock.monotonic()
        with contextlib.suppress(NbpipeError):  # telling must not disturb the work
            counts = store.outcome_counts(run_id)
            found = {key: counts[key] for key in partitions if key in counts}
            if found != known:
                known = found
                on_event(RunProgress(run_id=run_id, kind="partitions_ended", at=clock.now(), counts=found))
        period = max(_PERIOD, _SHARE * (clock.monotonic() - began))
