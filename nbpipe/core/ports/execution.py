"""What carries out runs: kernels and executors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from nbpipe.core.records import (
    WorkerId,
)
from nbpipe.core.runs.tasks import RunProgress, StepOutcome, StepTask


class KernelRequest(Protocol):
    """What a kernel is to be like."""

    @property
    def kernel_name(self) -> str:
        """Name of the kernelspec."""

    @property
    def cwd(self) -> str:
        """The folder that it runs in, absolute."""

    @property
    def environ(self) -> Mapping[str, str]:
        """Variables set in addition to those of this process."""

    @property
    def memory(self) -> int | None:
        """Bytes that it may take, where the system can limit that; None: as much as there is."""


class Kernel(Protocol):
    """A kernel that was started for one step, and that its owner must end."""

    worker: WorkerId
    """Identity of the kernel's process."""
    language: str
    """Programming language in lower case, for example `python`."""
    connection: Mapping[str, Any]
    """Jupyter's connection information: transport, address, ports and key."""
    lifeline: int
    """In the kernel's process, the reading end of a pipe that ends when the process that drives it is gone, or -1."""

    def alive(self) -> bool:
        """Tell whether the process runs."""

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell that executes."""

    def shutdown(self, grace: float) -> None:
        """Wait up to `grace` seconds for the kernel's own end, then end it and everything it started by force.

        It may be called again.
        """

    def obituary(self) -> str:
        """Return how the process ended, and its last words, for an error message."""


class KernelProvider(Protocol):
    """Starts kernels."""

    def start(self, request: KernelRequest) -> Kernel:
        """Start a kernel; it may not be ready yet when this returns."""


class ProgressListener(Protocol):
    """Is told what happens in a run; it must return quickly, and is called from several threads."""

    def __call__(self, event: RunProgress) -> None:
        """Take note of something that happened."""


class Executor(Protocol):
    """Carries out the steps of a run."""

    parallel: int
    """How many steps it takes at once."""

    def start(self, task: StepTask, done: Callable[[StepOutcome], None]) -> None:
        """Begin a step and return; call `done` once, from any thread, when it has ended however it ended."""

    def cancel(self) -> None:
        """Ask all steps to stop, and take no more; each still calls `done`, soon."""

    def close(self) -> None:
        """Wait for all steps and release what is held."""
