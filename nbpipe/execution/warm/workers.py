"""Processes that carry out runs, forked from a warm process; where there is none, they are started afresh."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from nbpipe import settings
from nbpipe.execution.requests import stable_hashes
from nbpipe.execution.warm.clients import ForkedProcess, Program, fork
from nbpipe.execution.warm.environments import NotWarmError, WarmEnvironment, this_environment
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
            limits: soft and hard limits by their number in `resource`.

        Returns:
            The process, which leads a session; `wait` for it when it has ended.

        Raises:
            OSError: it can't be started at all.
        """
        variables = {**settings.inherited(), **environ}
        environment = _environment()
        if self._processes is not None:
            self._processes.prepare(environment)
        program = Program(module="nbpipe", arguments=tuple(arguments), cwd=cwd, environ=variables, limits=limits)
        try:
            return fork(environment, program, log=log, lifeline=None)
        except NotWarmError:
            return _afresh(program, log)


def _environment() -> WarmEnvironment:
    """Return the environment of this interpreter's kernels: workers share their warm process."""
    return this_environment({**settings.inherited(), **stable_hashes()})


def _afresh(program: Program, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", program.module, *program.arguments],
            cwd=program.cwd,
            env=dict(program.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    if program.limits:
        import resource

        for number, limits in program.limits.items():
            resource.prlimit(process.pid, number, limits)
    return process
