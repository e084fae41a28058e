"""Processes in which sensors are asked: one for each environment of notebooks, never this one.

On Linux it lives as long as its owner and forks (`nbpipe.kernel.sensors`); elsewhere each evaluation has a process of
its own. Answers arrive in other threads.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from nbpipe import settings
from nbpipe.core.automation.evaluations import PROTOCOL, Evaluated, Evaluation, Hello
from nbpipe.core.runs.tasks import DEFAULT_KERNEL, encoded
from nbpipe.errors import ExecutionError, NbpipeError
from nbpipe.execution.framing import Frames, framed
from nbpipe.execution.kernels.connections import kernel_command
from nbpipe.execution.private_folders import private_folder
from nbpipe.execution.processes import kill_all, kill_group, marked
from nbpipe.execution.requests import stable_hashes
from nbpipe.execution.warm.environments import WarmEnvironment, kernel_environment
from nbpipe.execution.warm.preloading import QUIET

#: By this variable, everything that an evaluation starts is found.
MARK = "NBPIPE_SENSORS"
#: Evaluations at once, where each has a process of its own.
_MOST = 4
#: Seconds that a process has beyond the limits of what it evaluates: to start, and to answer.
_GRACE = 30.0
_PIECE = 1 << 16

Done = Callable[[Evaluated], None]


class SensorProcesses:
    """Asks sensors; each question gets one answer, whatever happens."""

    def __init__(self, done: Done, *, lasting: bool = sys.platform == "linux") -> None:
        """Begin without processes; they start when they are needed.

        Args:
            done: called with each answer, from other threads.
            lasting: keep a process for many evaluations, which takes Linux.
        """
        self._done, self._lasting = done, lasting
        self._trunks: dict[tuple[str, str], _Trunk] = {}
        self._single: ThreadPoolExecutor | None = None
        self._single_marks: set[str] = set()
        self._closed = False

    def ask(self, evaluation: Evaluation) -> None:
        """Have a sensor asked; return at once."""
        if not self._lasting:
            if self._single is None:
                self._single = ThreadPoolExecutor(_MOST, thread_name_prefix="nbpipe-sensor")
            self._single.submit(self._ask_alone, evaluation)
            return
        program = evaluation.program
        place = (program.env, program.kernel or DEFAULT_KERNEL)
        trunk = self._trunks.get(place)
        if trunk is None or not trunk.take(evaluation):
            self._trunks[place] = trunk = _Trunk(place[0], place[1], self._answered)
            trunk.take(evaluation)

    def pids(self) -> list[int]:
        """Return the numbers of the lasting processes."""
        return [trunk.pid for trunk in self._trunks.values() if trunk.pid]

    def close(self) -> None:
        """End all processes; what was not answered never is."""
        self._closed = True
        for trunk in self._trunks.values():
            trunk.close()
        if self._single is not None:
            self._single.shutdown(wait=False, cancel_futures=True)
            for mark in list(self._single_marks):
                kill_all(marked({MARK: mark}))
            self._single.shutdown()

    def _answered(self, found: Evaluated) -> None:
        if not self._closed:
            self._done(found)

    def _ask_alone(self, evaluation: Evaluation) -> None:
        mark = f"{os.getpid()}-{evaluation.id}"
        self._single_marks.add(mark)
        try:
            self._answered(asked_alone(evaluation, mark=mark))
        finally:
            self._single_marks.discard(mark)


def asked_alone(evaluation: Evaluation, *, mark: str) -> Evaluated:
    """Ask a sensor in a process that does nothing else, and wait for its answer.

    Args:
        evaluation: whom to ask.
        mark: a word by which everything that it starts is found.
    """
    program = evaluation.program
    where = f"{program.notebook}, cell {program.index + 1}"
    limit = 2 * evaluation.timeout + _GRACE
    process: subprocess.Popen[bytes] | None = None
    # files, not pipes: what the sensor starts may hold on to them
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as words:
        question.write(encoded(evaluation))
        question.seek(0)
        try:
            process = subprocess.Popen(
                _command(program.kernel or DEFAULT_KERNEL, "alone"),
                env=_environ(program.env, mark, program.kernel or DEFAULT_KERNEL),
                stdin=question,
                stdout=answer,
                stderr=words,
                start_new_session=True,
            )
            process.wait(limit)
            answer.seek(0)
            return msgspec.json.decode(answer.read(), type=Evaluated)
        except subprocess.TimeoutExpired:
            error = f"the sensor took longer than its timeout of {evaluation.timeout:g} s"
            return Evaluated(id=evaluation.id, status="timeout", error=f"{where}: {error}")
        except msgspec.DecodeError:
            words.seek(0)
            error = _last_line(words.read().decode(errors="replace")) or "its process ended before it answered"
        except (OSError, NbpipeError) as problem:
            error = str(problem)
        finally:
            if process is not None:
                kill_group(process.pid)
                kill_all(marked({MARK: mark}))
                process.wait()
    return Evaluated(id=evaluation.id, status="failed", error=f"{where}: {error}")


class _Trunk:
    """A process that lasts, and the thread that talks with it."""

    def __init__(self, env: str, kernel: str, done: Done) -> None:
        self._env, self._kernel, self._done = env, kernel, done
        self.pid = 0
        self._mark = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._lock = threading.Lock()
        self._over = False
        self._pending: deque[Evaluation] = deque()
        self._asked: dict[str, Evaluation] = {}
        self._bell, self._rung = socket.socketpair()
        self._folder = private_folder()
        self._thread = threading.Thread(target=self._work, name="nbpipe-sensors", daemon=True)
        self._thread.start()

    def take(self, evaluation: Evaluation) -> bool:
        """Take an evaluation; False if the process is gone."""
        with self._lock:
            if self._over:
                return False
            self._pending.append(evaluation)
            self._bell.send(b"!")
        return True

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if not self._over:
                self._bell.send(b".")
        self._thread.join()

    def _work(self) -> None:
        error = "the process in which sensors are asked has ended"
        process: subprocess.Popen[bytes] | None = None
        try:
            link, process = self._started()
            with link:
                self._talk(link)
            error = self._ending(process, error)
        except (OSError, ValueError, NbpipeError) as problem:  # it can't be started, or does not speak our language
            error = str(problem)
        finally:
            self._end(process)
            self._give_up(error)

    def _started(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        with theirs, self._log.open("ab") as log:  # to append: it may be emptied, see `kernel.sensors.trunk`
            try:
                process = subprocess.Popen(
                    [*_command(self._kernel, "trunk"), str(theirs.fileno())],
                    env=_environ(self._env, self._mark, self._kernel),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),),
                )
            except BaseException:
                ours.close()
                raise
        self.pid = process.pid
        return ours, process

    def _talk(self, link: socket.socket) -> None:
        """Pass on questions and answers until one side ends."""
        frames = Frames()
        outgoing = bytearray()
        link.setblocking(False)  # noqa: FBT003 - the name says it
        with selectors.DefaultSelector() as selector:
            selector.register(self._rung, selectors.EVENT_READ)
            selector.register(link, selectors.EVENT_READ)
            while True:
                for key, events in selector.select():
                    if key.fileobj is self._rung:
                        if b"." in self._rung.recv(_PIECE):
                            return
                        outgoing += self._questions()
                    elif events & selectors.EVENT_READ and not self._heard(link, frames):
                        return
                if outgoing:
                    with contextlib.suppress(BlockingIOError):
                        del outgoing[: link.send(outgoing)]
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if outgoing else 0)
                selector.modify(link, wanted)

    def _questions(self) -> bytes:
        with self._lock:
            found = list(self._pending)
            self._pending.clear()
            self._asked.update((evaluation.id, evaluation) for evaluation in found)
        return b"".join(framed(encoded(evaluation)) for evaluation in found)

    def _heard(self, link: socket.socket, frames: Frames) -> bool:
        try:
            piece = link.recv(_PIECE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for message in frames.feed(piece):
            said = msgspec.json.decode(message, type=Hello | Evaluated)
            if isinstance(said, Hello):
                _check_protocol(self._kernel, said.protocol)
            elif self._asked.pop(said.id, None) is not None:
                self._done(said)
        return bool(piece)

    def _ending(self, process: subprocess.Popen[bytes], error: str) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(1.0)
            words = _last_line(self._log.read_text(encoding="utf-8", errors="replace")) if code else ""
            return (
                f"{error} ({f'signal {-code}' if code < 0 else f'exit status {code}'}){f': {words}' if words else ''}"
            )
        return error

    def _end(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is not None:
            kill_group(process.pid)
            kill_all(marked({MARK: self._mark}))
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _give_up(self, error: str) -> None:
        """Answer for what the process did not."""
        with self._lock:
            self._over = True
            left = [*self._asked.values(), *self._pending]
        self._bell.close()
        self._rung.close()
        for evaluation in left:
            program = evaluation.program
            where = f"{program.notebook}, cell {program.index + 1}"
            self._done(Evaluated(id=evaluation.id, status="failed", error=f"{where}: {error}"))

    @property
    def _log(self) -> Path:
        return self._folder / "log"


def _check_protocol(kernel: str, protocol: int) -> None:
    if protocol != PROTOCOL:
        raise ExecutionError(
            f"the nbpipe of kernel {kernel!r} speaks protocol {protocol} of sensors instead of {PROTOCOL}: install the "
            "same version there"
        )


def _interpreter(kernel: str) -> WarmEnvironment:
    """Return the program of a kernel's environment.

    Raises:
        RefusedError: there is no such kernel.
        NotWarmError: it is not started by Python itself.
    """
    spec = kernel_command(kernel)
    return kernel_environment(spec, {})[0]


def _command(kernel: str, module: str) -> list[str]:
    environment = _interpreter(kernel)
    return [environment.interpreter, *environment.options, "-m", f"nbpipe.kernel.sensors.{module}"]


def _environ(env: str, mark: str, kernel: str) -> Mapping[str, str]:
    about = {settings.ENVIRONMENT: env, MARK: mark, **QUIET}
    return {**settings.inherited(), **stable_hashes(), **kernel_command(kernel).environ, **about}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:500] if lines else ""
