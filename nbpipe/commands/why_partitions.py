"""Explains partitions for `why`: which are stale for which reason, and what is behind one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from pyroaring import BitMap

from nbpipe.commands.partition_references import partition_detail
from nbpipe.commands.why_nodes import PartitionReason, WhyNode
from nbpipe.commands.workspace import Workspace
from nbpipe.core.drift import Made
from nbpipe.core.partitions.explaining import (
    newer_upstreams,
    partition_notes,
    partition_reasons,
    stale_reasons,
)
from nbpipe.core.partitions.links import WHOLE, Link
from nbpipe.core.partitions.ranges import iterate_ranges
from nbpipe.core.partitions.records import PartitionDetail
from nbpipe.core.partitions.state import PartitionState, troubling
from nbpipe.core.partitions.subsets import PartitionSubset, intersection
from nbpipe.core.reasons import FAILED
from nbpipe.core.records import AssetState
from nbpipe.core.references import Reference
from nbpipe.core.staleness import failure_reason

_RANGES = 50
_PARTITIONS = 3
"""How many partitions of one upstream are explained."""


def partition_groups(state: PartitionState) -> tuple[PartitionReason, ...]:
    """Return what is failed, missing or stale, with the reasons and the ranges."""
    found = []
    for text, subset in stale_reasons(state):
        texts = tuple(islice(iterate_ranges(subset), _RANGES + 1))
        found.append(
            PartitionReason(reason=text, partitions=len(subset), ranges=texts[:_RANGES], more=len(texts) > _RANGES)
        )
    return tuple(found)


def drifted_recipes(workspace: Workspace, state: PartitionState, key: str = "") -> list[Made]:
    """Return the recipes of the partitions that are out of date by their recipe, or that of one."""
    if workspace.is_untouched:
        return []
    recipes = workspace.store.partitions.recipes(workspace.env, state.asset.asset)
    if key:
        chunk_id, offset = state.of.address(key)
        used = {n for n, which in state.asset.facts.chunk(chunk_id).codes if offset in which}
    else:
        used = set(state.asset.facts.recipes)
    return [recipes[number] for number in sorted(used) if state.asset.drift.get(number) and number in recipes]


def explained_partition(
    workspace: Workspace, states: Mapping[str, PartitionState], asset: str, key: str
) -> tuple[WhyNode, list[Reference]]:
    """Explain one partition; return its node, whose `upstream` is for the caller to fill, and what is behind it.

    Raises:
        UnknownNameError: it is no key of the asset.
    """
    state = states[asset]
    detail = partition_detail(workspace, asset, key, state.of.position(key))
    reasons = list(partition_reasons(state, key))
    if detail.failed_at is not None:
        told = AssetState(asset=asset, failed_at=detail.failed_at, error=detail.error)
        reasons = [each for reason in reasons for each in (failure_reason(told) if reason == FAILED else (reason,))]
    if detail.current is not None:
        reasons = list(newer_upstreams(state, key, detail.current.inputs, reasons))
    status, behind = state.status_of(key), list(_behind(state, key))
    node = WhyNode(
        asset=asset,
        partition=key,
        status=status or "missing",
        reasons=tuple(reasons),
        notes=(*partition_notes(state, key), *_notes(detail, pending=status is None), *_left_out(behind)),
    )
    return node, [each for link, bad in behind for each in _named(link, bad)]


def _left_out(behind: list[tuple[Link, PartitionSubset]]) -> Iterator[str]:
    for link, bad in behind:
        if len(bad) > _PARTITIONS:
            yield f"{len(bad):,} partitions of {link.upstream} are behind it, the first {_PARTITIONS} are explained"


def _notes(detail: PartitionDetail, *, pending: bool) -> Iterator[str]:
    if pending:
        yield "its window has not ended yet"
    if detail.held and detail.current is not None:
        yield f"held at version {detail.current.version} (rolled back)"
    if detail.skipped_at is not None:
        yield f"skipped: {detail.reason}" if detail.reason else "skipped"


def _behind(state: PartitionState, key: str) -> Iterator[tuple[Link, PartitionSubset]]:
    """Yield what feeds a partition and is missing, failed or stale."""
    outer, inner = state.of.position(key)
    one = PartitionSubset(state.of, {outer: BitMap((inner,))})
    for link in state.asset.links:
        above = state.standing if link.upstream == state.asset.asset else state.upstream[link.upstream]
        bad = intersection(link.upstream_of(one, state.now).families, troubling(link, above))
        if bad:
            yield link, PartitionSubset(link.up, bad)


def _named(link: Link, bad: PartitionSubset) -> Iterator[Reference]:
    if link.up == WHOLE:
        yield Reference(link.upstream)
    else:
        yield from (Reference(link.upstream, key) for key in islice(bad, _PARTITIONS))
