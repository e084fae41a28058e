"""Carry out steps in threads of this process; each drives a kernel process of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nbpipe.core.runs.tasks import StepOutcome, StepTask
from nbpipe.execution.steps import StepTools, execute_step


class LocalExecutor:
    """An executor for one machine."""

    def __init__(self, tools: StepTools, *, parallel: int = 4) -> None:
        """Carry out at most `parallel` steps at once."""
        self.parallel = parallel
        self._tools = tools
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="nbpipe-step")

    def start(self, task: StepTask, done: Callable[[StepOutcome], None]) -> None:
        """Begin a step and return; call `done` when it has ended."""
        self._threads.submit(self._carry_out, task, done)

    def cancel(self) -> None:
        """Ask all steps to stop."""
        self._tools.stop.set()

    def close(self) -> None:
        """Wait for all steps."""
        self._threads.shutdown()

    def _carry_out(self, task: StepTask, done: Callable[[StepOutcome], None]) -> None:
        index = task.request.step.index
        outcome = StepOutcome(index=index, status="failure", error="the step ended without an outcome")
        try:
            if self._tools.stop.is_set():
                outcome = StepOutcome(index=index, status="canceled", error="the run was asked to stop")
            else:
                outcome = execute_step(task, self._tools)
        except Exception as error:  # noqa: BLE001 - for example a state store that is gone: the runner must learn of it
            outcome = StepOutcome(index=index, status="failure", error=f"{type(error).__name__}: {error}")
        finally:
            done(outcome)
