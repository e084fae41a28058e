"""What keeps values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from nbpipe.core.records import (
    StoredValue,
)


class IOManager(Protocol):
    """Writes values and reads them back."""

    name: str

    def store(self, value: object, target: StoreTarget) -> StoredValue:
        """Write a value to a new path, durable when this returns.

        Raises:
            UnstorableValueError: names the asset, the type and the remedy.
        """

    def group(self) -> ValueGroup:
        """Begin a group of values that become durable together: quicker than one by one."""

    def load(self, stored: StoredValue) -> Any:
        """Read a value.

        Raises:
            MissingValueError: the file is gone or can't be read.
        """

    def delete(self, stored: StoredValue) -> None:
        """Remove a value; it is no error if it is gone already."""

    def local_path(self, stored: StoredValue) -> str:
        """Return the path or URL of the stored file, for a person."""

    def shareable(self, value: object, stored: StoredValue) -> bool:
        """Tell whether `value` may be handed on in this process instead of being read again.

        True only if it round-trips exactly and is immutable, or is a pandas object without object columns.
        """

    def sweep(self, keep: Callable[[str], bool], *, older_than: datetime) -> int:
        """Remove files that no record refers to and that are older; return how many bytes that freed."""


class ValueGroup(Protocol):
    """Values of which many are written before any is referred to."""

    def store(self, value: object, target: StoreTarget) -> StoredValue:
        """Write a value to a new path, durable when `flush` has returned; without a preview.

        Raises:
            UnstorableValueError: names the asset, the type and the remedy.
            StoredValueError: the file can't be written.
        """

    def flush(self) -> None:
        """Make durable what was stored since the last time.

        Raises:
            StoredValueError: it can't be; none of these values may be referred to.
        """

    @property
    def size(self) -> int:
        """Return the bytes that were stored since the last flush."""


class StoreTarget(Protocol):
    """Where a value belongs."""

    @property
    def env(self) -> str:
        """Name of the environment."""

    @property
    def asset(self) -> str:
        """Name of the asset."""

    @property
    def partition(self) -> str:
        """Key of the partition, empty without one."""

    @property
    def uid(self) -> str:
        """Unique per commit: a value is never written over another."""
