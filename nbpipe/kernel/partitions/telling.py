"""What is printed while the partitions of a cell are executed: a line for each of the first ones, then a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from IPython.utils.capture import capture_output

from nbpipe.kernel.sayings import say

_LINES = 20
"""Partitions that are told of one by one, and whose own output is shown; further failures are, so many again."""


class Teller:
    """Tells what becomes of partitions, if there are several."""

    def __init__(self, number: int) -> None:
        """Tell of so many partitions."""
        self.alone = number == 1
        self._outcomes: dict[str, str] = {}
        self._told = 0

    def tell(self, key: str, outcome: str, detail: str = "") -> None:
        """Say what became of a partition; what is said last of it counts."""
        self._outcomes[key] = outcome
        if self.alone:
            return
        limit = _LINES * 2 if outcome == "failed" else _LINES
        if self._told < limit:
            say(f"{key}: {outcome}{detail}")
        self._told += 1

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Hold back what a body shows, once much has been shown, unless it fails."""
        if self.alone or self._told < _LINES:
            yield
            return
        error: BaseException | None = None
        with capture_output() as captured:
            try:
                yield
            except BaseException as raised:  # noqa: BLE001 - it is raised again below
                error = raised
        if error is not None:
            if isinstance(error, Exception) and self._told < _LINES * 2:
                captured.show()  # type: ignore[no-untyped-call]
            raise error

    def end(self) -> None:
        """Sum up."""
        if not self.alone:
            counts = Counter(self._outcomes.values())
            parts = ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items())
            say(f"{len(self._outcomes):,} partitions: {parts}")
