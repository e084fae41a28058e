"""The partitions that a plan names, read again where it is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.ranges import parse_ranges, ranges_label
from nbpipe.core.partitions.subsets import PartitionSubset
from nbpipe.core.runs.plans import RunPlan
from nbpipe.errors import RefusedError


def planned_subset(book: PartitionBook, asset: str, texts: tuple[str, ...], now: datetime) -> PartitionSubset:
    """Return partitions that a plan names as texts, see `RunPlan.partitions`.

    Raises:
        RefusedError: the asset has no partitions.
        DeclarationError: a key was removed since the plan was made.
    """
    of = book.of(asset)
    if of is None:
        raise RefusedError(f"{asset} has no partitions")
    return parse_ranges(of, texts, now)


def run_label(plan: RunPlan, subsets: Mapping[str, PartitionSubset]) -> str | None:
    """Return for a person which partitions a run is about: those of its first asset that has some, which feeds others.

    None for a run without partitions.
    """
    first = next((spec.key for spec in plan.assets if spec.key in plan.partitions), None)
    return None if first is None else ranges_label(plan.partitions[first], len(subsets[first]))
