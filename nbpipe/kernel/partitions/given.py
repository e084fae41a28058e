"""What a body sees as `partition`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.errors import UsageError


class Partition:
    """The partition that a body is executed for; in a range run several of them.

    Attributes:
        keys: the keys, in their order.
    """

    def __init__(self, of: PartitionSet, keys: tuple[str, ...]) -> None:
        """Stand for some partitions of a set."""
        self._of = of
        self.keys = keys

    @property
    def key(self) -> str:
        """The key of the partition.

        Raises:
            UsageError: there are several in this run.
        """
        if len(self.keys) != 1:
            raise UsageError(f"this execution is for {len(self)} partitions ({self}): use partition.keys")
        return self.keys[0]

    @property
    def start(self) -> datetime | None:
        """When its time begins, of several the earliest; aware. None for partitions without time."""
        return min(begin for begin, _ in self._windows) if self._windows else None

    @property
    def end(self) -> datetime | None:
        """When its time has ended, of several the latest; aware. None for partitions without time."""
        return max(end for _, end in self._windows) if self._windows else None

    @cached_property
    def _windows(self) -> list[tuple[datetime, datetime]]:
        return [window for key in self.keys if (window := self._of.window(key)) is not None]

    def __getitem__(self, dimension: str) -> str:
        """Return the key of a dimension, given by its name.

        Raises:
            UnknownNameError: there is no such dimension; names the nearest.
            UsageError: several partitions differ in it.
        """
        index = self._of.index(dimension)
        found = {self._of.split(key)[index]: None for key in self.keys}
        if len(found) != 1:
            raise UsageError(
                f"the {len(self)} partitions of this execution have different keys of {dimension}: "
                f"ask each one, for one in partition: one[{dimension!r}]"
            )
        return next(iter(found))

    def __iter__(self) -> Iterator[Partition]:
        """Yield the partitions one by one."""
        return (Partition(self._of, (key,)) for key in self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def __str__(self) -> str:
        return self.keys[0] if len(self.keys) == 1 else f"{self.keys[0]} to {self.keys[-1]}"

    def __repr__(self) -> str:
        if len(self.keys) != 1:
            return f"<{len(self)} partitions: {self}>"
        parts = zip(self._of.dimensions, self._of.split(self.key), strict=True)
        named = ", ".join(f"{part.name}={key}" for part, key in parts if part.name)
        window = f", {self.start} to {self.end}" if self.start is not None else ""
        return f"<partition {self.key}{f' ({named})' if named else ''}{window}>"
