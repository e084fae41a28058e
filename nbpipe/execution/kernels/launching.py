"""Start and interrupt the process of a kernel, on each kind of system."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Windows knows no sockets in the file system that zeromq could use.
TRANSPORT = "tcp" if sys.platform == "win32" else "ipc"


def launch(
    command: list[str], *, cwd: str, environ: Mapping[str, str], log: Path
) -> tuple[subprocess.Popen[bytes], int, int]:
    """Start a process that leads a session of its own, and what it prints goes to a file.

    Returns:
        The process; the number that the reading end of a pipe has in it; and our end of that pipe, to be closed
        when the process has ended. Without such a pipe, on Windows, both are -1: there the kernel watches its
        parent by itself.

    Raises:
        OSError: it can't be started.
    """
    with log.open("wb") as output:
        if sys.platform == "win32":
            from jupyter_client.launcher import launch_kernel

            # it makes the event by which a kernel is interrupted there
            started = launch_kernel(
                command,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output.fileno(),
                stderr=output.fileno(),
            )
            return started, -1, -1
        watched, held = os.pipe()
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**environ, "JPY_PARENT_PID": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(watched,),
            )
        except BaseException:
            os.close(held)
            raise
        finally:
            os.close(watched)
        return process, watched, held


def interrupt(process: Any) -> None:
    """Raise KeyboardInterrupt in a kernel, and in programs that it started."""
    if sys.platform == "win32":
        from jupyter_client.win_interrupt import send_interrupt

        send_interrupt(process.win32_interrupt_event)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
