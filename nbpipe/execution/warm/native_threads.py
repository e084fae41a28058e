"""Give the native libraries of a forked process the threads that they would have in a fresh one.

Measured with the wheels of numpy and scipy (OpenBLAS with pthreads): a library that was loaded with one thread
starts more when told to, and survives later forks. OpenMP (scikit-learn) and the pools of pyarrow start their
threads when first used, with the variables of the process at that time or the processors that it may use: they need
nothing.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

#: By the builds of OpenBLAS: its own, with 64-bit integers, and those that scipy's project builds.
_SETTERS = tuple(
    f"{prefix}openblas_set_num_threads{suffix}" for prefix in ("", "scipy_") for suffix in ("", "64_", "_64")
)
_VARIABLES = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")


def loaded_blas() -> tuple[str, ...]:
    """Return the paths of the OpenBLAS libraries in this process."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    # proc(5): the path is the sixth field, and may hold spaces
    paths = {fields[5] for fields in (line.split(None, 5) for line in lines) if len(fields) == 6}
    return tuple(sorted(path for path in paths if "openblas" in Path(path).name))


def restore_threads(libraries: tuple[str, ...], environ: Mapping[str, str]) -> None:
    """Let libraries compute on as many threads as their variables say, or on all processors."""
    said = next((int(environ[name]) for name in _VARIABLES if environ.get(name, "").strip().isdigit()), 0)
    count = said or len(os.sched_getaffinity(0))
    if count < 2:
        return
    for path in libraries:
        library = ctypes.CDLL(path)  # loaded already: this only finds it
        for name in _SETTERS:
            setter = getattr(library, name, None)
            if setter is not None:
                setter(count)
