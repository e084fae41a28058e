"""What carrying out a backfill needs: the project, somebody who carries out runs, and somebody who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import msgspec

from nbpipe.core.backfills.records import Backfill
from nbpipe.core.definitions import AssetSpec, Definitions
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.subsets import Families, PartitionSubset
from nbpipe.core.records import RunAsset
from nbpipe.core.runs.plans import RunPlan


class PlannedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run about to be queued."""

    plan: RunPlan
    definitions: Definitions
    """What it was planned from."""
    sources: Mapping[str, str] = MappingProxyType({})
    """Source text by component hash."""


class BackfillProject(Protocol):
    """The project that a backfill belongs to, as it is saved now."""

    def specs(self, assets: Sequence[str]) -> tuple[AssetSpec, ...]:
        """Return definitions in topological order.

        Raises:
            UnknownNameError: one is gone.
        """

    def book(self) -> PartitionBook:
        """Return the partitions of all assets."""

    def there(self) -> Mapping[str, Families]:
        """Return the partitions that have a value, by asset."""

    def plan(self, backfill: Backfill, partitions: Mapping[str, PartitionSubset]) -> PlannedRun:
        """Plan one run of a backfill, by the definitions that are saved at this moment.

        Raises:
            UsageError: it can't be run.
        """


class RunCarrier(Protocol):
    """Carries out queued runs."""

    def start(self, run_id: str, *, parallel: int, done: Callable[[str], None]) -> None:
        """Begin a run and return; call `done` with its id, from any thread, when it has ended however it ended."""

    def close(self) -> None:
        """Wait for all runs."""


class BackfillNews(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened in a backfill."""

    backfill: Backfill
    """With its counts."""
    running: int
    """Partitions that runs work on."""
    failures: tuple[RunAsset, ...] = ()
    """What has failed since the last news."""


def unheard(news: BackfillNews) -> None:
    """Take no note of what happens."""
