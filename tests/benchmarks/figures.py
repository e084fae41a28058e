"""Measure, compare with a limit measured in the same run, and keep the figures for a table.

Medians, and what is compared is measured in turns: a machine that is busy for a while slows both. Limits in
milliseconds hold for an idle machine of a certain speed; they are scaled by a plain loop, measured beside the
work, which tells how much slower this machine is now. Work that only computes is measured in CPU time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

Clock = Callable[[], float]
Work = Callable[[], object]

#: What the plain loop takes on the machine for which limits in milliseconds are meant.
_NOMINAL = 3.0
#: Limits grow no more than this: on a machine that is slower still, a figure says nothing, and must not pass for good.
_MOST = 5.0


class Figure(NamedTuple):
    """One line of the table."""

    name: str
    measured: float
    limit: float | None
    unit: str

    def line(self) -> str:
        """Return the columns of the table."""
        if self.limit is None:
            return f"{self.name:<72}{'':>12}{self.measured:>12.2f}{'':>8} {self.unit}"
        return f"{self.name:<72}{self.limit:>12.2f}{self.measured:>12.2f}{self.measured / self.limit:>8.2f} {self.unit}"


HEADINGS = f"{'what':<72}{'limit':>12}{'measured':>12}{'ratio':>8} unit"


class Figures:
    """What was measured in this run."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.all: list[Figure] = []

    def note(self, name: str, measured: float, unit: str = "ms") -> None:
        """Keep a figure that has no limit."""
        self.all.append(Figure(name, measured, None, unit))

    def check(self, name: str, measured: float, limit: float, unit: str = "ms") -> None:
        """Keep a figure, and fail if it is above its limit."""
        self.all.append(Figure(name, measured, limit, unit))
        assert measured <= limit, f"{name}: {measured:.2f} {unit}, limit {limit:.2f}"


def milliseconds(work: Work, *, times: int = 1, clock: Clock = time.perf_counter) -> float:
    """Return the median duration of a call."""
    return alternate({"": work}, times=times, clock=clock)[""]


def alternate(works: Mapping[str, Work], *, times: int, clock: Clock = time.perf_counter) -> dict[str, float]:
    """Return the median duration of each call in milliseconds; the calls take turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(times):
        for name, work in works.items():
            begin = clock()
            work()
            taken[name].append((clock() - begin) * 1000)
    return {name: statistics.median(each) for name, each in taken.items()}


def loop() -> None:
    """Compute for a few milliseconds what such programs compute: parse a text, and walk over many small objects."""
    import ast
    import inspect
    import textwrap

    seen = {}
    for node in ast.walk(ast.parse(inspect.getsource(textwrap))):
        for name, value in ast.iter_fields(node):
            seen[name] = str(value)[:20] if value.__class__ is str else seen.get(name)


def slowness(clock: Clock = time.perf_counter) -> float:
    """Return how many times slower than meant this machine is now: from 1 to 5."""
    return slower(milliseconds(loop, times=15, clock=clock))


def slower(loop_took: float) -> float:
    """Return how many times slower than meant a machine is on which the plain loop took so many milliseconds."""
    return min(max(1.0, loop_took / _NOMINAL), _MOST)
