"""Keep a tree of processes in one's hand, on Linux: who ends, ends with all that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection
from pathlib import Path

from nbpipe import clock

#: prctl(2).
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
#: Seconds that killed processes have to be gone.
_MOMENT = 1.0

_prctl = ctypes.CDLL(None).prctl


def follow_to_death(parent: int) -> None:
    """Be killed when the parent ends; called right after the fork."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of what children leave behind, so that it can be found."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> set[int]:
    """Return the children of this process."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


def kill(pid: int) -> None:
    """Kill a child, and the group that it leads."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def clear(keep: Collection[int]) -> None:
    """Kill all children but some, and what they leave behind."""
    deadline = clock.monotonic() + _MOMENT
    while (others := children().difference(keep)) and clock.monotonic() < deadline:
        for pid in others:
            kill(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def ending(status: int) -> str:
    """Return in words how a process ended, given what `waitpid` said."""
    if os.WIFSIGNALED(status):
        try:
            name = signal.Signals(os.WTERMSIG(status)).name
        except ValueError:
            name = f"signal {os.WTERMSIG(status)}"
        return f"was ended by {name}"
    return f"ended with exit status {os.WEXITSTATUS(status)}"
