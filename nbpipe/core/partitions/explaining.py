"""Why partitions are stale, in words: for one partition, and for all of an asset with numbers.

Found out when it is asked for: what is counted needs none of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice

from pyroaring import BitMap

from nbpipe.core.partitions.chunks import PartitionFacts, joined
from nbpipe.core.partitions.inputs import is_same_data
from nbpipe.core.partitions.links import Link
from nbpipe.core.partitions.ranges import iterate_ranges
from nbpipe.core.partitions.recipes import UNKNOWN_RECIPE
from nbpipe.core.partitions.sets import Outer
from nbpipe.core.partitions.state import PartitionState, Standing, fed_by, troubling
from nbpipe.core.partitions.subsets import (
    Families,
    PartitionSubset,
    difference,
    intersection,
    size,
    union,
)
from nbpipe.core.reasons import FAILED, NEVER, NEWER

_EARLIER = "an earlier partition is missing, failed or stale"
_SOME_UPSTREAM = f"an upstream {NEWER}"
_MANY_REASONS = 12
_MANY_RANGES = 3


def asset_reasons(state: PartitionState) -> tuple[str, ...]:
    """Return why an asset is failed, missing or stale, one line each, with numbers.

    For example `3 of 31 partitions are stale: helper clean() changed`, or `1 of 31 partitions is missing: 2024-01-31`.
    """
    counts = state.counts
    if not counts.total:
        return ("it has no partitions yet",)
    lines = [
        _line(state, f"failed: {ranges_text(state.subset('failed'))}", counts.failed) if counts.failed else "",
        _missing(state) if counts.missing else "",
    ]
    told = [(text, size(intersection(found, state.status["stale"]))) for text, found in reasons(state).items()]
    told = [(text, number) for text, number in told if number]
    lines += [_line(state, f"{_be(number)} stale: {text}", number) for text, number in told[:_MANY_REASONS]]
    if len(told) > _MANY_REASONS:
        lines.append(f"and {len(told) - _MANY_REASONS:,} more reasons")
    return tuple(line for line in lines if line)


def stale_reasons(state: PartitionState) -> Iterator[tuple[str, PartitionSubset]]:
    """Yield what is failed, missing and stale, the stale ones by reason; a partition may be there for several."""
    for name in ("failed", "missing"):
        if subset := state.subset(name):
            yield name, subset
    for text, found in reasons(state).items():
        if stale := intersection(found, state.status["stale"]):
            yield text, PartitionSubset(state.of, stale)


def asset_notes(state: PartitionState) -> tuple[str, ...]:
    """Return what is worth knowing although it makes nothing stale, one line each, with numbers."""
    texts: dict[str, list[int]] = {}
    for number, notes in state.asset.notes.items():
        for text in notes:
            texts.setdefault(text, []).append(number)
    current = difference(state.materialized, state.held)
    found = {text: size(intersection(_made_by(state, set(numbers)), current)) for text, numbers in texts.items()}
    lines = [_line(state, text, number) for text, number in list(found.items())[:_MANY_REASONS] if number]
    held = size(state.held)
    return (*lines, *((_line(state, f"{_be(held)} held (rolled back)", held),) if held else ()))


def partition_reasons(state: PartitionState, key: str) -> tuple[str, ...]:
    """Return why one partition is failed, missing or stale, one line each.

    Raises:
        UnknownNameError: it is no key of the set.
    """
    outer, inner = state.of.position(key)
    if inner not in state.unsound.get(outer, ()):
        return ()
    found = [FAILED] if inner in state.standing.failed.get(outer, ()) else []
    if inner in state.standing.missing.get(outer, ()):
        return (*found, NEVER)
    chunk_id, offset = state.of.address(key)
    if inner in state.recipe_changed.get(outer, ()):
        codes = state.asset.facts.chunk(chunk_id).codes
        found += [text for n, which in codes if offset in which for text in state.asset.drift.get(n, UNKNOWN_RECIPE)]
    one: Families = {outer: BitMap((inner,))}
    found += [text for text, which in _by_upstream(state, one) if inner in which.get(outer, ())]
    return tuple(found)


def partition_notes(state: PartitionState, key: str) -> tuple[str, ...]:
    """Return what is worth knowing of one partition although it makes nothing stale."""
    chunk_id, offset = state.of.address(key)
    chunk = state.asset.facts.chunk(chunk_id)
    return tuple(text for n, which in chunk.codes if offset in which for text in state.asset.notes.get(n, ()))


def newer_upstreams(state: PartitionState, key: str, inputs: Mapping[str, str], told: Iterable[str]) -> Iterator[str]:
    """Yield the reasons of a partition with the names of the upstreams whose data is newer, as its record shows.

    Args:
        state: of the asset.
        key: of the partition.
        inputs: data versions of its inputs as they were recorded.
        told: its reasons.
    """
    position = state.of.position(key)
    for reason in told:
        if not reason.startswith(_SOME_UPSTREAM):
            yield reason
            continue
        changed = [
            link.upstream
            for link in state.asset.links
            if not is_same_data(link, _facts(state, link), position, inputs.get(link.upstream, ""), state.now)
        ]
        yield from (f"upstream {name} {NEWER}" for name in changed) if changed else (reason,)


def _facts(state: PartitionState, link: Link) -> PartitionFacts:
    own = link.upstream == state.asset.asset
    return state.asset.facts if own else state.upstream[link.upstream].facts


def reasons(state: PartitionState) -> dict[str, Families]:
    """Return the partitions that each reason makes stale, those of code first."""
    return {**dict(_by_recipe(state)), **dict(_by_upstream(state, state.unsound))}


def ranges_text(subset: PartitionSubset, limit: int = _MANY_RANGES) -> str:
    """Write the first ranges of some partitions, and that there are more."""
    found = list(islice(iterate_ranges(subset), limit + 1))
    return ", ".join(found[:limit]) + (", …" if len(found) > limit else "")


def _by_recipe(state: PartitionState) -> Iterator[tuple[str, Families]]:
    """Yield the partitions of each reason why recipes are no longer today's."""
    parts: dict[str, dict[Outer, list[tuple[int, BitMap]]]] = {}
    for outer, blocks in state.asset.facts.blocks.items():
        for block, chunk in blocks.items():
            for number, bitmap in chunk.codes:
                for text in state.asset.drift.get(number, UNKNOWN_RECIPE):
                    parts.setdefault(text, {}).setdefault(outer, []).append((block, bitmap))
    for text, families in parts.items():
        found = intersection({outer: _joined(blocks) for outer, blocks in families.items()}, state.recipe_changed)
        if found:
            yield text, found


def _joined(blocks: Iterable[tuple[int, BitMap]]) -> BitMap:
    """Return ordinals from offsets of blocks, of which one may occur several times."""
    merged: dict[int, BitMap] = {}
    for block, bitmap in blocks:
        merged[block] = merged[block] | bitmap if block in merged else bitmap
    return joined(merged.items())


def _by_upstream(state: PartitionState, asked: Families) -> Iterator[tuple[str, Families]]:
    """Yield the partitions of each reason that is upstream, as far as they are asked for."""
    names = [link.upstream for link in state.asset.links]
    only = names[0] if len(names) == 1 else ""
    changed = intersection(state.inputs_changed, asked)
    if changed:
        yield f"upstream {only} {NEWER}" if only else f"{_SOME_UPSTREAM}: {_either(names)}", changed
    for link in state.asset.links:
        reached = intersection(state.above.get(link.upstream, {}), asked)
        if link.upstream == only and link.upstream != state.asset.asset:
            reached = difference(reached, changed)  # is told already
        if not reached:
            continue
        if link.upstream == state.asset.asset:
            yield _EARLIER, reached
            continue
        bad = troubling(link, state.upstream[link.upstream])
        if asked is not state.unsound:  # a few: what feeds them is a few, too
            bad = intersection(link.upstream_of(PartitionSubset(link.down, reached), state.now).families, bad)
        for text, found in _troubles(link, state.upstream[link.upstream], bad, reached, state.now):
            yield f"upstream {link.upstream} {text}", found


def _troubles(
    link: Link, above: Standing, bad: Families, reached: Families, now: datetime
) -> Iterator[tuple[str, Families]]:
    """Yield what is wrong with some bad partitions of an upstream, and the partitions that they feed."""
    left = reached
    for text, which in (("failed", above.failed), ("is missing", above.missing), ("is stale", bad)):
        some = intersection(bad, which)
        if not (some and left):
            continue
        found = left if some == bad else intersection(fed_by(link, some, now), left)
        left, bad = difference(left, found), difference(bad, some)
        if found:
            yield text, found


def _made_by(state: PartitionState, numbers: set[int]) -> Families:
    return state.asset.facts.families(
        lambda chunk: BitMap.union(BitMap(), *(bitmap for number, bitmap in chunk.codes if number in numbers))
    )


def _missing(state: PartitionState) -> str:
    never = union(state.materialized, state.status["skipped"])
    if not never and not state.status["failed"]:
        return NEVER
    number = state.counts.missing
    return _line(state, f"{_be(number)} missing: {ranges_text(state.subset('missing'))}", number)


def _line(state: PartitionState, text: str, number: int) -> str:
    total = state.counts.total
    return f"{number:,} of {total:,} partition{'' if total == 1 else 's'} {text}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _either(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)
