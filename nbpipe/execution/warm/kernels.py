"""Kernels forked from a warm process; where there is none, they are started afresh."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nbpipe import settings
from nbpipe.core.ports import KernelRequest
from nbpipe.errors import RefusedError
from nbpipe.execution.kernels.connections import KernelCommand, kernel_command, new_connection
from nbpipe.execution.kernels.local import Launched, LocalKernel
from nbpipe.execution.kernels.plain import PlainKernels
from nbpipe.execution.warm.clients import Program, fork
from nbpipe.execution.warm.environments import NotWarmError, kernel_environment
from nbpipe.execution.warm.owning import WarmProcesses
from nbpipe.execution.warm.preloading import LIBRARIES


class ForkedKernels:
    """A kernel provider that has kernels forked from the warm process of their environment.

    It never starts fewer kernels than the plain one: whatever keeps it from forking, it falls back, silently.
    """

    def __init__(self, processes: WarmProcesses | None = None) -> None:
        """Use whatever warm process there is; with `processes`, start what is missing, for the kernels to come."""
        self._processes = processes
        self._plain = PlainKernels()
        self.why_plain: str | None = None
        """Why the newest kernel was started afresh; None: it was not."""

    def start(self, request: KernelRequest) -> LocalKernel:
        """Start a kernel; it may not be ready yet when this returns.

        Raises:
            RefusedError: there is no kernelspec of this name, or its program can't be started.
        """
        try:
            kernel = self._fork(kernel_command(request.kernel_name), request)
        except (NotWarmError, OSError) as reason:
            self.why_plain = str(reason)
            return self._plain.start(request)
        self.why_plain = None
        return kernel

    def _fork(self, spec: KernelCommand, request: KernelRequest) -> LocalKernel:
        environ = {**settings.inherited(), **spec.environ, **request.environ}
        environment, module = kernel_environment(spec, environ)
        _check_folder(request.cwd)
        if self._processes is not None:
            self._processes.prepare(environment)
        connection = new_connection(request.kernel_name)
        try:
            program = Program(
                module=module,
                arguments=tuple(spec.filled(connection.file)[len(environment.options) + 3 :]),
                cwd=request.cwd,
                environ=environ,
                memory=request.memory,
                marks={name: environ[name] for name in (settings.RUN_ID, settings.STEP) if name in environ},
            )
            watched, held = os.pipe()
            try:
                process = fork(environment, program, log=connection.folder / "kernel.log", lifeline=watched)
            except BaseException:
                os.close(held)
                raise
            finally:
                os.close(watched)
        except BaseException:
            shutil.rmtree(connection.folder, ignore_errors=True)
            raise
        return LocalKernel(
            connection, Launched(process=process, held=held), language=spec.language, environ=request.environ
        )


def _check_folder(cwd: str) -> None:
    """Refuse to fork where a module of the working folder would be imported instead of one that is warm.

    Raises:
        NotWarmError: there is such a module.
        RefusedError: there is no such folder.
    """
    folder = Path(cwd)
    try:
        there = set(os.listdir(folder))  # noqa: PTH208 - names, not paths
    except OSError as error:
        raise RefusedError(f"a kernel can't be started in {cwd}: {error}") from error
    for name in LIBRARIES:
        if f"{name}.py" in there or (name in there and Path(folder, name, "__init__.py").exists()):
            raise NotWarmError(f"{folder / name} hides the installed module")
