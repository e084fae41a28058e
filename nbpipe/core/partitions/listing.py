"""The keys of a set for those who want to go through them: a collection that never lists them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.core.partitions.subsets import everything


class PartitionKeys(Collection[str]):
    """The keys of a set as of a moment, in their order; of time, those whose window has ended."""

    def __init__(self, of: PartitionSet, now: datetime) -> None:
        """Take the keys of a set at a moment."""
        self._all = everything(of, now)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)

    def __iter__(self) -> Iterator[str]:
        """Yield them one by one."""
        return iter(self._all)

    def __contains__(self, key: object) -> bool:
        """Return whether it is one of them."""
        return isinstance(key, str) and self._all.of.is_valid(key) and key in self._all

    def __repr__(self) -> str:
        """Return a short text: how many keys of what."""
        return f"<{len(self):,} partition keys of {self._all.of}>"
