"""The part of a plan that is about partitions: which are asked for, which are executed, and why some can't be."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import msgspec

from nbpipe.core.definitions import AssetSpec, Definitions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.ranges import parse_range, range_texts
from nbpipe.core.partitions.subsets import PartitionSubset, single
from nbpipe.core.runs.partition_choice import LeftOut, follow, roots_of
from nbpipe.core.runs.partition_refusals import Remedy, lacking_text, unsaid, when
from nbpipe.errors import DeclarationError, RefusedError, UnknownNameError

_NONE: Mapping[str, PartitionSubset] = MappingProxyType({})


class PartitionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, and what is known of what is there."""

    book: PartitionBook
    roots: Mapping[str, PartitionSubset] | None = None
    """See `partition_choice.follow`; None: nobody said which partitions."""
    executed: Mapping[str, PartitionSubset] = _NONE
    """What is materialized or was skipped, by asset with partitions: of the chosen ones and of all upstream of them."""
    now: datetime
    words: str = ""
    """What was written about partitions, for messages: `--partition 2024-01-01`."""
    strict: bool = True
    """Refuse if anything in `roots` lacks something upstream; else leave it out, as long as something remains."""


class PlannedPartitions(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into the plan."""

    subsets: Mapping[str, PartitionSubset]
    """By asset; none is empty."""
    texts: Mapping[str, tuple[str, ...]]
    """See `RunPlan.partitions`."""
    sets: Mapping[str, str]
    """See `RunPlan.sets`."""
    idle: frozenset[str] = frozenset()
    """Selected assets that are not executed: no partition of them is, or of what they read there is none."""
    unfed: frozenset[tuple[str, str]] = frozenset()
    """Assets whose chosen partitions are fed by none of an upstream that was never executed, and that upstream."""
    notes: tuple[str, ...] = ()


def read_roots(
    specs: Sequence[AssetSpec], book: PartitionBook, text: str, now: datetime, *, one: bool
) -> dict[str, PartitionSubset]:
    """Read a range by the keys of the roots of a selection, see `roots_of`.

    Args:
        specs: the selected assets.
        book: their partitions.
        text: a key or range.
        now: `*` stops here.
        one: it is a single key.

    Raises:
        RefusedError: nothing selected has partitions, or there are none yet.
        UnknownNameError: it is no key; names the nearest.
        DeclarationError: it is no range; with the column.
    """
    roots = roots_of(specs, book)
    if not roots:
        option = "--partition" if one else "--partitions"
        raise RefusedError(f"nothing that is selected has partitions: leave out {option} {text}")
    found = {}
    for key in roots:
        of = book.of(key)
        assert of is not None  # noqa: S101 - roots have partitions
        try:
            found[key] = single(of, text) if one else parse_range(of, text, now)
        except UnknownNameError as error:
            near = [error.nearest] if error.nearest else []
            raise UnknownNameError(f"partition of {key}", text, near, hint=error.hint) from error
        except DeclarationError as error:
            raise DeclarationError(f"{key} ({of}): {error}", column=error.column) from error
        if not found[key]:
            raise RefusedError(f"{key} has no partitions yet: {when(of, now)}")
    return found


def plan_partitions(
    definitions: Definitions,
    graph: AssetGraph,
    keys: Sequence[str],
    request: PartitionRequest,
    *,
    materialized: Container[str],
    selection: str,
) -> PlannedPartitions:
    """Decide which partitions of selected assets a run executes.

    Args:
        definitions: the project.
        graph: its assets.
        keys: the selected assets in topological order.
        request: what is asked for.
        materialized: assets without partitions that have a value.
        selection: as written, for messages.

    Raises:
        RefusedError: nobody said which partitions, or they need what is not there; says what would work.
    """
    book = request.book
    specs = [definitions.assets[key] for key in keys]
    partitioned = [key for key in keys if book.of(key) is not None]
    roots = request.roots
    if roots is None:
        if partitioned:
            raise RefusedError(unsaid(partitioned, book, request.now, selection))
        roots = {}
    choice = follow(specs, book, roots, request.executed, request.now)
    subsets = {key: subset for key, subset in choice.subsets.items() if subset}
    asked = [one for one in choice.left_out if one.asked]
    refused = [one for one in asked if not subsets or (request.strict and book.of(one.asset) is not None)]
    if refused:
        remedy = Remedy(definitions, graph, book, request.executed, materialized, request.now)
        wanted = roots.get(refused[0].asset, refused[0].partitions)
        raise RefusedError(f"{lacking_text(refused[0], request.now)}. {remedy.text(refused[0], wanted, keys)}")
    idle = _idle(specs, request, frozenset(subsets), choice.left_out, materialized)
    subsets = {key: subset for key, subset in subsets.items() if key not in idle}
    read = {above for spec in specs for above in spec.upstream}
    return PlannedPartitions(
        subsets=subsets,
        texts={key: range_texts(subset) for key, subset in subsets.items()},
        sets={
            key: str(definitions.assets[key].options.partitions)
            for key in sorted({*keys, *read})
            if book.of(key) is not None
        },
        idle=frozenset(idle),
        unfed=_unfed(definitions, subsets, request),
        notes=(
            *(f"left out: {lacking_text(one, request.now)}" for one in choice.left_out),
            *(f"left out: {key} needs {above}, which has no value" for key, above in idle.items() if above),
        ),
    )


def _unfed(
    definitions: Definitions, subsets: Mapping[str, PartitionSubset], request: PartitionRequest
) -> frozenset[tuple[str, str]]:
    """Find the pairs of `PlannedPartitions.unfed`: they lie before the first partition of the upstream, say."""
    found = set()
    for key, subset in subsets.items():
        spec = definitions.assets[key]
        for above in spec.upstream:
            if request.book.of(above) is None or above in subsets or request.executed.get(above):
                continue
            link = request.book.link(spec, above)
            if not link.lenient and not link.upstream_of(subset, request.now):
                found.add((key, above))
    return frozenset(found)


def _idle(
    specs: Sequence[AssetSpec],
    request: PartitionRequest,
    executed: Container[str],
    left_out: Sequence[LeftOut],
    materialized: Container[str],
) -> dict[str, str]:
    """Return the assets that are not executed, each with the one upstream that gets no value; empty if told before."""
    whole = {one.asset for one in left_out if request.book.of(one.asset) is None}
    found: dict[str, str] = {}
    for spec in specs:
        partitioned = request.book.of(spec.key) is not None
        above = next((key for key in spec.upstream if key in found and not _there(key, request, materialized)), None)
        if spec.key in whole or (partitioned and spec.key not in executed):
            found[spec.key] = ""
        elif above is not None:
            found[spec.key] = above
    return found


def _there(key: str, request: PartitionRequest, materialized: Container[str]) -> bool:
    """Return whether an asset has a value, or a value of any partition."""
    return key in materialized if request.book.of(key) is None else bool(request.executed.get(key))
