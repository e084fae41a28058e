"""Kernels for work that may turn out to be long: fresh ones at first, then forks of a warm process of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from nbpipe.core.ports import Kernel, KernelProvider, KernelRequest
from nbpipe.execution.warm import kernel_provider, owned

#: So many kernels cost less than a warm process does.
FRESH = 4


class GrowingKernels:
    """A kernel provider that keeps a warm process from its fifth kernel on."""

    def __init__(self, stack: ExitStack, libraries: Callable[[], Iterable[str]]) -> None:
        """End the warm process, which has imported `libraries`, with `stack`."""
        self._stack = stack
        self._libraries = libraries
        self._lock = threading.Lock()
        self._started = 0
        self._provider = kernel_provider()

    def start(self, request: KernelRequest) -> Kernel:
        """Start a kernel; see `KernelProvider`."""
        with self._lock:
            self._started += 1
            if self._started == FRESH + 1:
                processes = self._stack.enter_context(owned(kernels=[request.kernel_name], libraries=self._libraries))
                self._provider = kernel_provider(processes=processes)
        return self._provider.start(request)


@contextmanager
def growing_kernels(*, warm: bool, libraries: Callable[[], Iterable[str]]) -> Iterator[KernelProvider]:
    """Provide kernels for as long as the block lasts.

    Args:
        warm: the person's choice; without it all are fresh.
        libraries: tells what notebooks import, see `owned`.
    """
    with ExitStack() as stack:
        yield GrowingKernels(stack, libraries) if warm else kernel_provider(warm=False)
