"""Make forks of a process that has imported much cheap, in time and in memory."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

#: madvise(2), since Linux 6.1: put memory together into large pages now.
_MADV_COLLAPSE = 25
#: What the system says of large pages: whether anybody may have them, and how large they are.
_LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")


def ready_to_fork() -> None:
    """Arrange memory for forks; called after the last import, and again after later ones."""
    gc.collect()
    gc.freeze()  # the collector touches each object: shared memory would be copied
    if sys.platform == "linux":
        _use_large_pages()


def _use_large_pages() -> None:
    """Let a fork copy, and its end clear, one entry of a table instead of hundreds: half of what a fork costs.

    It is a wish: a system that can't do so refuses each piece, and nothing is different.
    """
    try:
        if "[never]" in (_LARGE_PAGES / "enabled").read_text():
            return
        size = int((_LARGE_PAGES / "hpage_pmd_size").read_text())
        lines = Path("/proc/self/maps").read_text().splitlines()
    except (OSError, ValueError):
        return
    madvise = ctypes.CDLL(None).madvise
    for line in lines:
        for piece in pieces(line, size):
            madvise(ctypes.c_void_p(piece), ctypes.c_size_t(size), _MADV_COLLAPSE)


def pieces(line: str, size: int) -> range:
    """Return where large pages fit into a line of `/proc/self/maps`, if it is ordinary memory."""
    span, rights, _, _, _, *name = line.split(maxsplit=5)
    if rights != "rw-p" or name not in ([], ["[heap]"]):
        return range(0)
    begin, end = (int(number, 16) for number in span.split("-"))
    return range(-(-begin // size) * size, end - size + 1, size)
