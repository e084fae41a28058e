"""Which share of an asset's partitions has which status, as a bar that fits into the node of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

#: From the left: what is done, then what is not, the most urgent last.
ORDER = ("fresh", "skipped", "stale", "missing", "running", "failed")

_THINNEST = 2.0


def share_bar(counts: Mapping[str, int], left: float, width: float) -> Iterator[tuple[str, float, float]]:
    """Yield status, begin and width of each piece of a bar; what there is of a status is seen, however little."""
    present = [status for status in ORDER if counts.get(status)]
    total = sum(counts[status] for status in present)
    thin = min(_THINNEST, width / max(len(present), 1))
    room = width - thin * len(present)
    for status in present:
        wide = thin + room * counts[status] / total
        yield status, left, wide
        left += wide
