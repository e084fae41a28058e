"""Start `nbpipe` commands as processes of their own: forks of a warm process where there is one, else fresh ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nbpipe import settings
from nbpipe.daemon.processes import Process
from nbpipe.execution.requests import stable_hashes
from nbpipe.execution.warm.environments import this_environment
from nbpipe.execution.warm.owning import WarmProcesses
from nbpipe.execution.warm.workers import WarmWorkers


class CommandStarter:
    """See `Starter`."""

    def __init__(self, *, root: Path, env: str, warm: WarmProcesses | None) -> None:
        """Start them for a project and environment; `warm` are the warm processes to fork from, if wanted."""
        self._root, self._env = root, env
        self._warm = None if warm is None else WarmWorkers(warm)
        if warm is not None:  # ready before the first run
            warm.prepare(this_environment({**settings.inherited(), **stable_hashes()}))

    def start(self, what: Sequence[str], log: Path) -> Process:
        """See `Starter`."""
        arguments = ("--env", self._env, "--project", str(self._root), *what)
        if self._warm is not None:
            return self._warm.run(arguments, cwd=str(self._root), log=log)
        with log.open("wb") as output:
            # -P: a file of the working folder must not be taken for a module that nbpipe needs
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "nbpipe", *arguments],
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
