"""What a kernel does when the process that drives it is gone: end itself, and everything it started.

The driver holds one end of a pipe and the kernel the other. The system closes the driver's end when it dies,
however it dies, so the kernel learns of it at once and can't mistake another process for it.

The source of this file is executed inside kernels, also of environments without nbpipe: standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading


def watch(pipe: int) -> None:
    """Watch the reading end of a pipe that nobody ever writes to; when it ends, kill this process's group."""
    threading.Thread(target=_wait, args=(pipe,), name="nbpipe-watchdog", daemon=True).start()


def _wait(pipe: int) -> None:
    with contextlib.suppress(OSError):
        os.read(pipe, 1)
    _kill_marked()
    if os.getpgrp() == os.getpid():  # the kernel leads a session of its own: nothing else is in this group
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_marked() -> None:
    """Kill the processes of this step that left the group: they have inherited its environment."""
    marks = {f"{name}={os.environ[name]}".encode() for name in ("NBPIPE_RUN_ID", "NBPIPE_STEP") if name in os.environ}
    if len(marks) < 2 or not os.path.isdir("/proc/self"):
        return
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/environ", "rb") as environ:
                    inherited = marks <= set(environ.read().split(b"\0"))
                if inherited:
                    os.kill(int(entry), signal.SIGKILL)
