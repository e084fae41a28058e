"""What a run is asked to do with partitions, and what of them is there. Loaded where a project has some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.state import UNSOUND_STATUSES
from nbpipe.core.partitions.subsets import PartitionSubset
from nbpipe.core.runs.partition_choice import follow, translated
from nbpipe.core.runs.partition_plans import PartitionRequest, read_roots
from nbpipe.core.runs.plans import RunPlan
from nbpipe.core.selection import quoted
from nbpipe.errors import RefusedError

#: So many missing and stale partitions are executed without being asked for one by one.
_MOST = 100


class Wording:
    """What was written about partitions: a key, a range, or nothing."""

    def __init__(self, partition: str | None, partitions: str | None) -> None:
        """Take the values of `--partition` and `--partitions`, of which at most one is given."""
        self.text = partition if partition is not None else partitions
        self.one = partition is not None

    def __str__(self) -> str:
        return "" if self.text is None else f"--partition{'' if self.one else 's'} {self.text}"

    def roots(
        self, specs: Sequence[AssetSpec], workspace: Workspace, now: datetime
    ) -> dict[str, PartitionSubset] | None:
        """Return what is chosen of the roots; None if nothing was written."""
        if self.text is None:
            return None
        return read_roots(specs, workspace.book, self.text, now, one=self.one)


def request(workspace: Workspace, keys: Iterable[str], wording: Wording) -> PartitionRequest:
    """Return what is asked for of selected assets.

    Raises:
        RefusedError: a key or range is given, and nothing selected has partitions.
        UnknownNameError: there is no such key.
        DeclarationError: the range can't be read.
    """
    now, specs = clock.now(), specs_of(workspace, keys)
    roots = wording.roots(specs, workspace, now)
    return PartitionRequest(
        book=workspace.book,
        roots=roots,
        executed=executed(workspace, [spec.key for spec in specs]),
        now=now,
        words=str(wording),
    )


def stale_request(
    workspace: Workspace, keys: Iterable[str], wording: Wording, parameters: Mapping[str, str] | None
) -> PartitionRequest:
    """Return what is missing, stale or failed of selected assets, within the range that is given.

    Raises:
        RefusedError: without a range, it is too much for one run.
        UnknownNameError: there is no such key.
        DeclarationError: the range can't be read.
    """
    now, specs, book = clock.now(), specs_of(workspace, keys), workspace.book
    there = executed(workspace, [spec.key for spec in specs])
    states = workspace.partition_states(parameters)
    wanted = {spec.key: states[spec.key].subset(*UNSOUND_STATUSES) for spec in specs if spec.key in states}
    roots = wording.roots(specs, workspace, now)
    if roots is not None:
        inside = follow(specs, book, roots, there, now).subsets
        wanted = {key: subset & inside[key] for key, subset in wanted.items() if key in inside}
    for spec in specs:  # made together
        for other in spec.siblings:
            if other != spec.key and other in wanted and spec.key in wanted:
                wanted[spec.key] = wanted[spec.key] | translated(book, other, wanted[other], spec.key, now)
    if roots is None:
        _refuse_many(wanted)
    found = {key: subset for key, subset in wanted.items() if subset}
    return PartitionRequest(book=book, roots=found, executed=there, now=now, words=str(wording), strict=False)


def repeated_request(
    workspace: Workspace, plan: RunPlan, keys: Sequence[str], left: Mapping[str, Iterable[str]] | None
) -> PartitionRequest:
    """Return the partitions of an earlier plan.

    Args:
        workspace: the project as it is now.
        plan: what was to be done.
        keys: the assets to do it for.
        left: only these partitions, by asset; None: all.

    Raises:
        DeclarationError: a partition is gone.
    """
    from nbpipe.core.partitions.ranges import parse_ranges
    from nbpipe.core.partitions.subsets import nothing, single

    now, book = clock.now(), workspace.book
    roots = {}
    for key, texts in plan.partitions.items():
        of = book.of(key) if key in keys else None
        if of is None:
            continue
        if left is None:
            roots[key] = parse_ranges(of, texts, now)
        else:
            roots[key] = nothing(of)
            for partition in left.get(key, ()):
                roots[key] = roots[key] | single(of, partition)
    return PartitionRequest(book=book, roots=roots or None, executed=executed(workspace, keys), now=now)


def executed(workspace: Workspace, keys: Sequence[str]) -> dict[str, PartitionSubset]:
    """Return what is materialized or was skipped of assets, and of all upstream of them, that have partitions."""
    found = {}
    for key in {*keys, *workspace.graph.ancestors(keys)}:
        spec = workspace.definitions.assets.get(key)
        if spec is not None and spec.options.partitions is not None and workspace.definitions.blocked(key) is None:
            of = workspace.book.of(key)
            assert of is not None  # noqa: S101 - it is declared
            facts = None if workspace.is_untouched else workspace.store.partitions.facts(workspace.env, key)
            found[key] = PartitionSubset(of, {} if facts is None else facts.executed)
    return found


def specs_of(workspace: Workspace, keys: Iterable[str]) -> list[AssetSpec]:
    """Return assets in topological order, with those that their cells make besides."""
    assets = workspace.definitions.assets
    every = {other for key in keys if key in assets for other in assets[key].siblings if other in assets}
    return [assets[key] for key in workspace.graph.arrange(every)]


def _refuse_many(wanted: Mapping[str, PartitionSubset]) -> None:
    number = sum(map(len, wanted.values()))
    if number > _MOST:
        names = " ".join(quoted(key) for key, subset in wanted.items() if subset)
        raise RefusedError(
            f"{number:,} partitions are missing or stale, too many for one run: choose some with --partitions A..B, "
            f'or compute all in many runs with `nbpipe backfill "{names}" --missing` and `--stale`'
        )
