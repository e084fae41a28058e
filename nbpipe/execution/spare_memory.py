"""What a kernel with a memory limit does when a cell has used it up: take a little more, and tell of the error.

Its soft limit is what the cell may take, its hard limit a little above. Without that, an error that comes when
nothing is left could not be shown, and nobody would learn of it.

The source of this file is executed inside kernels, also of environments without nbpipe: standard library only.
"""

from __future__ import annotations

import gc
import sys
from functools import partial
from typing import Any

#: In the shell of a kernel whose memory is limited.
_TAKE = "nbpipe_take_spare_memory"


def attach(shell: Any) -> None:
    """Make the shell of a kernel take what is spare when a cell ran out of memory, and give it back after it."""
    from resource import RLIMIT_DATA, getrlimit, setrlimit

    soft, hard = getrlimit(RLIMIT_DATA)
    take = partial(setrlimit, RLIMIT_DATA, (hard, hard))  # made now: later there is no memory for it
    give_back = partial(setrlimit, RLIMIT_DATA, (soft, hard))
    show = shell.showtraceback

    def told(*args: Any, **options: Any) -> None:
        take()  # whatever it is: with no memory left, the error of an error may be of any kind
        show(*args, **options)

    def begin(_: Any) -> None:
        error = getattr(sys, "last_value", None)
        if error is not None and getattr(sys, "last_traceback", None) is not None:
            _let_go(shell, error)
        give_back()

    shell.showtraceback = told
    setattr(shell, _TAKE, take)
    shell.events.register("pre_run_cell", begin)


def _let_go(shell: Any, error: BaseException) -> None:
    """Let go of what a cell held when it failed: kept for a debugger, the next cell would lack that memory."""
    sys.last_traceback = shell.InteractiveTB.tb = None
    chain: list[BaseException | None] = [error]
    while chain:
        each = chain.pop()
        if each is not None and each.__traceback__ is not None:
            each.__traceback__ = None
            chain += [each.__cause__, each.__context__]
    gc.collect()


def take_spare(shell: Any) -> None:
    """Let this process take what is spare, if there is a limit."""
    take = getattr(shell, _TAKE, None)
    if take is not None:
        take()
