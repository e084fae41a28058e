"""Who a process is, told so that it can't be mistaken for a later one with the same number."""

from __future__ import annotations

import functools
import os
import socket
import sys
from pathlib import Path

import psutil

from nbpipe.core.records import WorkerId

#: Start times closer than this are the same: psutil derives them from a clock that is stepped now and then.
_SAME_START = 2.0


def this_worker() -> WorkerId:
    """Return the identity of this process."""
    return worker_of(os.getpid())


def worker_of(pid: int) -> WorkerId:
    """Return the identity of a running process of this machine.

    Raises:
        ProcessLookupError: there is no such process.
    """
    started = _started(pid)
    if started is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return WorkerId(host=_host(), boot_id=_boot_id(), pid_namespace=_pid_namespace(), pid=pid, started=started)


def is_alive(worker: WorkerId) -> bool | None:
    """Tell whether a worker's process runs; None if that can't be seen from here.

    A process of this machine's earlier boot is gone. Of another machine, or another pid namespace, nothing is known.
    """
    if worker.host != _host():
        return None
    if worker.boot_id != _boot_id():
        return False
    if worker.pid_namespace != _pid_namespace():
        return None
    started = _started(worker.pid)
    return started is not None and abs(started - worker.started) < _SAME_START


def _started(pid: int) -> float | None:
    """Return when a process started; a zombie has ended."""
    try:
        if sys.platform == "linux":
            # proc(5): after the name in parentheses come the state and, 19 fields later, ticks since boot,
            # which don't change when somebody sets the clock
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            return None if fields[0] in (b"Z", b"X") else int(fields[19]) / os.sysconf("SC_CLK_TCK")
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (OSError, psutil.Error):
        return None


@functools.cache
def _host() -> str:
    for file in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return f"{socket.gethostname()}:{Path(file).read_text(encoding='ascii').strip()[:12]}"
        except OSError:
            continue
    return socket.gethostname()


@functools.cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"{psutil.boot_time():.0f}"


@functools.cache
def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
