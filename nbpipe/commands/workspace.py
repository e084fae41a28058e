"""A project opened for work: its definitions, its state and its values, in one environment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nbpipe import clock, settings
from nbpipe.core.definitions import AssetSpec, Definitions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.ports import StateStore
from nbpipe.core.records import AssetState
from nbpipe.core.resolving.resolution import ResolvedNotebook, definitions
from nbpipe.core.selection import resolve
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.core.staleness import Assessment, assess
from nbpipe.core.unreadable import Unreadable
from nbpipe.errors import StateError, UnknownNameError
from nbpipe.loading.config import Config
from nbpipe.loading.project import LoadedProject, load_project
from nbpipe.loading.roots import default_state, state_folder

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.commands.partitions_kept import PartitionsKept
    from nbpipe.core.partitions.assessing import AssessedPartitions, Memory
    from nbpipe.core.partitions.book import PartitionBook
    from nbpipe.core.partitions.state import PartitionState
    from nbpipe.io.registry import IoRegistry


class Workspace:
    """A project in one environment. Definitions are those saved when it was opened or last reloaded.

    The state store and the I/O managers are opened when first needed, so that listing definitions costs
    neither.
    """

    def __init__(self, project: LoadedProject) -> None:
        """Work on a loaded project; use `open` to find it."""
        self.project = project
        self._origin: Workspace | None = None
        self._store: StateStore | None = None
        self._io: IoRegistry | None = None
        self._partitions: PartitionsKept | None = None
        self._judged: Memory = {}

    @classmethod
    def open(cls, start: Path | None = None, *, env: str | None = None) -> Self:
        """Open the project that a folder or notebook belongs to (default: the working folder).

        Raises:
            ConfigError: its configuration can't be read, or knows no such environment.
        """
        return cls(load_project(start or Path.cwd(), env=env or settings.environment_name()))

    @property
    def root(self) -> Path:
        """Folder that all paths are relative to."""
        return self.project.root

    @property
    def env(self) -> str:
        """Name of the environment."""
        return self.project.env

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.project.config

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that the configuration takes from environment variables: for this process alone."""
        return settings.secret_values(self.config.references)

    @property
    def definitions(self) -> Definitions:
        """Everything that the project defines."""
        return self.project.definitions

    @cached_property
    def graph(self) -> AssetGraph:
        """The assets and how they depend on each other."""
        return AssetGraph.of(self.definitions)

    @property
    def store(self) -> StateStore:
        """The state store, opened when first asked for."""
        if self._origin is not None:
            return self._origin.store
        if self._store is None:
            from nbpipe.storage.open import open_store

            if self.config.state is None:  # it is in the project's own folder
                state_folder(self.root)
            self._store = open_store(self.config.state_url(self.root), root=self.root)
        return self._store

    @property
    def io(self) -> IoRegistry:
        """The I/O managers by name."""
        if self._origin is not None:
            return self._origin.io
        if self._io is None:
            from nbpipe.io.registry import open_io

            url = self.config.storage_url(self.root)
            self._io = open_io(self.config.io, storage=url, root=self.root, env=self.env)
        return self._io

    def reload(self) -> bool:
        """Look at what is saved now; return whether anything changed."""
        project = self.project.reload()
        if project is self.project:
            return False
        self.project = project
        self.__dict__.pop("graph", None)
        return True

    def with_notebook(self, resolved: ResolvedNotebook) -> Workspace:
        """Return the project with another text of one notebook than the saved one; state and values are shared."""
        path, saved = resolved.notebook.path, self.definitions
        others = {key: spec for key, spec in saved.assets.items() if spec.cell.notebook != path}
        changed = definitions(
            {**{spec.key: spec for spec in resolved.assets}, **others},
            {**saved.notebooks, path: resolved.notebook},
            [*(each for each in saved.diagnostics if each.notebook != path), *resolved.diagnostics],
            saved.automation,
        )
        other = Workspace(replace(self.project, definitions=changed))
        other._origin = self
        other._judged = self._judged
        return other

    @property
    def is_untouched(self) -> bool:
        """Nothing was ever stored here: asking need not create a state store."""
        if self._origin is not None:
            return self._origin.is_untouched
        return self._store is None and self.config.state is None and not default_state(self.root).exists()

    def settle(self, *, backfills: bool = False) -> None:
        """End runs whose process is gone, and release their backfills, so that what the store says of them is true.

        Where nothing can be written, as on a full disk, the next command does it: what can be read is still shown.

        Args:
            backfills: look for backfills also if nothing has partitions any more.
        """
        if self.is_untouched:
            return
        from nbpipe.execution.reconcile import reconcile

        store = self.store
        with contextlib.suppress(StateError):
            reconcile(store, self.root, backfills=backfills or self.has_partitions)

    def asset(self, key: str) -> AssetSpec:
        """Return an asset's definition.

        Raises:
            UnknownNameError: there is none of this name.
        """
        try:
            return self.definitions.assets[key]
        except KeyError:
            raise UnknownNameError("asset", key, self.definitions.assets, hint="`nbpipe list` shows all") from None

    def assess(
        self, parameters: Mapping[str, str] | None = None, *, states: Mapping[str, AssetState] | None = None
    ) -> dict[str, Assessment]:
        """Say of every asset whether it is fresh, and why not; in topological order.

        Args:
            parameters: values as source, by name, that a run would use instead of the defaults.
            states: what `states()` returned, if the caller has asked already.
        """
        found = assess(
            self.definitions,
            self.graph,
            self.states() if states is None else states,
            now=clock.now(),
            files=self.project.file_hash,
            parameters=parameters,
            partitions=self._assessed_partitions(),
        )
        return self.unreadable.retold(found)

    @property
    def unreadable(self) -> Unreadable:
        """The assets whose declaration can't be read."""
        return Unreadable(self.definitions.diagnostics)

    @property
    def has_partitions(self) -> bool:
        """Whether an asset has partitions: only then, what is about them is loaded."""
        return any(spec.options.partitions is not None for spec in self.definitions.assets.values())

    @property
    def book(self) -> PartitionBook:
        """The partition sets of the project's assets, and the links between them, with the keys registered now."""
        return self._partitions_kept().book()

    def partition_states(self, parameters: Mapping[str, str] | None = None) -> Mapping[str, PartitionState]:
        """Return which partitions of each asset are what, for all assets with partitions, in topological order.

        Assets whose declaration can't be used are left out. What has not changed since it was last asked for costs
        nothing, but for the unpartitioned assets upstream, which are assessed.

        Args:
            parameters: see `assess`.
        """
        partitions = self._assessed_partitions()
        if partitions is None:
            return {}
        specs = self.definitions.assets
        wanted = {key for key in specs if partitions.has(key)}
        wanted |= self.graph.ancestors(wanted)
        assess(
            self.definitions,
            self.graph,
            self.states(key for key in wanted if not partitions.has(key)),
            now=clock.now(),
            files=self.project.file_hash,
            parameters=parameters,
            partitions=partitions,
            keys=wanted,
        )
        return partitions.states

    def _assessed_partitions(self) -> AssessedPartitions | None:
        """Return what judges assets with partitions; None if there are none."""
        if not any(spec.options.partitions is not None for spec in self.definitions.assets.values()):
            return None
        return self._partitions_kept().judge(clock.now())

    def _partitions_kept(self) -> PartitionsKept:
        if self._partitions is None:
            from nbpipe.commands.partitions_kept import PartitionsKept

            self._partitions = PartitionsKept(self, self._judged)
        return self._partitions

    def states(self, assets: Iterable[str] | None = None) -> dict[str, AssetState]:
        """Return what the state store knows of assets."""
        if self.is_untouched:
            return {}
        return self.store.states(self.env, assets)

    def select(self, text: str, statuses: Mapping[str, Assessment] | None = None) -> tuple[str, ...]:
        """Return the assets that a selection names; all, for an empty one.

        Raises:
            SelectionError: it can't be read.
            UnknownNameError: it names an asset that does not exist.
        """
        selection = parse_selection(text.strip() or "*")
        known = {key: found.statuses for key, found in (statuses or {}).items()}
        return resolve(selection, self.graph, self.definitions.assets, statuses=known or self._statuses)

    def _statuses(self) -> Mapping[str, tuple[str, ...]]:
        return {key: found.statuses for key, found in self.assess().items()}

    def close(self) -> None:
        """Release the state store."""
        if self._store is not None:
            self._store.close()
            self._store = None
        self._partitions = None

    def __enter__(self) -> Self:
        """Use it in a `with` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
