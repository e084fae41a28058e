"""The process in which the sensors of an environment are asked: `python -m nbpipe.kernel.sensors.trunk FILE`.

It executes no code of a notebook itself, so that it always listens: it forks a branch for each notebook, hands it what
is to be asked, and puts an end to those that take too long. FILE is the number of the socket to the process that asks.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import select
import socket
import sys
from collections import deque

import msgspec
from IPython.core.interactiveshell import InteractiveShell

from nbpipe import clock
from nbpipe.core.automation.evaluations import PROTOCOL, Evaluated, Evaluation, Hello, Program
from nbpipe.core.runs.tasks import encoded
from nbpipe.execution.framing import Frames, framed
from nbpipe.execution.warm.pages import ready_to_fork
from nbpipe.execution.warm.preloading import LIBRARIES, imported
from nbpipe.kernel.sensors.asking import failed
from nbpipe.kernel.sensors.branch import Branch
from nbpipe.kernel.sensors.children import adopt_orphans, clear, ending, follow_to_death, kill
from nbpipe.kernel.sensors.messages import FromBranch, Outdated, Ready
from nbpipe.kernel.sensors.renewing import Imported, begin_anew, unheard
from nbpipe.kernel.sensors.setup import new_shell

#: Branches that are kept, and evaluations at once.
MOST = 4
#: Seconds after which setup cells are executed anew: they may read files, dates, or tokens that expire.
_OLDEST = 600.0
#: Seconds after which a branch that nobody asks goes.
_LONGEST_REST = 300.0
#: Seconds that one waits whose notebook has no branch, before those that have one have to wait for it.
_PATIENCE = 1.0
#: Seconds beyond the limits after which a branch itself is taken to hang.
_GRACE = 10.0
_PIECE = 1 << 16
#: Bytes.
_LONGEST_LOG = 1 << 20
#: Names of nbpipe in a notebook that read stored values: what that takes is imported once for all.
_READS = re.compile(r"\bnbpipe\.(?!RunRequest|SkipReason|PartitionsRequest)[a-z]|^\s*from nbpipe import", re.MULTILINE)
_STORES = ("nbpipe.commands.api", "nbpipe.commands.references", "nbpipe.io.registry", "nbpipe.storage.sqlite")


class _Kept:
    """A branch, as the trunk sees it."""

    def __init__(self, key: str, pid: int, link: socket.socket, limit: float) -> None:
        self.key, self.pid, self.link = key, pid, link
        self.began = self.used = clock.monotonic()
        self.took = 0.0
        """Seconds that its setup cells took."""
        self.ready = False
        self.spent = False
        """It is not asked again."""
        self.deadline = self.began + limit
        self.asked: dict[str, tuple[Evaluation, float]] = {}
        """What it is busy with, by id, and until when."""
        self.frames = Frames()

    @property
    def old(self) -> bool:
        """It is time for another one."""
        now = clock.monotonic()
        return self.spent or now - self.began > _OLDEST or now - self.used > _LONGEST_REST


class Trunk:
    """Forks branches and passes on what they say."""

    def __init__(self, link: socket.socket, shell: InteractiveShell) -> None:
        """Serve the process on the other side of `link`."""
        self._link, self._shell = link, shell
        self._frames = Frames()
        self._waiting: deque[tuple[Evaluation, float]] = deque()
        self._branches: dict[str, _Kept] = {}
        self._each_time: set[str] = set()
        self._parent = os.getpid()
        self._imported = Imported()

    def serve(self) -> tuple[Program, socket.socket, bool] | None:
        """Serve until the other side is gone; in a fork, return what it is to be a branch of."""
        self._send(encoded(Hello(protocol=PROTOCOL, pid=os.getpid())))
        while True:
            wanted = select.poll()
            wanted.register(self._link, select.POLLIN)
            for branch in self._branches.values():
                wanted.register(branch.link, select.POLLIN)
            ready = {file for file, _ in wanted.poll(self._wait())}
            for branch in list(self._branches.values()):
                if branch.link.fileno() in ready:
                    self._hear_branch(branch)
            self._stop_late()
            if self._link.fileno() in ready and not self._hear():
                return None
            for branch in [each for each in self._branches.values() if each.old and not each.asked]:
                self._let_go(branch)
            fork = None if self._imported.outdated else self._dispatch()
            if fork is not None:
                return fork
            if self._imported.outdated:
                self._begin_anew()

    def take(self, piece: bytes) -> None:
        """Take what the process that asks has sent."""
        now = clock.monotonic()
        for message in self._frames.feed(piece):
            self._waiting.append((msgspec.json.decode(message, type=Evaluation), now))

    def _begin_anew(self) -> None:
        """Let a process with the modules of now take over, when nobody is asked any more."""
        for branch in [each for each in self._branches.values() if not each.asked]:
            self._let_go(branch)
        if not self._branches:
            left = [framed(encoded(evaluation)) for evaluation, _ in self._waiting]
            begin_anew(self._link.fileno(), b"".join([*left, self._frames.incomplete]))

    # --- the process that asks ---

    def _hear(self) -> bool:
        try:
            piece = self._link.recv(_PIECE)
        except OSError:
            return False
        self.take(piece)
        return bool(piece)

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone, which is seen in a moment
            self._link.sendall(framed(message))

    def _fail(self, evaluation: Evaluation, error: str, *, late: bool = False) -> None:
        where = f"{evaluation.program.notebook}, cell {evaluation.program.index + 1}"
        found = failed(evaluation, f"{where}: {error}")
        self._send(encoded(msgspec.structs.replace(found, status="timeout") if late else found))

    # --- branches ---

    def _dispatch(self) -> tuple[Program, socket.socket, bool] | None:
        """Hand out what waits; return in a new branch what it is for."""
        busy = sum(len(branch.asked) for branch in self._branches.values())
        later: deque[tuple[Evaluation, float]] = deque()
        patience = True
        while self._waiting and busy < MOST:
            evaluation, since = self._waiting.popleft()
            branch = self._branches.get(evaluation.program.key)
            if branch is not None and branch.ready and not branch.spent and patience:
                self._ask(branch, evaluation)
                busy += 1
                continue
            later.append((evaluation, since))
            if branch is None and self._has_room():
                self._waiting.extendleft(reversed(later))
                return None if self._imported.look() else self._fork(evaluation)
            if branch is None or branch.spent:
                patience = patience and clock.monotonic() - since < _PATIENCE
        self._waiting.extendleft(reversed(later))
        return None

    def _has_room(self) -> bool:
        """Make room for one more branch, if there is none: the one that is made anew at the least cost goes."""
        if len(self._branches) < MOST:
            return True
        idle = [branch for branch in self._branches.values() if branch.ready and not branch.asked]
        if not idle:
            return False
        self._let_go(min(idle, key=lambda branch: (branch.took, branch.used)))
        return True

    def _fork(self, evaluation: Evaluation) -> tuple[Program, socket.socket, bool] | None:
        """Fork a branch; return in it what it is for."""
        program = evaluation.program
        if _preload(program):
            self._imported.extend()
            ready_to_fork()
        ours, theirs = socket.socketpair()
        each_time = program.key in self._each_time
        empty_long_log()
        pid = os.fork()
        if pid == 0:
            follow_to_death(self._parent)
            os.setsid()
            ours.close()
            self._link.close()
            for branch in self._branches.values():
                branch.link.close()
            return program, theirs, each_time
        theirs.close()
        self._branches[program.key] = _Kept(program.key, pid, ours, evaluation.timeout)
        return None

    def _ask(self, branch: _Kept, evaluation: Evaluation) -> None:
        now = clock.monotonic()
        limit = evaluation.timeout * (2 if branch.key in self._each_time else 1) + _GRACE
        branch.asked[evaluation.id] = (evaluation, now + limit)
        branch.used = now
        with contextlib.suppress(OSError):  # it is gone, which is seen in a moment
            branch.link.sendall(framed(encoded(evaluation)))

    def _hear_branch(self, branch: _Kept) -> None:
        try:
            piece = branch.link.recv(_PIECE)
        except OSError:
            piece = b""
        if not piece:
            self._lost(branch, "")
            return
        for message in branch.frames.feed(piece):
            self._said(branch, msgspec.json.decode(message, type=FromBranch), message)

    def _said(self, branch: _Kept, said: FromBranch, message: bytes) -> None:
        if isinstance(said, Evaluated):
            if branch.asked.pop(said.id, None) is not None:
                self._send(message)
        elif isinstance(said, Outdated):
            branch.asked.pop(said.evaluation.id, None)
            branch.spent = True
            self._waiting.appendleft((said.evaluation, clock.monotonic()))
        elif said.threads:
            self._each_time.add(branch.key)
            self._let_go(branch)
        else:
            self._is_ready(branch, said)

    def _is_ready(self, branch: _Kept, said: Ready) -> None:
        branch.ready, branch.took = True, clock.monotonic() - branch.began
        if said.keep:
            return
        for waiting in [each for each in self._waiting if each[0].program.key == branch.key]:
            self._waiting.remove(waiting)
            self._ask(branch, waiting[0])  # it says at once what is wrong
        branch.spent = True

    def _stop_late(self) -> None:
        now = clock.monotonic()
        for branch in list(self._branches.values()):
            if not branch.ready and now > branch.deadline:
                self._lost(branch, "the cells above took longer than the sensor's timeout", late=True)
            elif any(now > until for _, until in branch.asked.values()):
                self._lost(branch, "the process of its notebook does not answer", late=True)

    def _lost(self, branch: _Kept, error: str, *, late: bool = False) -> None:
        """Tell those who wait for a branch that it is gone."""
        status = self._let_go(branch)
        error = error or f"the process of its notebook {ending(status)}"
        asked = [evaluation for evaluation, _ in branch.asked.values()]
        if not branch.ready:
            asked += [evaluation for evaluation, _ in self._waiting if evaluation.program.key == branch.key]
            self._waiting = deque(each for each in self._waiting if each[0].program.key != branch.key)
            error = f"{error} (in a cell above)" if not late else error
        for evaluation in asked:
            self._fail(evaluation, error, late=late)

    def _let_go(self, branch: _Kept) -> int:
        """End a branch and all that it started; return how it ended."""
        del self._branches[branch.key]
        branch.link.close()
        found, status = os.waitpid(branch.pid, os.WNOHANG)
        kill(branch.pid)
        if not found:
            _, status = os.waitpid(branch.pid, 0)
        clear({each.pid for each in self._branches.values()})
        return status

    def _wait(self) -> float | None:
        """Return milliseconds after which something may have to be done."""
        if self._waiting and not self._branches:
            return 0.0
        moments = [until for branch in self._branches.values() for _, until in branch.asked.values()]
        moments += [branch.deadline for branch in self._branches.values() if not branch.ready]
        if self._branches:
            moments.append(clock.monotonic() + (_PATIENCE if self._waiting else _LONGEST_REST))
        return max(0.0, (min(moments) - clock.monotonic()) * 1000 + 1) if moments else None


def _preload(program: Program) -> bool:
    """Import for all branches what notebooks import, of what is known to survive a fork; tell whether there was any."""
    texts = [program.source, *(cell.source for cell in program.setup)]
    wanted = [module for name in imported(texts) for module in LIBRARIES[name]]
    wanted += _STORES if any(map(_READS.search, texts)) else ()
    missing = [name for name in wanted if name not in sys.modules and not _is_local(name, program)]
    for name in missing:
        with contextlib.suppress(Exception):  # the cell itself shows what is wrong
            importlib.import_module(name)
    return bool(missing)


def empty_long_log() -> None:
    """Empty the file that setup cells print to when it is long: it lives as long as the daemon, for its last line."""
    with contextlib.suppress(OSError):
        if os.fstat(1).st_size > _LONGEST_LOG:
            os.ftruncate(1, 0)


def _is_local(name: str, program: Program) -> bool:
    """Tell whether a folder of the project hides a module that is installed."""
    root = name.partition(".")[0]
    folder = os.path.join(program.root, os.path.dirname(program.notebook))  # noqa: PTH118, PTH120
    return any(os.path.exists(os.path.join(folder, each)) for each in (root, f"{root}.py"))  # noqa: PTH110, PTH118


def main() -> None:
    """Be a trunk, and in each fork a branch."""
    if not sys.flags.safe_path:
        del sys.path[0]  # no folder of a project: each branch has its own
    link = socket.socket(fileno=int(sys.argv[1]))
    handed_on = unheard(sys.argv[2:])
    adopt_orphans()
    for name in ("nbpipe.kernel.magics", "nbpipe.kernel.step", "IPython.core.magics.extension", "bdb"):
        importlib.import_module(name)
    shell = new_shell()
    ready_to_fork()
    trunk = Trunk(link, shell)
    trunk.take(handed_on)
    fork = trunk.serve()
    if fork is None:
        clear(())
        return
    del trunk
    program, theirs, each_time = fork
    Branch(shell, program, theirs, each_time=each_time).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
