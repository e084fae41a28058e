"""Limit the memory of a process that runs already; only Linux can."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

#: What a kernel may take beyond its limit, to tell of the error and to end in good order.
SPARE = 64 << 20


def limit_memory(pid: int, memory: int | None) -> None:
    """Let a process, and each that it starts, take no more than `memory` bytes beyond what it has now.

    What counts is the memory that only it can write to (`RLIMIT_DATA` of getrlimit(2)): a limit of addresses would
    stop programs that reserve many and use few. A fork of a warm process has all of its libraries already.

    Args:
        pid: the process; it may have ended.
        memory: None: no limit. On other systems than Linux there is none either.
    """
    if memory is None or sys.platform != "linux":
        return
    import resource

    with contextlib.suppress(OSError):  # it has ended, or left out its own limits: a limit can't be lifted
        limit = _taken(pid) + memory
        highest = resource.prlimit(pid, resource.RLIMIT_DATA)[1]
        wanted = (limit, limit + SPARE)
        if highest != resource.RLIM_INFINITY:
            wanted = (min(limit, highest), min(limit + SPARE, highest))
        resource.prlimit(pid, resource.RLIMIT_DATA, wanted)


def _taken(pid: int) -> int:
    """Return how many bytes count now (proc(5), status)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return 0
