"""Ask a sensor once, in a process that does nothing else: `python -m nbpipe.kernel.sensors.alone`.

What is to be asked comes on standard input, what came of it goes to standard output.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile

import msgspec

from nbpipe.core.automation.evaluations import Evaluated, Evaluation
from nbpipe.core.runs.tasks import encoded
from nbpipe.kernel.sensors.asking import evaluated, failed, without_secrets
from nbpipe.kernel.sensors.outputs import Output
from nbpipe.kernel.sensors.setup import NotebookSetup, new_shell

_PIECE = 1 << 16


def main() -> None:
    """Answer one evaluation."""
    if not sys.flags.safe_path:
        del sys.path[0]
    own = os.getpid()
    evaluation = msgspec.json.decode(sys.stdin.buffer.read(), type=Evaluation)
    reply = os.dup(1)
    with tempfile.TemporaryFile() as printed:
        for number in (1, 2):
            os.dup2(printed.fileno(), number)
        found = _evaluated(evaluation)
        if os.getpid() != own:  # the body forked, and this is the other one
            os._exit(0)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        found = without_secrets(msgspec.structs.replace(found, output=_kept(printed.fileno())), evaluation)
    with os.fdopen(reply, "wb") as answer:
        answer.write(encoded(found))
    os._exit(0)  # whatever threads the notebook has started


def _evaluated(evaluation: Evaluation) -> Evaluated:
    shell = new_shell()
    setup = NotebookSetup(shell, evaluation.program)
    problem = setup.problem(evaluation.program)
    if problem:
        return without_secrets(failed(evaluation, problem), evaluation)
    return evaluated(shell, evaluation, setup.names(evaluation.program))


def _kept(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    output = Output()
    while piece := os.read(file, _PIECE):
        output.add(piece)
    return output.text


if __name__ == "__main__":
    main()
