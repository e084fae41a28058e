"""Keep warm processes for as long as this process lives, one for each environment."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from nbpipe import clock, settings
from nbpipe.errors import RefusedError
from nbpipe.execution.kernels.connections import kernel_command
from nbpipe.execution.requests import stable_hashes
from nbpipe.execution.warm.clients import connect
from nbpipe.execution.warm.environments import NotWarmError, WarmEnvironment, home, kernel_environment
from nbpipe.execution.warm.messages import WARM_PROTOCOL, Hello, Own, close_all, receive_answer, send
from nbpipe.execution.warm.preloading import QUIET, USUAL, needed
from nbpipe.execution.warm.starting import Settings, room

#: Seconds that the imports may take.
_START_TIMEOUT = 120.0
#: Seconds after which an environment in which no warm process could start is tried again.
_RETRY = 60.0
#: Environments that are kept warm at once; the one that was not used for longest makes room.
_MOST = 4

#: Warm processes that we gave up and that stay for their last children: the system wants them waited for.
_leaving: list[subprocess.Popen[bytes]] = []


class WarmProcesses:
    """The warm processes that this process owns; others may own them as well, and everybody may use them."""

    def __init__(self, *, libraries: Iterable[str] | Callable[[], Iterable[str]] = USUAL) -> None:
        """Begin with none.

        Args:
            libraries: top-level names of the modules that are imported, or what tells them now; those that were
                tested are imported beforehand.
        """
        self._libraries = libraries if callable(libraries) else _always(tuple(libraries))
        self._owned: dict[str, _Owned] = {}
        self._lock = threading.Lock()
        self._closed = False

    def prepare(self, environment: WarmEnvironment) -> None:
        """See to it, beside other work, that an environment has a warm process; return at once."""
        with self._lock:
            if self._closed:
                return
            libraries = needed(self._libraries())
            known = self._owned.pop(environment.key, None)
            if known is not None and known.finished():
                known.close()
                known = None
            elif known is not None and known.lacks(libraries):
                known.leave()
                known = None
            if known is None:
                known = _Owned(environment, libraries)
            self._owned[environment.key] = known  # the last one is the one used last
            surplus = [self._owned.pop(key) for key in list(self._owned)[:-_MOST]]
        for each in surplus:
            each.close()

    def prepare_kernel(self, name: str) -> str | None:
        """Prepare the environment in which steps with a kernel execute; return why that can't be done, if so."""
        try:
            self.prepare(_environment(name))
        except (NotWarmError, RefusedError) as reason:
            return str(reason)
        return None

    def wait(self) -> dict[str, Hello | str]:
        """Wait until those that are starting have started.

        Returns:
            By interpreter, what the warm process said, or why there is none.
        """
        with self._lock:
            owned = list(self._owned.values())
        return {each.environment.interpreter: each.wait() for each in owned}

    def close(self) -> None:
        """Let them go: those that nobody else owns end, when the last of their children has ended."""
        with self._lock:
            self._closed = True
            owned, self._owned = list(self._owned.values()), {}
        for each in owned:
            each.close()


def living(kernel: str) -> None:
    """Make sure that a kernel's environment has a warm process.

    Raises:
        NotWarmError: it has none, or can't have one.
        RefusedError: there is no such kernel.
    """
    connect(_environment(kernel)).close()


def _environment(kernel: str) -> WarmEnvironment:
    """Return the environment in which steps with this kernel execute."""
    spec = kernel_command(kernel)
    return kernel_environment(spec, {**settings.inherited(), **stable_hashes(), **spec.environ})[0]


def _always(libraries: tuple[str, ...]) -> Callable[[], Iterable[str]]:
    return lambda: libraries


class _Owned:
    """One warm process, or the attempt to have it."""

    def __init__(self, environment: WarmEnvironment, libraries: tuple[str, ...]) -> None:
        self.environment = environment
        self._libraries = libraries
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._said: Hello | str = "it is starting"
        self._tried = clock.monotonic()
        self._closing = threading.Event()
        self._starting = threading.Thread(target=self._start, name="nbpipe-warm", daemon=True)
        self._starting.start()

    def wait(self) -> Hello | str:
        self._starting.join()
        return self._said

    def finished(self) -> bool:
        """Tell whether it must be started again."""
        if self._starting.is_alive():
            return False
        if self._connection is None:
            return clock.monotonic() - self._tried > _RETRY
        ended = select.poll()
        ended.register(self._connection, select.POLLIN)
        return bool(ended.poll(0))  # it says nothing more: this is the end

    def lacks(self, libraries: Iterable[str]) -> bool:
        """Tell whether it has started without one of these."""
        return not self._starting.is_alive() and not set(libraries) <= set(self._libraries)

    def leave(self) -> None:
        """Give it up, and leave it to its children; it has started."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            _leaving.append(self._process)

    def close(self) -> None:
        self._closing.set()
        while self._starting.is_alive():  # imports take seconds, and nobody needs them any more
            if self._process is not None:
                self._process.kill()
            self._starting.join(0.05)
        if self._connection is not None:
            self._connection.close()
        for process in [*_leaving, *([] if self._process is None else [self._process])]:
            try:
                process.wait(2.0 if process is self._process else 0)
            except subprocess.TimeoutExpired:
                if process not in _leaving:
                    _leaving.append(process)
            else:
                with contextlib.suppress(ValueError):
                    _leaving.remove(process)

    def _start(self) -> None:
        try:
            self._connection, self._said = self._joined() or self._started()
        except Exception as error:  # noqa: BLE001 - whatever it is: kernels are started afresh then
            self._said = str(error) or type(error).__name__

    def _joined(self) -> tuple[socket.socket, Hello] | None:
        """Own the one that lives, if there is one."""
        try:
            connection = connect(self.environment)
        except NotWarmError:
            return None
        try:
            send(connection, Own())
            return connection, _hello(connection)
        except (NotWarmError, OSError):  # it is about to end
            connection.close()
            return None

    def _started(self) -> tuple[socket.socket, Hello]:
        folder = home(self.environment, create=True)
        deadline = clock.monotonic() + _START_TIMEOUT
        while (lock := _locked(folder)) is None:  # somebody else starts one, or one ends
            joined = self._joined()
            if joined is not None:
                return joined
            if clock.monotonic() > deadline or self._closing.wait(0.05):
                raise NotWarmError("another process did not start the warm process in time")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.settimeout(_START_TIMEOUT)
            self._process = self._spawned(folder, theirs.fileno(), lock)
            theirs.close()
            try:
                return ours, _hello(ours)
            except (NotWarmError, OSError) as error:
                self._process.kill()
                self._process.wait()
                reason = _last_words(folder) or str(error)
                shutil.rmtree(folder, ignore_errors=True)
                raise NotWarmError(f"no warm process could be started: {reason}") from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(lock)

    def _spawned(self, folder: Path, owner: int, lock: int) -> subprocess.Popen[bytes]:
        about = Settings(folder=str(folder), owner=owner, lock=lock, libraries=self._libraries)
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                [self.environment.interpreter, *self.environment.options, *about.words()],
                cwd=folder,
                env={**self.environment.around(settings.inherited()), **QUIET, **room()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(owner, lock),
            )


def _hello(connection: socket.socket) -> Hello:
    answer, files = receive_answer(connection)
    close_all(files)
    if not isinstance(answer, Hello):
        raise NotWarmError("it ended before it was ready")
    if answer.protocol != WARM_PROTOCOL:
        raise NotWarmError(f"the environment's nbpipe speaks protocol {answer.protocol} instead of {WARM_PROTOCOL}")
    return answer


def _locked(folder: Path) -> int | None:
    """Return a file that is locked as long as it is open here or in a child; None: somebody else has it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # the one before has just removed its folder
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (folder / "lock").stat().st_ino == os.fstat(file).st_ino:
            return file
    except OSError:
        pass
    os.close(file)
    return None


def _last_words(folder: Path) -> str:
    with contextlib.suppress(OSError):
        lines = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
    return ""
