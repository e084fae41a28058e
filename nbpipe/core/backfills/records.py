"""What the state store keeps of a backfill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import msgspec

from nbpipe.core.partitions.subsets import Families, compact, difference, intersection, size, union
from nbpipe.core.records import WorkerId

BackfillStatus: TypeAlias = Literal["queued", "running", "success", "failure", "canceled"]
"""`queued`: nobody works on it; `failure`: it has ended, and something failed."""

PARTS = ("done", "failed", "skipped", "lost")
"""What may have become of a partition; the first counts where several are given."""

ACTIVE_BACKFILL: frozenset[str] = frozenset({"queued", "running"})

_NONE: Families = MappingProxyType({})


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """One backfill."""

    id: str
    env: str
    status: BackfillStatus = "queued"
    selection: str = ""
    """As written."""
    partitions: str = ""
    """What was asked for, in words: a range, `all`, `missing`, `failed` or `stale`."""
    assets: tuple[str, ...] = ()
    """In topological order."""
    parameters: Mapping[str, Any] = MappingProxyType({})
    total: int = 0
    """How many (asset, partition) there are; an asset without partitions is one."""
    done: int = 0
    failed: int = 0
    skipped: int = 0
    """By `context.skip`."""
    lost: int = 0
    """Not tried, because something upstream of it failed."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    cancel_requested: bool = False
    worker: WorkerId | None = None
    """The process that works on it."""


class Portion(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the partitions of one asset in a backfill. Nothing is in two of the last four."""

    requested: Families
    done: Families = _NONE
    failed: Families = _NONE
    skipped: Families = _NONE
    lost: Families = _NONE
    """Not tried, because something upstream of it failed."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how many there are: `total`, and by the names in `PARTS`."""
        return {"total": size(self.requested), **{name: size(getattr(self, name)) for name in PARTS}}

    def settle(self, ended: Portion) -> Portion:
        """Return the portion after more of its partitions have ended; of the others in `ended` nothing is kept."""
        seen, new = _NONE, {}
        for name in PARTS:
            new[name] = difference(intersection(getattr(ended, name), self.requested), seen)
            seen = union(seen, new[name])
        changed = {name: union(difference(getattr(self, name), seen), new[name]) for name in PARTS}
        return msgspec.structs.replace(self, **changed)

    def retry(self) -> Portion:
        """Return the portion as if what failed and what was lost had never been tried."""
        return msgspec.structs.replace(self, failed=_NONE, lost=_NONE)

    def compact(self) -> Portion:
        """Return the portion without empty families, and with nothing that was not requested."""
        empty = Portion(requested=compact(self.requested))
        return empty.settle(self)
