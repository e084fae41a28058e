"""Carry out a run that comes to nothing, so that forks find done what is done once per process.

Texts of SQL, decoders and patterns are made when they are first used. The state store of the rehearsal is a file
of its own, which is gone before anything is forked.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

from nbpipe import clock
from nbpipe.core.ports import Kernel, KernelRequest
from nbpipe.core.runs.plans import RunPlan, StepPlan
from nbpipe.core.runs.tasks import DEFAULT_KERNEL
from nbpipe.errors import RefusedError
from nbpipe.execution.kernels.connections import kernel_command
from nbpipe.execution.notebooks import OpenNotebook
from nbpipe.execution.runner import Runner, Site
from nbpipe.execution.submit import submit
from nbpipe.storage.open import open_store

_CELL: dict[str, Any] = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": None}
#: Formats of notebooks that are common; each has rules of its own.
_FORMATS = {
    "a.ipynb": {"cells": [{**_CELL, "id": "a"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
    "b.ipynb": {"cells": [_CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 4},
}
_STATE = "sqlite:///state.db"


class _NoKernels:
    def start(self, request: KernelRequest) -> Kernel:
        raise RefusedError(f"there is no kernel {request.kernel_name!r} in a rehearsal")


def rehearse() -> None:
    """Read notebooks, look up a kernel, and carry out a run whose kernel can't be started."""
    with tempfile.TemporaryDirectory(prefix="nbpipe-") as folder:
        root = Path(folder)
        for name, content in _FORMATS.items():
            (root / name).write_text(json.dumps(content), encoding="utf-8")
            OpenNotebook(root / name, name)
        with contextlib.suppress(RefusedError):
            kernel_command(DEFAULT_KERNEL)
        store = open_store(_STATE, root=root)
        try:
            plan = RunPlan(env="default", selection="", steps=(StepPlan(index=0, notebook="a.ipynb", whole=True),))
            run = submit(store, plan, root=root, run_id=clock.new_id(), at=clock.now())
            site = Site(root=folder, state=_STATE, storage=str(root / "values"), parallel=1)
            Runner(store, site, kernels=_NoKernels()).execute(run.id)
        finally:
            store.close()
