"""End processes with everything that they started."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil


def kill_group(pid: int) -> None:
    """Kill the process group that `pid` leads; it is no error if there is none any more."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)


def descendants(pid: int) -> list[psutil.Process]:
    """Return the processes that `pid` started, directly or not, as far as their parents still live."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def marked(marks: Mapping[str, str]) -> list[psutil.Process]:
    """Return this user's processes whose environment holds all of `marks`, except this process.

    It finds what left its session and whose parent has ended: both would hide it from a walk of the tree.
    """
    wanted = [f"{name}={value}".encode() for name, value in marks.items()]
    found = []
    for pid in psutil.pids():
        if pid != os.getpid() and _has(pid, wanted, marks):
            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(pid))
    return found


def kill_all(processes: Iterable[psutil.Process], *, wait: float = 2.0) -> None:
    """Kill processes and wait until they are gone, at most `wait` seconds."""
    gone = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
            gone.append(process)
    if gone:
        psutil.wait_procs(gone, timeout=wait)


def _has(pid: int, wanted: list[bytes], marks: Mapping[str, str]) -> bool:
    try:
        environ = set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
        return all(mark in environ for mark in wanted)
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
    except OSError:
        return False
    try:
        theirs = psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return False
    return all(theirs.get(name) == value for name, value in marks.items())
