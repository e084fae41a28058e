"""What a backfill covers: exact sets of partitions, by asset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from nbpipe.core.backfills.edges import edges_of
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.fitting import link as fitted
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.state import UNSOUND_STATUSES, PartitionState, PartitionStatus
from nbpipe.core.partitions.subsets import PartitionSubset, everything, nothing, single
from nbpipe.core.runs.partition_choice import follow
from nbpipe.core.runs.partition_plans import read_roots
from nbpipe.core.runs.partition_refusals import lacking_text
from nbpipe.errors import UsageError

STATUSES = UNSOUND_STATUSES


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for: a range, everything, what has one of some statuses, or what has both."""

    ranges: str | None = None
    everything: bool = False
    statuses: tuple[PartitionStatus, ...] = ()

    @property
    def words(self) -> str:
        """Return it for a person."""
        status = " or ".join(self.statuses)
        if self.everything:
            return "all"
        return f"{self.ranges}, {status}" if self.ranges and status else self.ranges or status

    def check(self) -> None:
        """Refuse what says nothing, or contradicts itself.

        Raises:
            UsageError: says what to write.
        """
        if self.everything and (self.ranges or self.statuses):
            raise UsageError("--all means every partition: leave it out, or leave out what restricts it")
        if not (self.everything or self.ranges or self.statuses):
            raise UsageError("say which partitions: --partitions A..B, --all, --missing, --failed or --stale")


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill is going to do."""

    subsets: Mapping[str, PartitionSubset]
    """By asset, in topological order; of one without partitions, `WHOLE`. None is empty."""
    notes: tuple[str, ...] = ()
    """What a person should be told."""

    @property
    def total(self) -> int:
        """Return how many partitions there are; an asset without is one."""
        return sum(map(len, self.subsets.values()))


def choose(
    specs: Sequence[AssetSpec],
    book: PartitionBook,
    asked: Asked,
    *,
    states: Mapping[str, PartitionState],
    whole: Mapping[str, str],
    now: datetime,
) -> Targets:
    """Choose partitions of selected assets.

    By statuses, exactly what has one of them, whatever it feeds. Otherwise what is asked for, and what it feeds; of
    assets without partitions those that something selected feeds, if any of that runs, and those that nothing does.

    Args:
        specs: the selected assets in topological order, whole cells.
        book: their partitions, and those of everything upstream of them.
        asked: what is wanted.
        states: of all assets with partitions.
        whole: status of the selected assets without partitions.
        now: `all` and `*` stop here.

    Raises:
        UsageError: nothing was asked for.
        RefusedError: a range was given, and nothing selected has partitions.
        DeclarationError: the range can't be read.
    """
    asked.check()
    executed = {key: executed_of(state) for key, state in states.items()}
    choice = follow(specs, book, _wanted(specs, book, asked, executed, states, now), executed, now)
    notes = [f"left out: {lacking_text(one, now)}" for one in choice.left_out if one.asset in choice.subsets]
    found: dict[str, PartitionSubset] = {}
    fed: set[str] = set()  # selected assets that have partitions, or are fed by one that has
    for spec in specs:
        subset = choice.subsets.get(spec.key)
        above = fed.intersection(spec.upstream)
        if subset is not None or above:
            fed.add(spec.key)
        if subset is None:
            runs = whole[spec.key] in asked.statuses if asked.statuses else not above or above & found.keys()
            lacking = _lacking(spec, book, executed, found, now) if runs else None
            if lacking is not None:
                notes.append(f"left out: {spec.key} reads {lacking}, of which there is nothing")
            subset = single(WHOLE, "") if runs and lacking is None else nothing(WHOLE)
        if subset:
            found[spec.key] = subset
    return Targets(subsets=found, notes=tuple(notes))


def _lacking(
    spec: AssetSpec,
    book: PartitionBook,
    executed: Mapping[str, PartitionSubset],
    chosen: Mapping[str, PartitionSubset],
    now: datetime,
) -> str | None:
    """Return an upstream with partitions that gives an asset without partitions nothing, and won't."""
    for edge in edges_of(spec, book):
        of = book.of(edge.upstream)
        if of is None or (edge.loses is None and not edge.needs_some):
            continue
        there = executed.get(edge.upstream, nothing(of)) | chosen.get(edge.upstream, nothing(of))
        link = edge.waits if edge.loses is None else edge.loses
        wanted = link.upstream_of(single(WHOLE, ""), now)
        if not wanted & there or (edge.loses is not None and wanted - there):
            return edge.upstream
    return None


def executed_of(state: PartitionState) -> PartitionSubset:
    """Return the partitions that have a value or were skipped."""
    return PartitionSubset(state.of, state.asset.facts.executed)


def _wanted(
    specs: Sequence[AssetSpec],
    book: PartitionBook,
    asked: Asked,
    executed: Mapping[str, PartitionSubset],
    states: Mapping[str, PartitionState],
    now: datetime,
) -> dict[str, PartitionSubset]:
    """Return the partitions that are asked for, before it is known what lacks an input.

    Of a range alone, those of its roots: the others follow.
    """
    partitioned = {spec.key: of for spec in specs if (of := book.of(spec.key)) is not None}
    if asked.everything:
        return {key: everything(of, now) for key, of in partitioned.items()}
    roots = {} if asked.ranges is None else read_roots(specs, book, asked.ranges, now, one=False)
    if not asked.statuses:
        return roots
    having = {
        key: states[key].subset(*asked.statuses) if key in states else nothing(of) for key, of in partitioned.items()
    }
    together = {spec.key: _of_cell(spec, having, now) for spec in specs if spec.key in partitioned}
    if asked.ranges is None:
        return together
    followed = follow(specs, book, roots, executed, now)
    within = dict(followed.subsets)
    for one in followed.left_out:  # asked for all the same, so that it is told why they are left out
        if one.asset in within:
            within[one.asset] = within[one.asset] | one.partitions
    return {key: subset & within[key] for key, subset in together.items()}


def _of_cell(spec: AssetSpec, subsets: Mapping[str, PartitionSubset], now: datetime) -> PartitionSubset:
    """Return what any asset of a cell needs: they are made together."""
    mine = subsets[spec.key]
    for key in spec.siblings:
        if key != spec.key and key in subsets:
            theirs = subsets[key]
            if theirs.of != mine.of:  # their keys may be numbered otherwise
                theirs = fitted(key, theirs.of, mine.of).downstream_of(theirs, now)
            mine = mine | theirs
    return mine
