"""A kernel whose process runs on this machine, however it came to be."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from nbpipe import settings
from nbpipe.core.records import WorkerId
from nbpipe.execution.kernels.connections import Connection
from nbpipe.execution.kernels.launching import interrupt
from nbpipe.execution.processes import descendants, kill_all, kill_group, marked
from nbpipe.execution.workers import this_worker, worker_of

#: The exit code of a process whose end nobody saw.
UNSEEN = 1 << 16
#: Begins the last line that ipykernel prints when it starts: how to connect another client.
_GREETING = "    --existing "


class Process(Protocol):
    """What is asked of a kernel's process: a part of `subprocess.Popen`. Its number stays its own until `wait`."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """

    def kill(self) -> None:
        """Kill it, if it runs."""


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """A process that leads a session of its own, or will do so in a moment."""

    process: Any
    """A `Process`."""
    lifeline: int = -1
    """In the process, the reading end of a pipe that it is to watch; -1: it needs none."""
    held: int = -1
    """Our end of that pipe, or -1."""


class LocalKernel:
    """A kernel process that leads a session of its own."""

    def __init__(
        self, connection: Connection, launched: Launched, *, language: str, environ: Mapping[str, str]
    ) -> None:
        """Take over a process, and the folder of its connection.

        Args:
            connection: how it is reached.
            launched: the process.
            language: its programming language in lower case.
            environ: what was asked for; the marks of a run's step among it identify what the kernel starts.
        """
        self._folder = connection.folder
        self._marks = {name: value for name, value in environ.items() if name in (settings.RUN_ID, settings.STEP)}
        self.language = language
        self.connection = connection.info
        self._process: Process = launched.process
        self.lifeline, self._held = launched.lifeline, launched.held
        self.worker = _identity(self._process.pid)
        self._ended = False

    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell that executes, and in programs that it started."""
        if self.alive():
            interrupt(self._process)

    def shutdown(self, grace: float) -> None:
        """Wait up to `grace` seconds for the kernel's own end, then kill it; then kill everything that it started."""
        if self._ended:
            return
        self._ended = True
        started = descendants(self._process.pid)
        _await_end(self._process, grace)
        kill_group(self._process.pid)
        self._process.kill()  # it may not have come to lead its group yet
        self._process.wait()
        kill_all(started)
        if self._marks:
            kill_all(marked(self._marks))
        if self._held >= 0:
            os.close(self._held)
        shutil.rmtree(self._folder, ignore_errors=True)

    def obituary(self) -> str:
        """Return how the process ended and its last words, for an error message."""
        how = _ending(self._process.poll())
        with contextlib.suppress(OSError):
            text = (self._folder / "kernel.log").read_bytes()[-2000:].decode(errors="replace")
            how += _last_words(text)
        return how


def _await_end(process: Process, grace: float) -> None:
    """Wait up to `grace` seconds; where the system can tell of the end, without looking every 50 ms."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # an old kernel, or a sandbox that forbids it
            handle = os.pidfd_open(process.pid)
            try:
                ended = select.poll()
                ended.register(handle, select.POLLIN)
                ended.poll(grace * 1000)
            finally:
                os.close(handle)
            grace = 0.0
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)


def _last_words(text: str) -> str:
    """Return the last line that a kernel printed, if any; what it says when it starts is none."""
    _, greeting, rest = text.rpartition(_GREETING)
    said = (rest.partition("\n")[2] if greeting else text).strip()
    return "; its last words: " + said.splitlines()[-1] if said else ""


def _ending(code: int | None) -> str:
    if code is None:
        return "it still runs"
    if code == UNSEEN:
        return "it ended, and how was not seen: the warm process that it came from is gone too"
    if code >= 0:
        return f"it ended with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (often the system's answer to too little memory)" if name == "SIGKILL" else ""
    return f"it was ended by {name}{hint}"


def _identity(pid: int) -> WorkerId:
    try:
        return worker_of(pid)
    except ProcessLookupError:  # it ended at once; why, is seen when it is asked for its first answer
        return msgspec.structs.replace(this_worker(), pid=pid, started=0.0)
