"""Measure what the execution of a body takes: seconds, memory; and bound it in time."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from nbpipe.errors import ExecutionError

_RESET_PEAK = "5"
"""Written to /proc/self/clear_refs it resets the peak resident size (proc(5), since Linux 4.0)."""


def reset_peak_memory() -> None:
    """Begin a new measurement of the peak, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return


def peak_memory() -> int | None:
    """Return the highest resident size of this process in bytes, since the reset where the system can."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class BodyTimeoutError(ExecutionError):
    """The body took longer than its `--timeout`."""


@contextmanager
def time_limit(seconds: float | None, asset: str) -> Iterator[None]:
    """Raise inside the block when it takes longer than `seconds`.

    Only the main thread of a Unix process can be interrupted like this; elsewhere the runner of a job
    enforces the limit from outside.

    Raises:
        BodyTimeoutError: the limit has passed.
    """
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not usable:
        yield
        return

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise BodyTimeoutError(f"asset {asset}: the body took longer than its --timeout of {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
