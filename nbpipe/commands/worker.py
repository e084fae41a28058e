"""A process of its own that carries out one queued run: `python -m nbpipe.commands.worker RUN ROOT ENV`.

Notebooks start one and watch the state store: the run goes on when the kernel is restarted.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nbpipe import settings
from nbpipe.commands.materialize import execute
from nbpipe.commands.workspace import Workspace

_LOG = "worker.log"


def spawn(workspace: Workspace, run_id: str) -> subprocess.Popen[bytes]:
    """Carry out a queued run in a new process that does not end with this one; return the process.

    What it says, if anything goes wrong, is in `worker.log` beside the records of the run.
    """
    log = workspace.root / ".nbpipe" / "runs" / run_id / _LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    environ = {name: value for name, value in settings.inherited().items() if name not in _OF_THE_KERNEL}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "nbpipe.commands.worker", run_id, str(workspace.root), workspace.env],
            cwd=workspace.root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


#: What says of a process that it is a kernel, or works for a run.
_OF_THE_KERNEL = frozenset({settings.NOTEBOOK, settings.RUN_ID, settings.STEP, "JPY_PARENT_PID", "MPLBACKEND"})


def main(run_id: str, root: str, env: str) -> int:
    """Carry out the run; return the exit status."""
    with Workspace.open(Path(root), env=env) as workspace:
        return 0 if execute(workspace, run_id).status == "success" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
