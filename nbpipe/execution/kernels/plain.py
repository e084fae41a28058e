"""Kernels started afresh, one process each, through sockets in a private folder."""

from __future__ import annotations

import shutil

from nbpipe import settings
from nbpipe.core.ports import KernelRequest
from nbpipe.errors import RefusedError
from nbpipe.execution.kernels.connections import kernel_command, new_connection
from nbpipe.execution.kernels.launching import launch
from nbpipe.execution.kernels.local import Launched, LocalKernel
from nbpipe.execution.kernels.memory import limit_memory


class PlainKernels:
    """A kernel provider that starts a new process for each kernel."""

    def start(self, request: KernelRequest) -> LocalKernel:
        """Start a kernel; it may not be ready yet when this returns.

        Raises:
            RefusedError: there is no kernelspec of this name, or its program can't be started.
        """
        spec = kernel_command(request.kernel_name)
        environ = {**settings.inherited(), **spec.environ, **request.environ}
        connection = new_connection(request.kernel_name)
        try:
            process, lifeline, held = launch(
                spec.filled(connection.file), cwd=request.cwd, environ=environ, log=connection.folder / "kernel.log"
            )
        except BaseException as error:
            shutil.rmtree(connection.folder, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            problem = f"kernel {request.kernel_name!r} can't be started in {request.cwd}: {error}"
            raise RefusedError(problem) from error
        limit_memory(process.pid, request.memory)
        launched = Launched(process=process, lifeline=lifeline, held=held)
        return LocalKernel(connection, launched, language=spec.language, environ=request.environ)
