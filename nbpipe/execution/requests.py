"""What is asked of kernels: how to start, and what a step's kernel must know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from nbpipe import settings
from nbpipe.core.runs.tasks import DEFAULT_KERNEL, PROTOCOL, StepTask

#: A notebook with any of these needs nbpipe in its kernel; the rest of its text is Python's business.
_OURS = re.compile(r"\bnbpipe\b|^%%(asset|op|graph|check|sensor|resource)\b", re.MULTILINE)


#: Tags of cells that are never executed.
SKIPPED = frozenset({"skip-execution", "nbpipe:skip"})


class NewKernel(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel is to be like."""

    kernel_name: str = DEFAULT_KERNEL
    cwd: str
    environ: Mapping[str, str] = MappingProxyType({})
    memory: int | None = None


def kernel_for(task: StepTask) -> NewKernel:
    """Return the kernel that a step needs: in the working notebook's folder, and marked as the run's."""
    request = task.request
    notebook = Path(request.root, request.notebook)
    marks = {settings.RUN_ID: request.run_id, settings.STEP: str(request.step.index), settings.ENVIRONMENT: request.env}
    return NewKernel(
        kernel_name=request.step.kernel or DEFAULT_KERNEL,
        cwd=str(notebook.parent),
        environ={**stable_hashes(), **task.environ, settings.NOTEBOOK: str(notebook), **marks},
        memory=None if task.memory is None else task.memory.size,
    )


def stable_hashes() -> dict[str, str]:
    """Return what makes sets iterate in the same order in every run, unless the person has chosen otherwise."""
    return {} if settings.HASH_SEED in settings.inherited() else {settings.HASH_SEED: "0"}


def needs_nbpipe(task: StepTask, cells: list[Any]) -> bool:
    """Tell whether a step's kernel must have nbpipe: not for a notebook that never speaks of it."""
    return bool(task.request.assets) or any(cell.cell_type == "code" and _OURS.search(cell.source) for cell in cells)


def executable(cell: object) -> bool:
    """Tell whether a cell of a notebook is code that may be executed."""
    return (
        getattr(cell, "cell_type", "") == "code"
        and bool(str(getattr(cell, "source", "")).strip())
        and not SKIPPED & set(getattr(cell, "metadata", {}).get("tags", []))
    )


#: A kernel's queue holds 1,000 messages and drops what is more, for example while this machine is busy.
_LONG_QUEUE = """
try:
    import zmq
    from IPython import get_ipython
    thread = get_ipython().kernel.iopub_thread
    thread.schedule(lambda: thread.socket.setsockopt(zmq.SNDHWM, 100_000))
except Exception:
    pass
"""


def watch_code(pipe: int) -> str:
    """Return code that makes a Python kernel end with the process that drives it, and lose no output.

    The kernel's environment may lack nbpipe, so the watchdog's text is sent; nothing stays in the notebook's names.
    """
    watch = f"watch({pipe})" if pipe >= 0 else ""
    code = f"{_source('watchdog')}\n{watch}\n{_LONG_QUEUE}"
    return f"exec(compile({code!r}, '<nbpipe>', 'exec'), {{'__name__': 'nbpipe_watchdog'}})"


def spare_code() -> str:
    """Return code that lets a kernel with little memory tell of it, also where its environment lacks nbpipe."""
    code = f"{_source('spare_memory')}\nfrom IPython import get_ipython\nattach(get_ipython())\n"
    return f"exec(compile({code!r}, '<nbpipe>', 'exec'), {{'__name__': 'nbpipe_spare_memory'}})"


def _source(module: str) -> str:
    return Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")


def begin_code(request: Path) -> str:
    """Return code that loads nbpipe into a kernel for a step."""
    source = (
        "import importlib\n"
        "from nbpipe.core.runs.tasks import PROTOCOL\n"
        f"if PROTOCOL != {PROTOCOL}:\n"
        f"    raise ImportError(f'protocol {{PROTOCOL}} instead of {PROTOCOL}')\n"
        "begin = importlib.import_module('nbpipe.kernel.step').begin\n"
    )
    call = f"begin({str(request)!r})\n"
    return f"exec(compile({source + call!r}, '<nbpipe>', 'exec'), {{'__name__': 'nbpipe_begin'}})"


#: IPython looks for modules in the working folder after those of Python itself; a step does so first.
FOLDER_CODE = "__import__('sys').path.insert(0, __import__('os').getcwd())"


def define_code(source: str, names: Iterable[str]) -> str:
    """Return code that executes only what `names` stand for in the source of a view cell."""
    return f"__import__('nbpipe.kernel.step').kernel.step.define({source!r}, {sorted(names)!r})"


END_CODE = "__import__('nbpipe.kernel.step').kernel.step.end()"

#: What Python does at its end, without what takes it long: threads and exit functions are waited for, files are
#: written out, and then the process is gone.
_FAREWELL = """
import atexit, gc, io, os, threading
for step in (getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)):
    try:
        step and step()
    except BaseException:
        pass
for file in gc.get_objects():
    if isinstance(file, (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)):
        try:
            file.flush()
        except BaseException:
            pass
os._exit(0)
"""
FAREWELL_CODE = f"exec(compile({_FAREWELL!r}, '<nbpipe>', 'exec'), {{'__name__': 'nbpipe_farewell'}})"
