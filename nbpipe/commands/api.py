"""The Python twins of magics and commands: `nbpipe.status()`, `nbpipe.materialize("orders")`, ...

They work on the project of the working folder; `Project` works on another one, or in another environment. What
they return is what the command of the same name shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from nbpipe.commands.current import current_workspace
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import CanceledError, ExecutionError

if TYPE_CHECKING:
    from nbpipe.commands.backfill_results import BackfillDetails, BackfillDraft
    from nbpipe.commands.run_results import RunResult, RunRow
    from nbpipe.commands.status import StatusRow
    from nbpipe.commands.why import Explanation
    from nbpipe.core.definitions import Diagnostic
    from nbpipe.core.partitions.listing import PartitionKeys
    from nbpipe.core.references import Reference
    from nbpipe.views.lineage import LineageView

_NONE: Mapping[str, Any] = MappingProxyType({})


class Project:
    """A project: a folder with notebooks, and the state and values that belong to it.

    Definitions are read from the saved notebooks at each call. Use it in a `with` statement, or close it, to
    release the state store.
    """

    def __init__(self, folder: str | os.PathLike[str] = ".", *, env: str | None = None) -> None:
        """Find the project that a folder or notebook belongs to.

        Args:
            folder: where to start looking.
            env: name of the environment (default: `NBPIPE_ENV`, else `default`).

        Raises:
            ConfigError: its configuration can't be read, or knows no such environment.
        """
        self._workspace = Workspace.open(Path(folder), env=env)

    @property
    def root(self) -> Path:
        """The folder that all paths are relative to."""
        return self._workspace.root

    @property
    def env(self) -> str:
        """Name of the environment."""
        return self._workspace.env

    def status(self, selection: str = "") -> list[StatusRow]:
        """Return the status of the selected assets, with reasons; all, for an empty selection."""
        from nbpipe.commands.status import status_rows

        return status_rows(self._reloaded(), selection)

    def validate(self) -> list[Diagnostic]:
        """Return everything that is wrong with the definitions."""
        from nbpipe.commands.validate import diagnostics

        return diagnostics(self._reloaded())

    def why(self, asset: str) -> Explanation:
        """Return the reasons of an asset, or `ASSET@KEY`, and of everything upstream, and what changed in the code."""
        from nbpipe.commands.references import without_version
        from nbpipe.commands.why import explain

        reference = without_version(asset, "why")
        return explain(self._reloaded(), reference.asset, reference.partition)

    def runs(self, limit: int = 20) -> list[RunRow]:
        """Return runs, newest first."""
        from nbpipe.commands.runs import run_rows

        return run_rows(self._workspace, limit)

    def lineage(self, selection: str = "", *, limit: int = 60) -> LineageView:
        """Return the graph of the selected assets, laid out to be drawn with at most `limit` nodes."""
        from nbpipe.commands.lineage import lineage_view

        return lineage_view(self._reloaded(), selection, limit=limit)

    def graph(self, selection: str = "") -> Any:
        """Return the selected assets as a new `networkx.DiGraph`, for its algorithms; all, for an empty selection.

        Edges go from upstream to downstream. Nodes carry `group`, `notebook`, `kinds`, `owners`, `tags` and
        `description`; edges say in `loaded` whether the value is read or only the order kept.
        """
        from nbpipe.core.networks import digraph

        workspace = self._reloaded()
        return digraph(workspace.graph, workspace.definitions.assets, workspace.select(selection))

    def load(self, asset: str, *, partition: str | None = None, version: int | None = None) -> Any:
        """Return the stored value of an asset (`"orders"`, `"orders#3"`) or of a partition (`"daily@2024-01-01#2"`).

        Reading a pickle executes what is in it: load only from projects that you trust.

        Args:
            asset: its name, or a reference that names a partition or version too.
            partition: key of the partition, as it is: never quoted.
            version: number of the version (default: the current one).

        Raises:
            UsageError: an asset with partitions needs a key, one without has none; or something is named twice.
            UnknownNameError: there is no such asset, partition or version.
            MissingValueError: it was never materialized, or its value is gone.
        """
        from nbpipe.commands.references import read_reference

        return _stored(self._workspace, read_reference(asset, partition=partition, version=version))

    def add_partitions(self, name: str, keys: Iterable[str]) -> tuple[str, ...]:
        """Add keys to a dynamic set of partitions, also from within a run; return those that are new.

        Keys that were deleted come back with all that is stored of them.

        Args:
            name: of the set: the NAME in `dynamic:NAME`.
            keys: any texts; those that are there are left alone.

        Raises:
            UnknownNameError: no asset of a saved notebook is partitioned by such a set.
            DeclarationError: a key is empty, or has blanks at its ends or control characters.
            RefusedError: a sensor is being asked: its value may be a PartitionsRequest.
        """
        from nbpipe.commands.dynamic_keys import add_keys

        return add_keys(self._reloaded(), name, keys).added

    def delete_partitions(self, name: str, keys: Iterable[str]) -> tuple[str, ...]:
        """Delete keys from a dynamic set of partitions, all or none; return those that were there.

        What is stored of them stays, and is back when they are added again.

        Args:
            name: of the set: the NAME in `dynamic:NAME`.
            keys: of the set.

        Raises:
            UnknownNameError: no asset of a saved notebook is partitioned by such a set, or it never had such a key.
            RefusedError: a sensor is being asked: its value may be a PartitionsRequest.
        """
        from nbpipe.commands.dynamic_keys import delete_keys

        return delete_keys(self._reloaded(), name, keys).deleted

    def partition_keys(self, name: str) -> PartitionKeys:
        """Return the keys of a dynamic set (`"customers"`) or of the partitions of an asset (`"daily"`), in order.

        They are computed, not listed: `len`, `in` and the first of a million keys cost next to nothing. Of time, there
        is a key for each window that has ended.

        Args:
            name: of an asset with partitions, else of a set; `dynamic:NAME` is always the set.

        Raises:
            UnknownNameError: there is neither.
            UsageError: the asset has no partitions.
        """
        from nbpipe.commands.dynamic_keys import keys_named

        return keys_named(self._reloaded(), name)

    def materialize(
        self,
        selection: str = "*",
        *,
        stale: bool = False,
        parameters: Mapping[str, Any] = _NONE,
        partition: str | None = None,
        partitions: str | None = None,
    ) -> RunResult:
        """Compute and store the selected assets in a run of the saved notebooks, and wait for its end.

        Within a run this does nothing: a notebook never launches itself.

        Args:
            selection: which assets.
            stale: only those that are missing or stale.
            parameters: values by name.
            partition: key of one partition, read by the assets with partitions that no other selected one feeds.
            partitions: a range of them, `A..B`.

        Raises:
            RefusedError: the selection can't be run as things stand.
            UnknownNameError: there is no such key.
            DeclarationError: the range can't be read.
            ExecutionError: the run failed; what did not depend on the failure is stored.
            CanceledError: somebody asked the run to stop.
        """
        from nbpipe.commands.materialize import carry_out, prepare
        from nbpipe.commands.run_results import NOTHING_DONE
        from nbpipe.commands.surface import does_nothing_here

        if does_nothing_here("nbpipe.materialize"):
            return NOTHING_DONE
        workspace = self._reloaded()
        plan = prepare(
            workspace, selection, stale=stale, parameters=parameters, partition=partition, partitions=partitions
        )
        result = carry_out(workspace, plan)
        if result.run_id is not None and result.status != "success":
            run = workspace.store.run(result.run_id)
            message = f"run {result.run_id}: {run.error if run is not None else result.status}"
            raise (CanceledError if result.status == "canceled" else ExecutionError)(message)
        return result

    def backfill(
        self,
        selection: str,
        *,
        partitions: str | None = None,
        everything: bool = False,
        missing: bool = False,
        failed: bool = False,
        stale: bool = False,
        single_run: bool = False,
        dry_run: bool = False,
        parameters: Mapping[str, Any] = _NONE,
        parallel: int | None = None,
    ) -> BackfillDetails | BackfillDraft:
        """Compute many partitions of the selected assets in many runs of the saved notebooks, and wait for the end.

        Within a run this does nothing: a notebook never launches itself.

        Args:
            selection: which assets.
            partitions: a range `A..B`, and what it feeds.
            everything: every partition; of time, those whose window has ended.
            missing: those that were never computed; together with a range, within it; so the next two.
            failed: those whose latest attempt failed.
            stale: those made with other code, parameters, files or inputs than today's.
            single_run: one run for all partitions of assets that run together.
            dry_run: only return what it would do.
            parameters: values by name.
            parallel: so many notebooks at once (default: as configured).

        Raises:
            UsageError: nothing was said of the partitions, or the selection or range can't be read.
            RefusedError: it can't be run as things stand.
            ExecutionError: something failed; what did not depend on it is stored.
            CanceledError: somebody asked it to stop; it can be resumed.
        """
        from nbpipe.commands.backfill import asked, carry_out, show_draft
        from nbpipe.commands.backfill_drafts import Wish

        wish = Wish(
            selection=selection,
            asked=asked(partitions, everything=everything, missing=missing, failed=failed, stale=stale),
            single_run=single_run,
            parameters=parameters,
            parallel=parallel,
        )
        workspace = self._reloaded()
        if dry_run:
            return show_draft(workspace, wish)
        result = carry_out(workspace, wish, wait=True)
        if result.status != "success":
            message = f"backfill {result.id}: {result.error or f'{result.failed:,} failed, {result.lost:,} lost'}"
            raise (CanceledError if result.status == "canceled" else ExecutionError)(message)
        return result

    def close(self) -> None:
        """Release the state store."""
        self._workspace.close()

    def __enter__(self) -> Self:
        """Use it in a `with` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _reloaded(self) -> Workspace:
        self._workspace.reload()
        return self._workspace


def status(selection: str = "") -> list[StatusRow]:
    """Return the status of the selected assets of this project; see `Project.status`."""
    with Project() as project:
        return project.status(selection)


def validate() -> list[Diagnostic]:
    """Return everything that is wrong with the definitions of this project."""
    with Project() as project:
        return project.validate()


def why(asset: str) -> Explanation:
    """Return why an asset of this project is stale; see `Project.why`."""
    with Project() as project:
        return project.why(asset)


def runs(limit: int = 20) -> list[RunRow]:
    """Return runs of this project, newest first."""
    with Project() as project:
        return project.runs(limit)


def lineage(selection: str = "", *, limit: int = 60) -> LineageView:
    """Return the graph of the selected assets of this project; see `Project.lineage`."""
    with Project() as project:
        return project.lineage(selection, limit=limit)


def load(asset: str, *, partition: str | None = None, version: int | None = None) -> Any:
    """Return the stored value of an asset or partition of this project; see `Project.load`."""
    from nbpipe.commands.references import read_reference

    reference = read_reference(asset, partition=partition, version=version)
    with current_workspace() if reference.partition else Workspace.open() as workspace:
        return _stored(workspace, reference)


def add_partitions(name: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Add keys to a dynamic set of partitions of this project; see `Project.add_partitions`.

    In a notebook, sets count that are declared by cells which ran here, saved or not.
    """
    from nbpipe.commands.dynamic_keys import add_keys

    with current_workspace() as workspace:
        return add_keys(workspace, name, keys).added


def delete_partitions(name: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Delete keys from a dynamic set of partitions of this project; see `Project.delete_partitions`."""
    from nbpipe.commands.dynamic_keys import delete_keys

    with current_workspace() as workspace:
        return delete_keys(workspace, name, keys).deleted


def partition_keys(name: str) -> PartitionKeys:
    """Return the keys of a dynamic set, or of the partitions of an asset, of this project.

    See `Project.partition_keys`.
    """
    from nbpipe.commands.dynamic_keys import keys_named

    with current_workspace() as workspace:
        return keys_named(workspace, name)


def _stored(workspace: Workspace, reference: Reference) -> Any:
    from nbpipe.commands.references import find_kept

    found = find_kept(workspace, reference)
    return workspace.io.manager(found.stored.io).load(found.stored)


def backfill(selection: str, **options: Any) -> BackfillDetails | BackfillDraft:
    """Compute many partitions of the selected assets of this project in many runs; see `Project.backfill`."""
    with Project() as project:
        return project.backfill(selection, **options)


def materialize(
    selection: str = "*",
    *,
    stale: bool = False,
    parameters: Mapping[str, Any] = _NONE,
    partition: str | None = None,
    partitions: str | None = None,
) -> RunResult:
    """Compute and store the selected assets of this project in a run; see `Project.materialize`."""
    with Project() as project:
        return project.materialize(
            selection, stale=stale, parameters=parameters, partition=partition, partitions=partitions
        )
