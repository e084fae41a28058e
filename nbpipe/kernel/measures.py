"""Measure the memory that the execution of a body takes."""

from __future__ import annotations

import sys
from pathlib import Path

_RESET_PEAK = "5"
"""Written to /proc/self/clear_refs it resets the peak resident size (proc(5), since Linux 4.0)."""


def reset_peak_memory() -> None:
    """Begin a new measurement of the peak, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return


def peak_memory() -> int | None:
    """Return the highest resident size of this process in bytes, since the reset where the system can."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
