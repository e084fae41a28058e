"""What goes into the state store for single partitions, and what comes out."""

from __future__ import annotations

from datetime import datetime

import msgspec

from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.sets import Position
from nbpipe.core.records import Materialization, NewMaterialization


class NewPartition(msgspec.Struct, frozen=True, kw_only=True):
    """The value of one partition about to be made current."""

    position: Position
    value: NewMaterialization
    """With the partition's key. Its preview, displays and sources of code are not kept for each partition: sources are
    kept once, previews can be made from the value."""
    inputs: int = 0
    """Fingerprint of the inputs, see `inputs.Inputs.fingerprint`."""


class SkippedPartition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition that was executed and had nothing to do."""

    env: str
    asset: str
    partition: str
    """Its key."""
    position: Position
    recipe: Recipe
    inputs: int = 0
    reason: str = ""
    run_id: str | None = None
    at: datetime


class PartitionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one partition."""

    partition: str
    current: Materialization | None = None
    failed_at: datetime | None = None
    """Set if the latest attempt failed."""
    error: str | None = None
    failed_run: str | None = None
    skipped_at: datetime | None = None
    """Set if the latest execution had nothing to do."""
    reason: str | None = None
    held: bool = False
    """Rolled back by a person: not executed unless forced."""
    running: tuple[str, ...] = ()
    """The runs that work on it."""
