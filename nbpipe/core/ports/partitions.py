"""The part of the state store that is about partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from nbpipe.core.records import (
    Materialization,
    StoredValue,
)

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.chunks import PartitionFacts
    from nbpipe.core.partitions.recipes import Recipe
    from nbpipe.core.partitions.records import NewPartition, PartitionDetail, SkippedPartition
    from nbpipe.core.partitions.registries import KeyRegistry
    from nbpipe.core.partitions.sets import Position
    from nbpipe.core.partitions.subsets import Families


class PartitionStore(Protocol):
    """What is known of the partitions of assets. Every call that changes something is one durable transaction.

    Partitions are given by position, many of them as families (see `core.partitions`); `key` and `label` are what a
    person reads: a partition key, or a range. One event tells of all partitions of an asset that one call changes.
    In facts, data versions appear as `chunks.number_of` of their texts, and recipes by their number.
    """

    def commit(self, values: Sequence[NewPartition]) -> tuple[Materialization, ...]:
        """Make values current, all or none; assign versions; clear failures, skips, holds and the run's marks.

        Within an active run also set the outcome of the run's partitions to `success`. No partition may occur twice.
        """

    def skip(self, values: Sequence[SkippedPartition]) -> None:
        """Note executions that had nothing to do; what is current stays current."""

    def fail(
        self,
        env: str,
        asset: str,
        which: Families,
        error: str,
        *,
        at: datetime,
        label: str = "",
        keys: Sequence[str] = (),
        run_id: str | None = None,
    ) -> None:
        """Note that the latest attempts failed; what is current stays current.

        Args:
            env: name of the environment.
            asset: its name.
            which: the partitions.
            error: why.
            at: now.
            label: what a person reads in the event.
            keys: the keys of the partitions, whose places in the run get the outcome; needed unless `label` is the key.
            run_id: the run that tried.
        """

    def start(
        self,
        env: str,
        asset: str,
        which: Families,
        *,
        run_id: str,
        at: datetime,
        label: str = "",
        keys: Sequence[str] = (),
    ) -> None:
        """Mark partitions as being worked on by an active run; ignored if it has ended. For `keys` see `fail`.

        Marks end with the outcome of the partition, or with the run: in one that fails, what it still worked on has
        failed itself.
        """

    def stop(
        self,
        env: str,
        asset: str,
        which: Families,
        *,
        run_id: str,
        at: datetime,
        label: str = "",
        keys: Sequence[str] = (),
    ) -> None:
        """Remove marks of a run, which left nothing: in it the partitions are queued again. For `keys` see `fail`."""

    def facts(self, env: str, asset: str) -> PartitionFacts:
        """Return what is known of all partitions; the same object as before if nothing has changed.

        O(chunks) the first time, then O(chunks that have changed).
        """

    def recipes(self, env: str, asset: str) -> Mapping[int, Recipe]:
        """Return every recipe by which partitions of an asset were made, by number; cached like `facts`."""

    def detail(self, env: str, asset: str, key: str, position: Position) -> PartitionDetail:
        """Return what is known of one partition. O(1)."""

    def materialization(
        self, env: str, asset: str, key: str, position: Position, *, version: int | None = None
    ) -> Materialization | None:
        """Return the current materialization of a partition, or the one of a version. O(1)."""

    def history(self, env: str, asset: str, key: str, position: Position, *, limit: int = 20) -> list[Materialization]:
        """Return materializations of a partition, newest first."""

    def committed_at(self, env: str, asset: str) -> datetime | None:
        """Return when a partition last got a new value, also if it has none any more; None: never.

        It costs no more than looking at the events since.
        """

    def rollback(
        self, env: str, asset: str, key: str, position: Position, *, version: int, at: datetime
    ) -> Materialization:
        """Make an old version of a partition current again and hold it.

        Raises:
            MissingValueError: there is no such version, or retention has removed its value.
        """

    def wipe(
        self, env: str, asset: str, which: Families | None = None, *, at: datetime, label: str = ""
    ) -> tuple[StoredValue, ...]:
        """Forget the values of some partitions (None: of all); return what may now be deleted.

        Versions go on counting; what runs work on stays marked.
        """

    def expire(self, env: str, keep: int, *, at: datetime) -> tuple[StoredValue, ...]:
        """Mark all but the newest `keep` values of each partition as expired; return what may now be deleted.

        Never expires a current value, nor one that was current at any time since the oldest active run was created.
        """

    def keys(self, env: str, name: str, *, asset: str = "") -> KeyRegistry:
        """Return the ordinals of listed keys.

        Args:
            env: name of the environment.
            name: see `sets.registry_name`.
            asset: for a static dimension, the asset that declares it; empty for dynamic keys, which assets share.
        """

    def add_keys(self, env: str, name: str, keys: Iterable[str], *, at: datetime, asset: str = "") -> tuple[str, ...]:
        """Register keys, removed ones again under their old ordinals; return those that were not there.

        Raises:
            DeclarationError: a key is empty, or has blanks at its ends or control characters.
        """

    def choose_key(
        self, env: str, name: str, key: str, *, instead_of: str | None, at: datetime, asset: str
    ) -> str | None:
        """Let a key be the only one of a list that belongs to an asset, by compare-and-set; return the one that is.

        Nothing changes if another one than `instead_of` (None: any) is there by now, nor, unless that is None, if
        anything is known of partitions of the asset or a run works on them.

        Raises:
            DeclarationError: as `add_keys`.
        """

    def remove_keys(
        self, env: str, name: str, keys: Iterable[str], *, at: datetime, asset: str = ""
    ) -> tuple[str, ...]:
        """Remove keys, whose ordinals and facts stay; return those that were there."""
