"""What has become of an asset in a run, from what has become of each of its partitions."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nbpipe.core.records import Counted, Outcome

_DONE: tuple[Counted, ...] = ("success", "unchanged", "idle")
_LEFT: tuple[Outcome, ...] = ("queued", "running")


class AssetOutcome(msgspec.Struct, frozen=True):
    """One asset in one run; without partitions, as if it had one."""

    counts: Mapping[Counted, int]
    """See `RunStore.outcome_counts`."""

    @property
    def total(self) -> int:
        """Return how many partitions there are."""
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """Return in how many nothing is left to do."""
        return sum(self.counts.get(outcome, 0) for outcome in _DONE)

    @property
    def failed(self) -> int:
        """Return how many failed."""
        return self.counts.get("failed", 0)

    @property
    def left(self) -> int:
        """Return how many have not ended."""
        return sum(self.counts.get(outcome, 0) for outcome in _LEFT)

    @property
    def lost(self) -> int:
        """Return how many were not tried."""
        return self.counts.get("skipped", 0) + self.counts.get("canceled", 0)

    @property
    def idle(self) -> int:
        """Return how many were skipped by their own body; `done` has them too."""
        return self.counts.get("idle", 0)

    @property
    def is_idle(self) -> bool:
        """Return whether its body had nothing to do for any partition."""
        return self.idle == self.total > 0

    @property
    def told(self) -> Outcome:
        """Return `outcome` as people are told: what had nothing to do was skipped, though nothing is lost by it."""
        return "skipped" if self.is_idle else self.outcome

    @property
    def outcome(self) -> Outcome:
        """Return one word for all: what is worst, once all have ended."""
        counts = self.counts
        if self.left:
            return "running" if self.left < self.total or counts.get("running") else "queued"
        for outcome in ("failed", "canceled", "skipped", "success"):
            if counts.get(outcome):
                return outcome
        return "unchanged"

    @property
    def partial(self) -> bool:
        """Return whether some partitions are done and others are not: what needs the asset may go on."""
        return bool(self.done) and bool(self.failed or self.lost)
