"""The warm process: `python -m nbpipe.execution.warm.process SETTINGS`.

It imports, looks whether it can be forked, says hello to its owner, and then only waits: for connections, requests
and ends of its children. It computes nothing, has one thread, and opens neither state stores nor event loops.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nbpipe.execution.processes import marked
from nbpipe.execution.warm.children import Job, become, lead_session
from nbpipe.execution.warm.inventory import Inventory
from nbpipe.execution.warm.messages import (
    WARM_PROTOCOL,
    Answer,
    Ended,
    Fork,
    Forked,
    Hello,
    Own,
    Refused,
    close_all,
    peer,
    receive_request,
    send,
)
from nbpipe.execution.warm.native_threads import loaded_blas
from nbpipe.execution.warm.pages import ready_to_fork
from nbpipe.execution.warm.preloading import Preloaded, SpoiltError, preload
from nbpipe.execution.warm.starting import Settings

#: prctl(2): the name by which a process is listed.
_PR_SET_NAME = 15


class _Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.owns = False
        self.child: _Child | None = None


class _Child:
    """One process that was forked from here."""

    def __init__(self, pid: int, client: _Client, request: Fork) -> None:
        self.pid = pid
        self.client: _Client | None = client
        self.tied = request.tied
        self._marks = request.marks
        self.handle = os.pidfd_open(pid)
        self.ended = False

    def end(self) -> int:
        """Return how it ended; it stays a zombie, so that its number is not used again."""
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self.ended = True
        os.close(self.handle)
        if found is None:
            return 0
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def kill(self) -> None:
        """Kill it and what it started: its own watchdog does the same, and may not be there yet or be killed now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)
        for process in marked(self._marks) if self._marks else ():
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGKILL)


class Server:
    """Answers clients, one thing at a time."""

    def __init__(self, about: Settings, preloaded: Preloaded, denied: Mapping[str, str], path: tuple[str, ...]) -> None:
        """Take over the first owner's connection; nobody else is heard until `open`."""
        self._folder = Path(about.folder)
        self._lock = about.lock
        self._preloaded, self._path = preloaded, path
        self._blas = loaded_blas()
        self._hello = Hello(protocol=WARM_PROTOCOL, pid=os.getpid(), modules=preloaded.modules, denied=denied)
        self._inventory = Inventory()
        self._listener: socket.socket | None = None
        owner = _Client(socket.socket(fileno=about.owner))
        owner.owns = True
        owner.connection.setblocking(False)  # noqa: FBT003 - the name says it
        self._clients = {owner.connection.fileno(): owner}
        self._children: dict[int, _Child] = {}

    def open(self) -> None:
        """Let clients in."""
        place = self._folder / "socket"
        place.unlink(missing_ok=True)  # of one that was killed
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(place))
        self._listener.listen(64)
        for client in self._clients.values():
            send(client.connection, self._hello)

    def serve(self) -> Job | None:
        """Serve until there is no owner and no child any more; return a job in each fork."""
        while self._listener is not None or self._children:
            running = {child.handle: child for child in self._children.values() if not child.ended}
            wanted = select.poll()
            for file in (*self._clients, *running):
                wanted.register(file, select.POLLIN)
            if self._listener is not None:
                wanted.register(self._listener, select.POLLIN)
            for file, _ in wanted.poll():
                if file in running:
                    self._ended(running[file])
                elif file in self._clients:
                    job = self._heard(self._clients[file])
                    if job is not None:
                        return job
                elif self._listener is not None and file == self._listener.fileno():
                    self._greet(self._listener)
        return None

    def _greet(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)  # noqa: FBT003 - the name says it
        pid, user = peer(connection)
        if user != os.getuid() or not pid:
            connection.close()
            return
        self._clients[connection.fileno()] = _Client(connection)

    def _heard(self, client: _Client) -> Job | None:
        try:
            request, files = receive_request(client.connection)
        except BlockingIOError:
            return None
        except (OSError, msgspec.DecodeError):
            request, files = None, []
        if request is None or client.child is not None:
            close_all(files)
            self._left(client)
        elif isinstance(request, Own):
            client.owns = self._listener is not None
            self._answer(client, self._hello if client.owns else Refused("it is about to end"))
        else:
            return self._fork(client, request, files)
        return None

    def _left(self, client: _Client) -> None:
        """Let a client go; what is tied to it ends, and an owner may have been the last."""
        del self._clients[client.connection.fileno()]
        client.connection.close()
        child = client.child
        if child is not None:
            child.client = None
            if child.ended:
                self._forget(child)
            elif child.tied:
                child.kill()
        if not any(each.owns for each in self._clients.values()):
            self._retire()

    def _ended(self, child: _Child) -> None:
        code = child.end()
        if child.client is None:
            self._forget(child)
        else:
            self._answer(child.client, Ended(code))

    def _forget(self, child: _Child) -> None:
        del self._children[child.pid]
        child.bury()

    def _fork(self, client: _Client, request: Fork, files: list[int]) -> Job | None:
        changed = self._inventory.difference()
        reason = f"the environment has changed: {changed}" if changed else _objection(request, files)
        if reason or self._listener is None:
            close_all(files)
            self._answer(client, Refused(reason or "it is about to end"))
            if changed:
                self._retire()
            return None
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or too many processes: the children there are need it still
            close_all(files)
            self._answer(client, Refused(f"it can't be forked: {error}"))
            return None
        if pid == 0:
            return self._job(request, files)
        close_all(files)
        client.child = self._children[pid] = _Child(pid, client, request)
        self._answer(client, Forked(pid), [client.child.handle])
        return None

    def _job(self, request: Fork, files: list[int]) -> Job:
        """Let go, in a fork, of everything that belongs to the warm process."""
        for client in self._clients.values():
            client.connection.close()
        if self._listener is not None:
            self._listener.close()
        job = Job(
            request=request,
            log=files[0],
            pipe=files[1] if request.tied else -1,
            preloaded=self._preloaded,
            blas=self._blas,
            path=self._path,
        )
        self._clients, self._children, self._listener = {}, {}, None
        return job

    def _retire(self) -> None:
        """Be found no more, and stay only for the children."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)
        for client in [each for each in self._clients.values() if each.child is None]:
            del self._clients[client.connection.fileno()]
            client.connection.close()

    def _answer(self, client: _Client, answer: Answer, files: list[int] | None = None) -> None:
        try:
            send(client.connection, answer, files or ())
        except OSError:  # it has just left: poll says so
            return


def _objection(request: Fork, files: list[int]) -> str:
    """Return what keeps this process from becoming what is asked for, or nothing."""
    if len(files) != 1 + request.tied:
        return "it needs a log, and a pipe if it is tied"
    for number, (_, hard) in request.limits.items():
        own = resource.getrlimit(number)[1]
        if own != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or hard > own):
            return "the client's limits are above those of the warm process"
    if request.niceness < os.getpriority(os.PRIO_PROCESS, 0):
        return "the warm process is nicer than the client"
    return ""


def main() -> None:
    """Be a warm process, and in each fork another program."""
    about = msgspec.json.decode(sys.argv[1], type=Settings)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"nbpipe-warm")
    if not sys.flags.safe_path:
        del sys.path[0]  # this folder is not one to import from
    path = tuple(sys.path)
    denied = dict(about.denied)
    try:
        server = Server(about, preload(about.libraries, denied), denied, path)
    except SpoiltError as spoilt:
        _start_again(msgspec.structs.replace(about, denied={**denied, spoilt.module: spoilt.reason}))
        return
    ready_to_fork()
    server.open()
    job = server.serve()
    if job is not None:
        lead_session(job)
        del server
        become(job)


def _start_again(about: Settings) -> None:
    """Replace this process by a new one that leaves a module out."""
    for file in (about.owner, about.lock):
        os.set_inheritable(file, True)  # noqa: FBT003 - positional only
    options = sys.orig_argv[1 : sys.orig_argv.index("-m")]
    os.execv(sys.executable, [sys.executable, *options, *about.words()])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
