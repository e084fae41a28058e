"""A process for the sensors of one notebook: it executes the setup cells once, and is forked for each evaluation."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import select
import socket
import sys
import traceback
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import msgspec
from IPython.core.interactiveshell import InteractiveShell

from nbpipe import clock
from nbpipe.core.automation.evaluations import Evaluated, Evaluation, Program
from nbpipe.core.runs.tasks import encoded
from nbpipe.execution.framing import Frames, framed
from nbpipe.kernel.sensors.asking import evaluated, failed, without_secrets
from nbpipe.kernel.sensors.children import adopt_orphans, children, clear, ending, follow_to_death, kill
from nbpipe.kernel.sensors.messages import FromBranch, Outdated, Ready
from nbpipe.kernel.sensors.outputs import Output
from nbpipe.kernel.sensors.setup import NotebookSetup

#: Bytes of an answer; more is no answer.
_LONGEST_ANSWER = 64 << 20
_PIECE = 1 << 16


class Branch:
    """Serves the evaluations of sensors that share their setup cells."""

    def __init__(self, shell: InteractiveShell, program: Program, link: socket.socket, *, each_time: bool) -> None:
        """Execute the setup cells, and say so; with `each_time` leave that to each evaluation."""
        self._shell, self._link = shell, link
        last = next(reversed(sys.modules))
        self._setup = None if each_time else NotebookSetup(shell, program)
        self._own = children()
        self._running: dict[int, _Asking] = {}
        self._frames = Frames()
        keep = self._setup is None or not self._setup.failed
        threads = self._setup is not None and _has_threads()
        self._modules = {} if threads else _changed(_files_below(Path(program.root), _modules_after(last)))
        adopt_orphans()
        gc.collect()
        gc.freeze()  # the collector touches each object: shared memory would be copied
        self._say(Ready(keep=keep, threads=threads))

    def serve(self) -> None:
        """Serve until the trunk lets go; in a fork this ends the process."""
        while True:
            wanted = select.poll()
            wanted.register(self._link, select.POLLIN)
            for asking in self._running.values():
                for file in asking.files:
                    wanted.register(file, select.POLLIN)
            left = min((asking.deadline for asking in self._running.values()), default=None)
            wait = None if left is None else max(0.0, (left - clock.monotonic()) * 1000 + 1)
            ready = {file for file, _ in wanted.poll(wait)}
            for asking in list(self._running.values()):
                self._attend(asking, ready)
            if self._link.fileno() in ready and not self._heard():
                clear(())
                return

    def _heard(self) -> bool:
        try:
            piece = self._link.recv(_PIECE)
        except OSError:
            return False
        for message in self._frames.feed(piece):
            evaluation = msgspec.json.decode(message, type=Evaluation)
            if _changed(self._modules) != self._modules:
                self._say(Outdated(evaluation))
            else:
                self._start(evaluation)
        return bool(piece)

    def _start(self, evaluation: Evaluation) -> None:
        problem = "" if self._setup is None else self._setup.problem(evaluation.program)
        if problem:
            self._say(without_secrets(failed(evaluation, problem), evaluation))
            return
        asking = _Asking(evaluation, limit=evaluation.timeout * (1 if self._setup is not None else 2))
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be_asked(asking, parent)
        asking.began(pid)
        self._running[pid] = asking

    def _be_asked(self, asking: _Asking, parent: int) -> None:
        """Evaluate, in a process of its own, and end it."""
        code = 1
        try:
            follow_to_death(parent)
            os.setsid()
            adopt_orphans()
            own = os.getpid()
            for other in self._running.values():
                other.close()
            self._link.close()
            asking.take_output()
            _reseed()
            found = self._evaluated(asking.evaluation)
            if os.getpid() != own:  # the body forked, and this is the other one
                os._exit(0)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            asking.answer(encoded(found))
            code = 0
        except BaseException:  # noqa: BLE001 - a mistake of ours: what it printed tells
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)

    def _evaluated(self, evaluation: Evaluation) -> Evaluated:
        setup = self._setup or NotebookSetup(self._shell, evaluation.program)
        problem = setup.problem(evaluation.program)
        if problem:
            return without_secrets(failed(evaluation, problem), evaluation)
        return evaluated(self._shell, evaluation, setup.names(evaluation.program))

    def _attend(self, asking: _Asking, ready: set[int]) -> None:
        asking.read(ready)
        if asking.handle not in ready:
            if clock.monotonic() >= asking.deadline or asking.flooded:
                asking.stop()
            return
        _, status = os.waitpid(asking.pid, 0)
        del self._running[asking.pid]
        kill(asking.pid)  # its group: what it started and left behind
        clear({*self._own, *self._running})
        self._say(asking.result(status))
        asking.close()

    def _say(self, message: FromBranch) -> None:
        with contextlib.suppress(OSError):  # the trunk is gone, and this process will be in a moment
            self._link.sendall(framed(encoded(message)))


class _Asking:
    """One evaluation on its way; in the process that does it, and in the one that watches."""

    def __init__(self, evaluation: Evaluation, *, limit: float) -> None:
        self.evaluation = evaluation
        self._began = clock.monotonic()
        self.deadline = self._began + limit
        self.pid = 0
        self.handle = -1
        self._late = False
        self._output, self._output_end = os.pipe()
        self._answer, self._answer_end = os.pipe()
        self._printed = Output()
        self._said = bytearray()
        self._open = {self._output, self._answer}

    # --- in the process that evaluates ---

    def take_output(self) -> None:
        """Let what this process prints go to the one that watches."""
        for number in (1, 2):
            os.dup2(self._output_end, number)
        os.close(self._output)
        os.close(self._answer)
        os.set_inheritable(self._answer_end, False)  # noqa: FBT003 - positional only

    def answer(self, content: bytes) -> None:
        """Hand over what came of it."""
        view = memoryview(content)
        while view:
            view = view[os.write(self._answer_end, view) :]

    # --- in the process that watches ---

    def began(self, pid: int) -> None:
        """Watch a process."""
        self.pid, self.handle = pid, os.pidfd_open(pid)
        os.close(self._output_end)
        os.close(self._answer_end)
        self._output_end = self._answer_end = -1
        for file in (self._output, self._answer):
            os.set_blocking(file, False)

    @property
    def files(self) -> Iterable[int]:
        """What to wait for."""
        return (self.handle, *self._open)

    @property
    def flooded(self) -> bool:
        """There is more of an answer than anybody can want."""
        return len(self._said) > _LONGEST_ANSWER

    def stop(self) -> None:
        """Kill it: it takes too long, or says too much."""
        self._late = not self.flooded
        self.deadline = clock.monotonic() + 1.0  # should it not be gone by then
        kill(self.pid)

    def read(self, ready: set[int]) -> None:
        """Take in what has arrived; if the process has ended, all that there is."""
        for file in [file for file in self._open if file in ready or self.handle in ready]:
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(file, _PIECE):
                    self._take(file, piece)
                    if self.handle not in ready:
                        break  # others want to be read too
                else:
                    self._open.discard(file)

    def result(self, status: int) -> Evaluated:
        """Return what came of it, now that the process has ended."""
        program, evaluation = self.evaluation.program, self.evaluation
        where = f"{program.notebook}, cell {program.index + 1}"
        found = None
        if status == 0 and not self.flooded:
            with contextlib.suppress(msgspec.DecodeError):
                found = msgspec.json.decode(bytes(self._said), type=Evaluated)
        if found is None:
            error = f"{where}: the sensor's process {ending(status)} before it answered"
            if self.flooded:
                error = f"{where}: the answer is larger than {_LONGEST_ANSWER:,} bytes"
            elif self._late:
                error = f"{where}: the sensor took longer than its timeout of {evaluation.timeout:g} s"
            took = clock.monotonic() - self._began
            found = Evaluated(id=evaluation.id, status="timeout" if self._late else "failed", error=error, seconds=took)
        return without_secrets(msgspec.structs.replace(found, output=self._printed.text), evaluation)

    def close(self) -> None:
        """Let go of all files."""
        for file in (self._output, self._answer, self._output_end, self._answer_end, self.handle):
            if file >= 0:
                os.close(file)

    def _take(self, file: int, piece: bytes) -> None:
        if file == self._output:
            self._printed.add(piece)
        elif not self.flooded:
            self._said += piece


def _reseed() -> None:
    """Make anew what all forks would have in common."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed(int.from_bytes(os.urandom(4), "little"))  # a number of its own takes numpy longer


def _has_threads() -> bool:
    return len(os.listdir("/proc/self/task")) > 1  # noqa: PTH208 - names, not paths


def _modules_after(last: str) -> list[ModuleType]:
    """Return the modules imported after one; the others are left alone: to look at an object is to copy it."""
    return [sys.modules[name] for name in takewhile(lambda name: name != last, reversed(sys.modules))]


def _files_below(root: Path, modules: Iterable[ModuleType]) -> list[str]:
    """Return the files of the project's own modules."""
    files = (getattr(module, "__file__", None) for module in modules)
    below = f"{root}{os.sep}"
    return sorted({file for file in files if file and file.startswith(below) and "site-packages" not in file})


def _changed(files: Iterable[str]) -> dict[str, int]:
    """Return when each file was changed last."""
    found = {}
    for file in files:
        try:
            found[file] = os.stat(file).st_mtime_ns  # noqa: PTH116 - before each evaluation
        except OSError:
            found[file] = 0
    return found
