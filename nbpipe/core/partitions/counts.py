"""How many partitions of an asset are what, in numbers and in words."""

from __future__ import annotations

from typing import Protocol

import msgspec

TROUBLES = ("running", "failed", "missing", "stale", "skipped")
"""What is named besides what has a value, in this order."""


class Counts(Protocol):
    """Numbers of partitions, by status."""

    @property
    def total(self) -> int:
        """All."""

    @property
    def materialized(self) -> int:
        """Those with a value."""


class PartitionCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many partitions there are. Every partition is counted in one of the last six."""

    total: int
    materialized: int
    """There is a value, whatever the status."""
    running: int
    failed: int
    missing: int
    stale: int
    skipped: int
    fresh: int


def counts_text(counts: Counts) -> str:
    """Write counts on one line: those with a value, and what there is of each trouble.

    >>> counts_text(PartitionCounts(total=31, materialized=28, running=0, failed=2, missing=1, stale=0, skipped=0,
    ...     fresh=28))
    '28/31 partitions, 2 failed, 1 missing'
    """
    parts = [f"{counts.materialized:,}/{counts.total:,} partition{'' if counts.total == 1 else 's'}"]
    for name in TROUBLES:
        number = getattr(counts, name)
        if number:
            parts.append(f"{number:,} {name}")
    return ", ".join(parts)
