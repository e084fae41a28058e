"""What `why` answers: a tree of reasons."""

from __future__ import annotations

import msgspec


class CodeChange(msgspec.Struct, frozen=True, kw_only=True):
    """One changed component of an asset's code."""

    component: str
    """As a person would say it: `code`, `helper clean()`."""
    diff: str
    """Unified, from the recorded source to today's; empty if one of them is not known."""


class PartitionReason(msgspec.Struct, frozen=True, kw_only=True):
    """Some partitions of an asset that are failed, missing or stale for one reason."""

    reason: str
    """`failed`, `missing`, or what drifted."""
    partitions: int
    ranges: tuple[str, ...]
    """The first of them, as `--partitions` reads them."""
    more: bool = False
    """There are more ranges."""


class WhyNode(msgspec.Struct, frozen=True, kw_only=True):
    """One asset, or one partition, in the tree of reasons."""

    asset: str
    partition: str | None = None
    status: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    partitions: tuple[PartitionReason, ...] = ()
    """Of an asset with partitions: which are failed, missing or stale, and why."""
    changes: tuple[CodeChange, ...] = ()
    upstream: tuple[str, ...] = ()
    """Those of its inputs that are a reason, and are explained in a node of their own: `ASSET` or `ASSET@KEY`."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an asset or partition is as it is: its own node first, then those that it leads to."""

    asset: str
    partition: str | None = None
    nodes: tuple[WhyNode, ...]
