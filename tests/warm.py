"""Warm processes of a test's own: in a private folder, so that nobody else finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbpipe.core.ports import Kernel, KernelRequest
from nbpipe.execution.warm import owned
from nbpipe.execution.warm.kernels import ForkedKernels
from nbpipe.execution.warm.messages import Hello
from nbpipe.execution.warm.owning import WarmProcesses


class OnlyForked:
    """Forked kernels, and an error where the provider would fall back on plain ones."""

    def __init__(self) -> None:
        self._forked = ForkedKernels()

    def start(self, request: KernelRequest) -> Kernel:
        kernel = self._forked.start(request)
        assert self._forked.why_plain is None, self._forked.why_plain
        return kernel


@contextmanager
def warm(folder: Path, *libraries: str, of: Callable[[], Iterable[str]] | None = None) -> Iterator[WarmProcesses]:
    """Own a warm process for Python kernels; it is ready. Instead of its libraries, something may tell them."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        with owned(kernels=["python3"], libraries=of or libraries) as processes:
            assert processes is not None
            hello(processes)
            yield processes


def hello(processes: WarmProcesses) -> Hello:
    """Return what the one warm process says of itself."""
    (said,) = processes.wait().values()
    assert isinstance(said, Hello), said
    return said
