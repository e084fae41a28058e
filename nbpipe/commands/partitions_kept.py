"""What the state store says of a project's partitions, read again when it has changed. Loaded for partitions alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from nbpipe.core.definitions import Definitions
from nbpipe.core.partitions.assessing import AssessedPartitions, Memory
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.chunks import PartitionFacts
from nbpipe.core.partitions.recipes import Recipe

if TYPE_CHECKING:
    from nbpipe.commands.workspace import Workspace


class PartitionsKept:
    """Facts, recipes and sets of one workspace, as of one revision of the state store."""

    def __init__(self, workspace: Workspace, memory: Memory) -> None:
        """Read for a workspace; `memory` is of earlier judgements."""
        self._workspace = workspace
        self._memory = memory
        self._revision: int | None = None
        self._definitions: Definitions | None = None
        self._book: PartitionBook | None = None
        self._facts: dict[str, PartitionFacts] = {}
        self._recipes: dict[str, Mapping[int, Recipe]] = {}

    def book(self) -> PartitionBook:
        """Return the sets and links of today's definitions, with the keys that are registered now."""
        workspace = self._workspace
        revision = None if workspace.is_untouched else workspace.store.revision()
        if (
            self._book is None
            or self._definitions is not workspace.definitions
            or (revision is None) != (self._revision is None)
        ):
            self._definitions = workspace.definitions
            specs = workspace.definitions.assets.values()
            declared = {spec.key: spec.options.partitions for spec in specs if spec.options.partitions is not None}
            store = None if revision is None else workspace.store.partitions
            self._book = PartitionBook(declared, store, workspace.env)
            self._read_again()
        elif revision != self._revision:
            self._book.forget()
            self._read_again()
        self._revision = revision
        return self._book

    def judge(self, now: datetime) -> AssessedPartitions:
        """Return what judges the assets with partitions at a moment, by what is kept now."""
        return AssessedPartitions(self.book(), self, now, self._memory)

    def facts(self, asset: str) -> PartitionFacts:
        """See `PartitionStore.facts`."""
        found = self._facts.get(asset)
        if found is None:
            workspace = self._workspace
            untouched = workspace.is_untouched
            found = PartitionFacts({}) if untouched else workspace.store.partitions.facts(workspace.env, asset)
            self._facts[asset] = found
        return found

    def recipes(self, asset: str) -> Mapping[int, Recipe]:
        """See `PartitionStore.recipes`."""
        found = self._recipes.get(asset)
        if found is None:
            workspace = self._workspace
            found = {} if workspace.is_untouched else workspace.store.partitions.recipes(workspace.env, asset)
            self._recipes[asset] = found
        return found

    def _read_again(self) -> None:
        self._facts, self._recipes = {}, {}
