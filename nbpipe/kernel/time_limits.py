"""Bound one execution of a body in time.

Only the main thread of a Unix process can be interrupted; elsewhere the runner of a job enforces the limit from
outside.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from nbpipe.errors import ExecutionError


class BodyTimeoutError(ExecutionError):
    """The body took longer than its `--timeout`."""


@contextmanager
def time_limit(seconds: float | None, asset: str) -> Iterator[None]:
    """Raise inside the block when it takes longer than `seconds`.

    Raises:
        BodyTimeoutError: the limit has passed.
    """

    def expire(_frame: FrameType | None) -> None:
        raise _expired(seconds, asset)

    with _alarm(seconds, expire):
        yield


@asynccontextmanager
async def async_time_limit(seconds: float | None, asset: str, filename: str) -> AsyncIterator[None]:
    """Do what `time_limit` does for a block that awaits: the event loop itself is not interrupted.

    Args:
        seconds: the limit.
        asset: names what is limited.
        filename: of the code that may be interrupted while it computes.

    Raises:
        BodyTimeoutError: the limit has passed.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    late = False

    def expire(frame: FrameType | None) -> None:
        nonlocal late
        late = True
        while frame is not None:
            if frame.f_code.co_filename == filename:
                raise _expired(seconds, asset)
            frame = frame.f_back
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    with _alarm(seconds, expire):
        try:
            yield
        except asyncio.CancelledError:
            if not late or task is None:
                raise
            task.uncancel()
            raise _expired(seconds, asset) from None


@contextmanager
def _alarm(seconds: float | None, expire: Callable[[FrameType | None], None]) -> Iterator[None]:
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not usable:
        yield
        return
    previous = signal.signal(signal.SIGALRM, lambda _signal, frame: expire(frame))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _expired(seconds: float | None, asset: str) -> BodyTimeoutError:
    return BodyTimeoutError(f"asset {asset}: the body took longer than its --timeout of {seconds or 0:g} s")
