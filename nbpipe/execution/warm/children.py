"""Turn a fork of the warm process into the program that was asked for, as if it had just been started."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import multiprocessing
import os
import resource
import runpy
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nbpipe import clock, settings
from nbpipe.execution.kernels.memory import limit_memory
from nbpipe.execution.warm.messages import Fork
from nbpipe.execution.warm.native_threads import restore_threads
from nbpipe.execution.warm.preloading import Preloaded, forget
from nbpipe.execution.warm.starting import ROOM, ROOM_SIZE
from nbpipe.execution.watchdog import watch

_LAUNCHERS = ("ipykernel_launcher", "ipykernel")
#: Loaded as an IPython extension, and no history on disk: parallel kernels would wait for each other's file.
_KERNEL_OPTIONS = ("--IPKernelApp.extra_extensions=nbpipe.kernel.forked",)
#: To ipykernel: somebody started this kernel, and need not be watched. Our own watchdog does that.
_NO_PARENT = "1"


class Job(msgspec.Struct, kw_only=True):
    """What a fork is to become."""

    request: Fork
    log: int
    pipe: int
    """The reading end of the pipe that ties it to its client, or -1."""
    preloaded: Preloaded
    blas: tuple[str, ...]
    path: tuple[str, ...]
    """`sys.path` as Python made it, without the folder in front."""


def lead_session(job: Job) -> None:
    """Leave the warm process: a session, standard files and signals of its own. Called right after the fork."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (job.log, 1), (job.log, 2)):
        os.dup2(source, target)
    kept = {0, 1, 2, job.pipe}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names, not paths
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
    for number in (signal.SIGTERM, signal.SIGCHLD):  # SIGHUP stays as inherited: ignored under nohup
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def become(job: Job) -> None:
    """Run the program to its end; like a program, it may end the process."""
    request = job.request
    kernel = request.module in _LAUNCHERS
    environ = {**request.environ}
    environ.pop(ROOM, None)
    if kernel:
        environ[settings.PARENT] = _NO_PARENT
    for name, value in job.preloaded.variables.items():
        environ.setdefault(name, value)
    settings.replace(environ)
    clock.follow(settings.clock_file())
    _show_marks(request.marks)
    _take_place(request)
    _forget_the_past()
    if job.pipe >= 0:
        watch(job.pipe)
    if kernel:
        restore_threads(job.blas, environ)
        forget(job.preloaded.forgotten)
    limit_memory(os.getpid(), request.memory)  # what threads of libraries take does not count
    arguments = [*request.arguments, *(_KERNEL_OPTIONS if kernel else ())]
    sys.argv = [request.module, *arguments]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]
    sys.path[:] = [*(() if sys.flags.safe_path else (request.cwd,)), *job.path]
    try:
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        _leave(end.code)
    _leave(0)


def _leave(code: object) -> None:
    """End as Python does, without taking apart what all forks share: that would copy it first.

    Does nothing for an end with words, which Python prints.
    """
    if code is not None and not isinstance(code, int):
        raise SystemExit(code)
    for step in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]  # noqa: SLF001 - Py_Finalize
        step()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit((code or 0) & 0xFF)


def _take_place(request: Fork) -> None:
    os.chdir(request.cwd)
    os.umask(request.umask)
    if request.cores:
        os.sched_setaffinity(0, request.cores)
    os.setpriority(os.PRIO_PROCESS, 0, request.niceness)
    for number, limits in request.limits.items():
        if resource.getrlimit(number) != limits:
            resource.setrlimit(number, limits)
    time.tzset()


def _forget_the_past() -> None:
    """Make anew what all forks would have in common; `random` and `tempfile` names do so by themselves."""
    tempfile.tempdir = None
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
    multiprocessing.current_process().authkey = os.urandom(32)


def _show_marks(marks: Mapping[str, str]) -> None:
    """Let other processes see these variables as those of this process.

    They see the memory in which the program got its variables. There is one whose only use is to be overwritten.
    """
    text = b"".join(f"{name}={value}\0".encode() for name, value in marks.items())
    shown = Path("/proc/self/environ").read_bytes()
    offset = shown.find(f"{ROOM}=".encode())
    if not text or offset < 0 or len(text) > ROOM_SIZE:
        return
    # proc(5), stat: after the name in parentheses come the fields from the third on; env_start is the 50th
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    ctypes.memmove(int(fields[47]) + offset, text.ljust(ROOM_SIZE, b"\0"), ROOM_SIZE)
