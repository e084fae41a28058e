"""Kernels started afresh, one process each, through sockets in a private folder.

Sockets of the file system know no race for ports, and can't be reached from other machines.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nbpipe import settings
from nbpipe.core.ports import KernelRequest
from nbpipe.core.records import WorkerId
from nbpipe.errors import RefusedError
from nbpipe.execution.kernels.launching import TRANSPORT, interrupt, launch
from nbpipe.execution.processes import descendants, kill_all, kill_group, marked
from nbpipe.execution.workers import this_worker, worker_of

#: A socket's path may have 103 bytes on macOS and 107 on Linux, sun_path of unix(7); ours add `/k-5`.
_LONGEST_FOLDER = 90


class PlainKernels:
    """A kernel provider that starts a new process for each kernel."""

    def start(self, request: KernelRequest) -> PlainKernel:
        """Start a kernel; it may not be ready yet when this returns.

        Raises:
            RefusedError: there is no kernelspec of this name, or its program can't be started.
        """
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

        manager = KernelSpecManager()
        try:
            spec = manager.get_kernel_spec(request.kernel_name)
        except NoSuchKernel:
            known = ", ".join(sorted(manager.find_kernel_specs())) or "none"
            raise RefusedError(
                f"there is no kernel {request.kernel_name!r} here (installed: {known}): install it, "
                "or choose another in the notebook or as `kernel` of its location in nbpipe.toml"
            ) from None
        folder = _private_folder()
        try:
            return PlainKernel(folder, spec, request)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


class PlainKernel:
    """A kernel process that leads a session of its own."""

    def __init__(self, folder: Path, spec: Any, request: KernelRequest) -> None:
        self._folder = folder
        self._marks = {
            name: value for name, value in request.environ.items() if name in (settings.RUN_ID, settings.STEP)
        }
        self.language: str = str(spec.language).lower()
        file, self.connection = _write_connection(folder, request.kernel_name)
        command = [*_command(spec.argv, file, str(spec.resource_dir)), *_arguments(spec.argv)]
        environ = {**settings.inherited(), **spec.env, **request.environ}
        try:
            self._process, self.lifeline, self._held = launch(
                command, cwd=request.cwd, environ=environ, log=folder / "kernel.log"
            )
        except OSError as error:
            raise RefusedError(f"kernel {request.kernel_name!r} can't be started in {request.cwd}: {error}") from error
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
            words = (self._folder / "kernel.log").read_bytes()[-2000:].decode(errors="replace").strip()
            if words:
                how += "; its last words: " + words.splitlines()[-1]
        return how


def _await_end(process: subprocess.Popen[bytes], grace: float) -> None:
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


def _ending(code: int | None) -> str:
    if code is None:
        return "it still runs"
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


def _private_folder() -> Path:
    """Create a folder that only this user can enter, with a path short enough for sockets."""
    shortest = min([tempfile.gettempdir(), "/tmp"], key=lambda place: len(os.fsencode(place)))  # noqa: S108
    for place in (tempfile.gettempdir(), shortest):
        if len(os.fsencode(place)) + len("/nbpipe-12345678") <= _LONGEST_FOLDER:
            return Path(tempfile.mkdtemp(prefix="nbpipe-", dir=place))
    raise RefusedError(f"the path of the folder for temporary files is too long for sockets: {place}: set TMPDIR")


def _write_connection(folder: Path, kernel_name: str) -> tuple[str, Mapping[str, Any]]:
    from jupyter_client.connect import write_connection_file

    file, info = write_connection_file(
        str(folder / "connection.json"),
        ip=str(folder / "k") if TRANSPORT == "ipc" else "",
        transport=TRANSPORT,
        key=secrets.token_hex(32).encode(),
        kernel_name=kernel_name,
    )
    return file, {**info, "key": str(info["key"]).encode()}


def _command(argv: list[str], connection_file: str, resources: str) -> list[str]:
    """Fill in a kernelspec's command; a bare `python` is this one, as Jupyter has it."""
    values = {"{connection_file}": connection_file, "{resource_dir}": resources, "{prefix}": sys.prefix}
    names = re.compile("|".join(map(re.escape, values)))
    command = [names.sub(lambda match: values[match.group()], part) for part in argv]
    major, minor = sys.version_info[:2]
    if command[0] in {"python", f"python{major}", f"python{major}.{minor}"}:
        command[0] = sys.executable
    return command


def _arguments(argv: list[str]) -> list[str]:
    """Keep a kernel's history in memory: parallel kernels would wait for each other's file."""
    return ["--HistoryManager.hist_file=:memory:"] if any("ipykernel" in part for part in argv) else []
