"""Processes that carry out runs, forked from a warm process; where there is none, they are started afresh."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from nbpipe import settings
from nbpipe.execution.requests import stable_hashes

if TYPE_CHECKING:
    from nbpipe.execution.warm.clients import ForkedProcess
    from nbpipe.execution.warm.owning import WarmProcesses

    #: Both have the same manners.
    Worker = ForkedProcess | subprocess.Popen[bytes]


class WarmWorkers:
    """Starts `nbpipe` commands as processes of their own; they go on when this process ends."""

    def __init__(self, processes: WarmProcesses | None = None) -> None:
        """Use whatever warm process there is; with `processes`, start what is missing, for the workers to come."""
        self._processes = processes

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: str,
        log: Path,
        environ: Mapping[str, str] = MappingProxyType({}),
        limits: Mapping[int, tuple[int, int]] = MappingProxyType({}),
    ) -> Worker:
        """Start `nbpipe ARGUMENTS`.

        Args:
            arguments: for example `("_run", run_id)`.
            cwd: its folder, absolute.
            log: file for what it prints.
            environ: variables in addition to those of this process.
            limits: soft and hard limits by their number in `resource`; only Linux keeps them.

        Returns:
            The process, which leads a session; `wait` for it when it has ended.

        Raises:
            OSError: it can't be started at all.
        """
        variables = {**settings.inherited(), **environ}
        if sys.platform == "linux":
            from nbpipe.execution.warm.clients import Program, fork
            from nbpipe.execution.warm.environments import NotWarmError, this_environment

            # that of this interpreter's kernels: workers share their warm process
            environment = this_environment({**variables, **stable_hashes()})
            if self._processes is not None:
                self._processes.prepare(environment)
            program = Program(module="nbpipe", arguments=tuple(arguments), cwd=cwd, environ=variables, limits=limits)
            with contextlib.suppress(NotWarmError):
                return fork(environment, program, log=log, lifeline=None)
        process = _afresh(arguments, cwd=cwd, log=log, environ=variables)
        for number, values in limits.items():
            _limit(process.pid, number, values)
        return process


def _afresh(arguments: Sequence[str], *, cwd: str, log: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "nbpipe", *arguments],
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _limit(pid: int, number: int, values: tuple[int, int]) -> None:
    """Limit a process that runs already; only Linux can."""
    if sys.platform == "linux":
        import resource

        resource.prlimit(pid, number, values)
