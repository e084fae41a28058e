"""What became of the partitions of a run: kernels note each of them, this settles what they did not reach.

The algebra of partitions is loaded when a run has some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from nbpipe import clock
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Outcome, kept_error
from nbpipe.core.runs.outcomes import AssetOutcome

if TYPE_CHECKING:
    from nbpipe.core.partitions.book import PartitionBook
    from nbpipe.core.partitions.sets import PartitionSet
    from nbpipe.core.partitions.subsets import PartitionSubset

#: What has ended without being done, unless it was skipped by its cell.
_BAD: tuple[Outcome, ...] = ("failed", "skipped", "canceled")


class RunPartitions:
    """The partitions that a run's plan names."""

    def __init__(
        self,
        store: StateStore,
        *,
        run_id: str,
        env: str,
        partitions: Mapping[str, tuple[str, ...]],
        sets: Mapping[str, str],
    ) -> None:
        """Know the plan: see `RunPlan.partitions` and `RunPlan.sets`."""
        self._store = store
        self._run_id = run_id
        self._env = env
        self._partitions = partitions
        self._sets = sets

    def __contains__(self, asset: object) -> bool:
        return asset in self._partitions

    @cached_property
    def book(self) -> PartitionBook:
        """The sets of what the run executes and reads."""
        from nbpipe.core.partitions.book import PartitionBook

        return PartitionBook(self._sets, self._store.partitions, self._env)

    def planned(self, asset: str) -> PartitionSubset:
        """Return which partitions of an asset the run executes."""
        from nbpipe.core.runs.planned_partitions import planned_subset

        return planned_subset(self.book, asset, self._partitions[asset], clock.now())

    def executions(self, spec: AssetSpec) -> int:
        """Return how often the body of an asset's cell is executed."""
        if spec.key not in self._partitions:
            return 1
        number = len(self.planned(spec.key))
        if not spec.ranged:
            return number
        size = spec.options.backfill
        return 1 if size in (None, "single") else -(-number // int(size))

    def bad(self, asset: str) -> PartitionSubset:
        """Return what has ended in this run without being done."""
        rows = self._store.run_assets(self._run_id, assets=[asset], outcomes=_BAD)
        return _subset(self.planned(asset).of, (row.partition for row in rows if not row.done))

    def loses(self, spec: AssetSpec, upstream: str) -> bool:
        """Tell whether nothing is left to do of an asset, since partitions of an upstream are not done.

        What takes whatever there is (`all`) goes on without some of them, but not if none is done.
        """
        from nbpipe.core.partitions.links import WHOLE
        from nbpipe.core.partitions.subsets import single
        from nbpipe.errors import DeclarationError

        try:
            link = self.book.link(spec, upstream)
        except DeclarationError:  # it is there for the order alone
            return False
        bad = self.bad(upstream)
        if link.lenient:
            return len(bad) == len(self.planned(upstream))
        mine = self.planned(spec.key) if spec.key in self else single(WHOLE, "")
        if link.up == WHOLE:
            return True
        if spec.key not in self:  # `latest` of today, not of the days before the run
            return bool(link.upstream_of(mine, clock.now()) & bad)
        return not mine - link.downstream_of(bad, clock.now())

    def fail_started(self, asset: str, error: str) -> None:
        """Note the failure of what was being worked on; of everything that is left, if nothing had begun or failed."""
        from nbpipe.core.partitions.ranges import range_texts, ranges_label
        from nbpipe.core.partitions.subsets import PartitionSubset

        planned = self.planned(asset)
        facts = self._store.partitions.facts(self._env, asset)
        started = planned & PartitionSubset(planned.of, facts.families(lambda chunk: chunk.running))
        if not started:
            found = self.outcome(asset)
            if found.failed or not found.left:
                return
            rows = self._store.run_assets(self._run_id, assets=[asset], outcomes=("queued", "running"))
            started = _subset(planned.of, (row.partition for row in rows))
        label, keys = ranges_label(range_texts(started), len(started)), tuple(started)
        which, run_id = started.families, self._run_id
        self._store.partitions.fail(
            self._env, asset, which, error, at=clock.now(), label=label, keys=keys, run_id=run_id
        )

    def end(self, asset: str, outcome: Outcome, error: str | None) -> None:
        """Set what became of everything that was not reached."""
        self._store.end_partitions(self._run_id, asset, outcome, at=clock.now(), error=error)

    def outcome(self, asset: str) -> AssetOutcome:
        """Return what has become of an asset so far."""
        return AssetOutcome(self._store.outcome_counts(self._run_id).get(asset, {}))

    def reason(self, asset: str) -> str | None:
        """Return what is noted of the first partition of an asset."""
        rows = self._store.run_assets(self._run_id, assets=[asset], limit=1)
        return rows[0].error if rows else None

    def account(self, asset: str) -> str:
        """Say how many partitions of an asset failed, and how the first one did."""
        found = self.outcome(asset)
        rows = self._store.run_assets(self._run_id, assets=[asset], outcomes=["failed"], limit=1)
        if rows and found.total == 1:
            return kept_error(f"{asset}@{rows[0].partition} failed: {rows[0].error}")
        first = f": {rows[0].partition}: {rows[0].error}" if rows else ""
        return kept_error(f"{found.failed:,} of {found.total:,} partitions of {asset} failed{first}")


def _subset(of: PartitionSet, keys: Iterable[str]) -> PartitionSubset:
    """Return the partitions of some keys."""
    from nbpipe.core.partitions.subsets import PartitionSubset, families_of

    return PartitionSubset(of, families_of(map(of.position, keys)))
