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
from pathlib import Path


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
    try:
        mine = set(Path("/proc/self/environ").read_bytes().split(b"\0"))
    except OSError:  # no such files on this system: what left the group is found by the next command
        return
    marks = {entry for entry in mine if entry.startswith((b"NBPIPE_RUN_ID=", b"NBPIPE_STEP="))}
    for folder in Path("/proc").iterdir() if len(marks) == 2 else ():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                if marks <= set((folder / "environ").read_bytes().split(b"\0")):
                    os.kill(int(folder.name), signal.SIGKILL)
