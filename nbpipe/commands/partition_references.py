"""Finds what the `@KEY` of a reference names, and says what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.references import Reference, reference_text
from nbpipe.errors import DefinitionError, RefusedError, UnknownNameError, UsageError

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.records import PartitionDetail
    from nbpipe.core.partitions.sets import PartitionSet, Position
    from nbpipe.core.partitions.state import PartitionState
    from nbpipe.core.partitions.subsets import Families
    from nbpipe.core.records import Materialization

_MANY = 1_000


def is_partitioned(workspace: Workspace, asset: str) -> bool:
    """Return whether an asset is defined with partitions."""
    spec = workspace.definitions.assets.get(asset)
    return spec is not None and spec.options.partitions is not None


def partition_set(workspace: Workspace, asset: str) -> PartitionSet:
    """Return the partitions of an asset.

    Raises:
        UnknownNameError: there is no such asset.
        UsageError: it has no partitions.
        DefinitionError: its declaration can't be read.
    """
    found = workspace.book.of(workspace.asset(asset).key)
    if found is None:
        _refuse_unsound(workspace, asset)
        raise UsageError(f"{asset} has no partitions: only assets with --partitions have keys")
    return found


def partition_state(workspace: Workspace, asset: str) -> PartitionState:
    """Return which partitions of an asset are what.

    Raises:
        UnknownNameError: there is no such asset.
        UsageError: it has no partitions.
        DefinitionError: its declaration can't be used.
    """
    partition_set(workspace, asset)  # says what is wrong
    found = workspace.partition_states().get(asset)
    if found is None:
        raise DefinitionError(f"the partitions of {asset} can't be told: nbpipe validate says what is wrong with them")
    return found


def position_of(workspace: Workspace, reference: Reference) -> Position:
    """Return where the partition of a reference is kept.

    Raises:
        UnknownNameError: there is no such asset, or no such key; names the nearest.
        UsageError: the asset has no partitions.
    """
    asset, key = reference.asset, reference.partition
    if asset in workspace.definitions.assets and not is_partitioned(workspace, asset):
        _refuse_unsound(workspace, asset)
        raise UsageError(f"{asset} has no partitions: leave out @{key}")
    if asset not in workspace.definitions.assets and has_partition_facts(workspace, asset):
        raise RefusedError(
            f"{asset} has stored partitions, but no saved notebook defines it: which keys it has is not known. "
            f"Save its notebook, or give what is stored to its new name: nbpipe rename {asset} NEW"
        )
    return partition_set(workspace, asset).position(key)


def key_needed(workspace: Workspace, asset: str) -> UsageError:
    """Return the error for a partitioned asset that was named without a key; it shows the form."""
    of = partition_set(workspace, asset)
    latest = of.latest_complete(clock.now())
    if latest is None:
        return UsageError(f"{asset} is partitioned ({of}), and has no partition yet: write {asset}@KEY")
    return UsageError(f"{asset} is partitioned: say which partition, for example {reference_text(asset, latest)}")


def partition_detail(workspace: Workspace, asset: str, key: str, position: Position) -> PartitionDetail:
    """Return what is stored of one partition now."""
    if workspace.is_untouched:
        from nbpipe.core.partitions.records import PartitionDetail

        return PartitionDetail(partition=key)
    return workspace.store.partitions.detail(workspace.env, asset, key, position)


def partition_value(workspace: Workspace, reference: Reference) -> Materialization | None:
    """Return the materialization of a partition that a reference names; None if it has none, or no such version.

    Raises:
        UnknownNameError: there is no such asset, or no such key.
        UsageError: the asset has no partitions.
    """
    position = position_of(workspace, reference)
    if workspace.is_untouched:
        return None
    return workspace.store.partitions.materialization(
        workspace.env, reference.asset, reference.partition, position, version=reference.version
    )


def partition_skip(workspace: Workspace, reference: Reference) -> str | None:
    """Return why a partition was skipped, empty if no reason was given; None if it was not."""
    if workspace.is_untouched:
        return None
    detail = workspace.store.partitions.detail(
        workspace.env, reference.asset, reference.partition, position_of(workspace, reference)
    )
    return None if detail.skipped_at is None else detail.reason or ""


def partition_history(workspace: Workspace, reference: Reference) -> list[Materialization]:
    """Return the versions of a partition, newest first."""
    position = position_of(workspace, reference)
    if workspace.is_untouched:
        return []
    return workspace.store.partitions.history(
        workspace.env, reference.asset, reference.partition, position, limit=_MANY
    )


def has_partition_facts(workspace: Workspace, asset: str) -> bool:
    """Return whether anything is stored of partitions of an asset, defined or not."""
    return not workspace.is_untouched and bool(workspace.store.partitions.facts(workspace.env, asset).chunks)


def refuse_running(workspace: Workspace, asset: str, which: Families | None, command: str) -> None:
    """Refuse to change partitions that a run is working on; None: of the whole asset.

    Raises:
        RefusedError: there are such.
    """
    running = workspace.store.partitions.facts(workspace.env, asset).families(lambda chunk: chunk.running)
    if which is not None:
        from nbpipe.core.partitions.subsets import intersection

        running = intersection(running, which)
    count = sum(map(len, running.values()))
    if count:
        what = "a partition" if count == 1 else f"{count:,} partitions"
        raise RefusedError(
            f"a run is working on {what} of {asset}: wait for its end, or cancel it (`nbpipe runs`), then {command}"
        )


def _refuse_unsound(workspace: Workspace, asset: str) -> None:
    """Refuse an asset whose declaration has an error: whether it has partitions is not known.

    Raises:
        DefinitionError: it has.
    """
    wrong = workspace.definitions.blocked(asset)
    if wrong is not None and wrong.code == "declaration":
        raise DefinitionError(f"it is not known which partitions {asset} has: {wrong.message}")


def no_version(reference: Reference, versions: list[Materialization]) -> UnknownNameError:
    """Return the error for a version that a value does not have; it names those that there are."""
    name = reference_text(reference.asset, reference.partition)
    numbers = ", ".join(str(each.version) for each in reversed(versions[:10]))
    hint = f"{name} has {numbers}" if versions else f"{name} was never materialized"
    return UnknownNameError("version", reference_text(*reference), hint=hint)
