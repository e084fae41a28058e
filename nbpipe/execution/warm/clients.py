"""Ask a warm process for a fork, and hold what comes back."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from nbpipe.execution.kernels.local import UNSEEN
from nbpipe.execution.warm.environments import NotWarmError, WarmEnvironment, socket_of
from nbpipe.execution.warm.messages import Ended, Fork, Forked, Refused, close_all, peer, receive_answer, send

#: Seconds; it answers within milliseconds unless the machine is very busy.
_PATIENCE = 10.0
#: Limits that a process has from the one that started it, getrlimit(2).
_LIMITS = tuple(sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}))


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What a fork is to become."""

    module: str
    arguments: tuple[str, ...] = ()
    cwd: str
    environ: Mapping[str, str]
    marks: Mapping[str, str] = MappingProxyType({})
    """Variables by which others find the process."""
    limits: Mapping[int, tuple[int, int]] = MappingProxyType({})
    """Soft and hard limits by their number in `resource`, other than those of this process."""
    memory: int | None = None
    """Bytes that it may take beyond what the warm process has."""


class ForkedProcess:
    """A process that a warm one has forked, with the manners of `subprocess.Popen`."""

    def __init__(self, connection: socket.socket, pid: int, handle: int) -> None:
        """Take over the connection and the handle (pidfd)."""
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection
        self._handle = handle
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._result(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, return the exit code, and let the number of the process be used again.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        code = self._result(timeout)
        with self._lock:
            self._connection.close()
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1
        return code

    def kill(self) -> None:
        """Kill it, if it runs."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end, if it runs."""
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        with self._lock:
            if self._handle >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._handle, number)

    def _result(self, timeout: float | None) -> int:
        if self.returncode is not None:
            return self.returncode
        ended = select.poll()
        ended.register(self._handle, select.POLLIN)
        if not ended.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        with self._lock:
            if self.returncode is None:
                self.returncode = self._said()
            return self.returncode

    def _said(self) -> int:
        """Return how the process ended; only its parent can tell."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            answer, files = receive_answer(self._connection)
            close_all(files)
            if isinstance(answer, Ended):
                return answer.code
        return UNSEEN


def connect(environment: WarmEnvironment) -> socket.socket:
    """Connect to the warm process of an environment.

    Raises:
        NotWarmError: there is none.
    """
    place = socket_of(environment)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(_PATIENCE)
        connection.connect(place)
        pid, user = peer(connection)
    except OSError as error:
        connection.close()
        raise NotWarmError("there is no warm process") from error
    if user != os.getuid() or not pid:
        connection.close()
        raise NotWarmError("the warm process is another user's, or another container's")
    return connection


def fork(environment: WarmEnvironment, program: Program, *, log: Path, lifeline: int | None) -> ForkedProcess:
    """Have a warm process forked, which becomes a program with this process's limits.

    Args:
        environment: whose warm process.
        program: what the fork becomes.
        log: file for what it prints.
        lifeline: the reading end of a pipe: the program ends when the pipe does, or when the result of this call
            is let go; None: it goes on whatever happens to this process.

    Raises:
        NotWarmError: no warm process can do it.
    """
    request = Fork(
        module=program.module,
        arguments=program.arguments,
        cwd=program.cwd,
        environ=program.environ,
        marks=program.marks,
        umask=_umask(),
        limits={number: resource.getrlimit(number) for number in _LIMITS} | dict(program.limits),
        memory=program.memory,
        cores=tuple(sorted(os.sched_getaffinity(0))),
        niceness=os.getpriority(os.PRIO_PROCESS, 0),
        tied=lifeline is not None,
    )
    connection = connect(environment)
    try:
        with log.open("wb") as output:
            return _forked(connection, request, [output.fileno(), *([] if lifeline is None else [lifeline])])
    except BaseException as error:
        connection.close()
        if isinstance(error, (OSError, msgspec.DecodeError)):
            raise NotWarmError(f"the warm process did not answer: {error}") from error
        raise


def _forked(connection: socket.socket, request: Fork, files: Sequence[int]) -> ForkedProcess:
    send(connection, request, files)
    answer, received = receive_answer(connection)
    if isinstance(answer, Forked) and len(received) == 1:
        return ForkedProcess(connection, answer.pid, received[0])
    close_all(received)
    raise NotWarmError(answer.reason if isinstance(answer, Refused) else "the warm process has ended")


def _umask() -> int:
    """Return this process's mask; changing it to read it would let other threads create files for everybody."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022
