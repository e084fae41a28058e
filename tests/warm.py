"""Warm processes of a test's own: in a private folder, so that nobody else finds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbpipe.execution.warm import owned
from nbpipe.execution.warm.messages import Hello
from nbpipe.execution.warm.owning import WarmProcesses


@contextmanager
def warm(folder: Path, *libraries: str) -> Iterator[WarmProcesses]:
    """Own a warm process for Python kernels; it is ready."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        with owned(kernels=["python3"], libraries=libraries) as processes:
            assert processes is not None
            hello(processes)
            yield processes


def hello(processes: WarmProcesses) -> Hello:
    """Return what the one warm process says of itself."""
    (said,) = processes.wait().values()
    assert isinstance(said, Hello), said
    return said
