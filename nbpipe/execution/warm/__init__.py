"""Warm processes: one per environment has imported what kernels and runs need, and is forked for each of them.

They exist on Linux; elsewhere the same calls start processes afresh. No connection to a state store, event loop or
second thread is there when a warm process is forked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nbpipe.core.ports import KernelProvider

if TYPE_CHECKING:
    from nbpipe.execution.warm.owning import WarmProcesses


@contextmanager
def owned(
    *,
    kernels: Iterable[str] = (),
    libraries: Iterable[str] | Callable[[], Iterable[str]] | None = None,
    warm: bool = True,
) -> Iterator[WarmProcesses | None]:
    """Keep warm processes as long as the block lasts; they start beside other work.

    Args:
        kernels: names of the kernels to be ready for; others are prepared when first used.
        libraries: first parts of the names of what notebooks import, or what tells them; what may be imported
            beforehand is. None: it is not known, and the usual ones are.
        warm: the person's choice; without it, and on other systems than Linux, there are none.
    """
    if not warm or sys.platform != "linux":
        yield None
        return
    from nbpipe.execution.warm.owning import WarmProcesses
    from nbpipe.execution.warm.preloading import USUAL

    processes = WarmProcesses(libraries=USUAL if libraries is None else libraries)
    try:
        for name in kernels:
            processes.prepare_kernel(name)
        yield processes
    finally:
        processes.close()


def kernel_provider(*, warm: bool = True, processes: WarmProcesses | None = None) -> KernelProvider:
    """Return where kernels come from: forks of the warm processes that there are, or fresh ones."""
    if warm and sys.platform == "linux":
        from nbpipe.execution.warm.kernels import ForkedKernels

        return ForkedKernels(processes)
    from nbpipe.execution.kernels.plain import PlainKernels

    return PlainKernels()


def warmth(kernel: str) -> str:
    """Tell whether a kernel would come from a warm process now, or why not, in words for a person."""
    if sys.platform != "linux":
        return "kernels are started afresh: warm processes exist on Linux"
    from nbpipe.errors import NbpipeError
    from nbpipe.execution.warm.owning import living

    try:
        living(kernel)
    except NbpipeError as reason:
        return f"kernels are started afresh: {reason}"
    return "kernels come from a warm process"
