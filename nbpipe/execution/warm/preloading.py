"""Import beforehand what kernels and run workers need, and leave out what would not survive a fork.

A fork copies one thread. A module that starts threads, opens files or sockets, or makes an IPython shell when it
is imported would be half there in every copy, so after each import this process is looked at; its last import is
to blame for what is found, and the process starts again without it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

#: What every kernel of a step loads, in an order that makes it clear who is to blame.
KERNEL = (
    "ctypes",
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.debugger",
    "tornado.platform.asyncio",
    "tornado.queues",
    "IPython.core.completerlib",
    "IPython.core.logger",
    "IPython.extensions.storemagic",
    "faulthandler",
    "encodings.latin_1",
    "encodings.ascii",
    "encodings.utf_8_sig",
    "ipykernel.kernelspec",
    "nbpipe.storage.sqlite",
    "runpy",
    "nbpipe.kernel.step",
    "nbpipe.kernel.partitions.planned",
    "nbpipe.kernel.partitions.work",
    "nbpipe.storage.sql_partitions",
    "nbpipe.kernel.forked",
    "fsspec.implementations.local",
)

#: What notebooks may import: by top-level name, what is worth importing beforehand. Each was tested, see
#: tests/contracts/test_warm_libraries.py. Left out on purpose: polars (starts threads), plotly and tqdm.auto (look
#: for a shell when they are imported).
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy", "numpy.random"),
    "pandas": ("pandas", "pandas.io.formats.style"),
    "pyarrow": ("pyarrow", "pyarrow.parquet", "pyarrow.dataset"),
    "matplotlib": ("matplotlib", "matplotlib.pyplot"),
    "scipy": ("scipy", "scipy.stats"),
    "sklearn": ("sklearn", "sklearn.linear_model", "sklearn.ensemble", "sklearn.model_selection"),
    "ipywidgets": ("ipywidgets",),
    "networkx": ("networkx",),
    "requests": ("requests",),
    "tqdm": ("tqdm",),
}

#: What notebooks need besides, where they import something: tables are stored with pyarrow.
_BRINGS: Mapping[str, tuple[str, ...]] = {
    "pandas": ("pyarrow",),
    "seaborn": ("pandas", "pyarrow", "matplotlib", "scipy"),
    "statsmodels": ("pandas", "pyarrow", "scipy"),
    "xarray": ("pandas", "pyarrow"),
}

#: What is imported in a warm process that was not told what its notebooks import.
USUAL = ("numpy", "pandas", "pyarrow", "matplotlib", "ipywidgets", "tqdm")

#: What a run worker loads. A kernel forgets those of ours and these others: some decide, when they are imported,
#: whether there is a kernel to show progress in.
RUNNER = (
    "nbpipe.execution.papermill_import",
    "nbpipe.execution.engine",
    "nbpipe.execution.notebooks",
    "nbpipe.execution.sessions",
    "nbpipe.execution.warm.kernels",
    "nbpipe.cli.main",
    "nbpipe.cli.exits",
    "nbpipe.cli.progress",
    "nbpipe.cli.terminal",
    "nbpipe.cli.writing",
    "nbpipe.commands.queued",
    "nbpipe.commands.invoke",
    "nbpipe.core.partitions.counts",
    "nbpipe.pages.catalogue",
    "nbpipe.pages.assets",
    "nbpipe.pages.details",
    "nbpipe.pages.runs",
    "nbpipe.execution.warm.rehearsing",
)
_FORGOTTEN = ("papermill", "tqdm.auto", "tqdm.autonotebook", "tqdm.notebook")

#: Set while importing: they keep native libraries from starting threads. In a fork, OpenBLAS is told how many it
#: may have; the allocator of pyarrow needs none.
QUIET: Mapping[str, str] = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


class Preloaded(msgspec.Struct, frozen=True, kw_only=True):
    """What was imported."""

    modules: tuple[str, ...]
    forgotten: tuple[str, ...]
    """The names in `sys.modules` that kernels must not find."""
    variables: Mapping[str, str]
    """The environment variables that modules set."""


class SpoiltError(Exception):
    """A module did something that does not survive a fork."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(f"{module}: {reason}")
        self.module = module
        self.reason = reason


def preload(libraries: Iterable[str], denied: dict[str, str]) -> Preloaded:
    """Import everything but what is denied.

    Args:
        libraries: names of `LIBRARIES`; others are ignored.
        denied: module -> why it is left out; what can't be imported is added to it.

    Raises:
        SpoiltError: this process must not be forked any more.
    """
    open_files, variables = _open_files(), dict(_variables())
    wanted = [module for name in libraries for module in LIBRARIES.get(name, ())]
    found = [name for name in (*KERNEL, *wanted) if _import(name, denied, open_files)]
    before = set(sys.modules)
    found += [name for name in RUNNER if _import(name, denied, open_files, _MANNERS.get(name))]
    ours = {name for name in sys.modules if name.split(".")[0] == "nbpipe"} - before
    forgotten = ours | {
        name for name in sys.modules if any(name == root or name.startswith(root + ".") for root in _FORGOTTEN)
    }
    added = {name: value for name, value in _variables().items() if variables.get(name) != value}
    return Preloaded(modules=tuple(found), forgotten=tuple(sorted(forgotten)), variables=added)


#: The names after `import` or `from` at the start of a line.
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)|import[ \t]+([\w., \t]+))", re.MULTILINE)


def imported(sources: Iterable[str]) -> tuple[str, ...]:
    """Return which of `LIBRARIES` texts of code import."""
    roots: set[str] = set()
    for source in sources:
        for one, several in _IMPORT.findall(source):
            roots.update(part.strip().partition(".")[0].partition(" ")[0] for part in (one, *several.split(",")))
    return tuple(name for name in LIBRARIES if name in roots)


def needed(roots: Iterable[str]) -> tuple[str, ...]:
    """Return which of `LIBRARIES` notebooks need that import modules with these first parts of their names."""
    found = {name for root in roots for name in (root, *_BRINGS.get(root, ()))}
    return tuple(name for name in LIBRARIES if name in found)


def forget(names: Iterable[str]) -> None:
    """Let the next import of these modules execute them again."""
    for name in names:
        module = sys.modules.pop(name, None)
        parent, _, last = name.rpartition(".")
        if module is not None and parent and getattr(sys.modules.get(parent), last, None) is module:
            delattr(sys.modules[parent], last)


def _import(
    name: str, denied: dict[str, str], open_files: frozenset[str], then: Callable[[], object] | None = None
) -> bool:
    if name in denied:
        return False
    try:
        root = name.partition(".")[0]
        if root in LIBRARIES and importlib.util.find_spec(root) is None:
            return False
        importlib.import_module(name)
        if then is not None:
            then()
    except Exception as error:  # noqa: BLE001 - whatever a module of the person's environment does
        denied[name] = f"{type(error).__name__}: {error}"
    reason = spoilt(open_files)
    if reason:
        raise SpoiltError(name, reason)
    return name not in denied


def spoilt(open_files: frozenset[str]) -> str:
    """Return what there is in this process that does not survive a fork, or nothing."""
    threads = [Path(task, "comm").read_text(encoding="utf-8").strip() for task in Path("/proc/self/task").iterdir()]
    if len(threads) != 1:
        return f"it started threads ({', '.join(sorted(threads))})"
    # event loops, contexts of zeromq and connections of databases all have open files
    opened = _open_files() - open_files
    if opened:
        return f"it left files open ({', '.join(sorted(opened))})"
    shells = sys.modules.get("IPython.core.interactiveshell")
    if shells is not None and shells.InteractiveShell.initialized():
        return "it made an IPython shell"
    return ""


def _open_files() -> frozenset[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names, not paths
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")  # noqa: PTH115
        except OSError:  # the one by which the folder was read
            continue
    return frozenset(found)


def _variables() -> Mapping[str, str]:
    from nbpipe import settings

    return settings.inherited()


def _papermill() -> object:
    return sys.modules["nbpipe.execution.papermill_import"].papermill_engines()


def _rehearsal() -> object:
    return sys.modules["nbpipe.execution.warm.rehearsing"].rehearse()


#: What else makes a module load what it will need.
_MANNERS: Mapping[str, Callable[[], object]] = {
    "nbpipe.execution.papermill_import": _papermill,
    "nbpipe.execution.warm.rehearsing": _rehearsal,
}
