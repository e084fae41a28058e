"""Carry out runs in threads of this process; what they import is imported once for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from nbpipe.core.ports import KernelProvider, ProgressListener, StateStore
from nbpipe.errors import NbpipeError
from nbpipe.execution.runner import Runner, Site
from nbpipe.execution.steps import ignore


class RunThreads:
    """Carries out queued runs, several at once. Each drives kernel processes of its own."""

    def __init__(
        self,
        store: StateStore,
        site: Site,
        *,
        parallel: int,
        kernels: KernelProvider | None = None,
        on_event: ProgressListener = ignore,
    ) -> None:
        """Carry out at most `parallel` runs at once, of the project at `site`."""
        self._store, self._site, self._kernels, self._on_event = store, site, kernels, on_event
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="nbpipe-run")

    def start(self, run_id: str, *, parallel: int, done: Callable[[str], None]) -> None:
        """Begin a run, with so many steps at once; call `done` with its id when it has ended, however it ended."""
        self._threads.submit(self._carry_out, run_id, parallel, done)

    def close(self) -> None:
        """Wait for all runs."""
        self._threads.shutdown()

    def _carry_out(self, run_id: str, parallel: int, done: Callable[[str], None]) -> None:
        site = msgspec.structs.replace(self._site, parallel=parallel)
        try:
            # what goes wrong is in the run's record; one that was canceled before it began is refused
            with contextlib.suppress(NbpipeError):
                Runner(self._store, site, kernels=self._kernels, on_event=self._on_event).execute(run_id)
        finally:
            done(run_id)
