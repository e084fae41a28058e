"""What one lineage widget shows: a selection of a project at this moment. No widgets here.

The model has a workspace of its own, with its own connection: the widget follows runs from a thread while the
kernel works.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.records import AssetState, Details
from nbpipe.core.staleness import Assessment
from nbpipe.errors import SelectionError, UnknownNameError
from nbpipe.views.lineage import MOST, LineageView, lineage

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.state import PartitionState

_PLAIN = re.compile(r"[^\s()+'\"]+")
_WORDS = frozenset({"and", "or", "not"})


class AssetFacts(NamedTuple):
    """All that is known of one asset now."""

    spec: AssetSpec
    assessment: Assessment | None
    state: AssetState | None
    details: Details | None
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    partitions: PartitionState | None = None
    """Of an asset that has some."""


class LineageModel:
    """A selection of a project, and what is drawn of it."""

    def __init__(self, workspace: Workspace, *, selection: str = "", limit: int) -> None:
        """Look at a project; the model owns the workspace.

        Raises:
            SelectionError: the selection can't be read.
            UnknownNameError: it names an asset that does not exist.
        """
        self.workspace = workspace
        self.limit = min(limit, MOST)
        self.text = ""
        self._keys: tuple[str, ...] | None = None
        self._expanded: tuple[str, ...] = ()
        self._states: Mapping[str, AssetState] = {}
        self._assessments: Mapping[str, Assessment] = {}
        self._read()
        self.view: LineageView = LineageView()
        self.select(selection)

    def refresh(self) -> LineageView:
        """Look at the project again; return what is to be drawn now."""
        if self.workspace.reload():
            self._keep_selection()
        self._read()
        return self._draw()

    def settle(self) -> None:
        """End runs whose process is gone, if anything seems to be on its way."""
        if any(state.activity for state in self._states.values()):
            self.workspace.settle()

    def select(self, text: str) -> LineageView:
        """Show what a selection names; everything, for an empty one.

        Raises:
            SelectionError: it can't be read; `column` says where.
        """
        text = " ".join(text.split())
        self._keys = self._resolve(text) if text else None
        self.text = text
        self._expanded = ()
        return self._draw()

    def open(self, bundle: str) -> LineageView:
        """Show what is in a bundle."""
        self._expanded = (*(each for each in self._expanded if each != bundle), bundle)
        return self._draw()

    def close_bundles(self) -> LineageView:
        """Show all bundles closed."""
        self._expanded = ()
        return self._draw()

    def draw_more(self) -> LineageView:
        """Draw as many nodes as possible before bundling."""
        self.limit = MOST
        return self._draw()

    def facts(self, key: str) -> AssetFacts | None:
        """Return what is known of an asset; None if there is none of this name any more."""
        spec = self.workspace.definitions.assets.get(key)
        if spec is None:
            return None
        state, graph = self._states.get(key), self.workspace.graph
        current = state.current if state is not None else None
        details = self.workspace.store.details(current.id) if current is not None else None
        return AssetFacts(
            spec,
            self._assessments.get(key),
            state,
            details,
            graph.upstream(key),
            graph.downstream(key),
            self.workspace.partition_states().get(key) if spec.options.partitions is not None else None,
        )

    def groups(self) -> dict[str, int]:
        """Return how many assets each group of the project has."""
        found = Counter(spec.options.group for spec in self.workspace.definitions.assets.values() if spec.options.group)
        return dict(sorted(found.items()))

    def close(self) -> None:
        """Release the connection."""
        self.workspace.close()

    def _read(self) -> None:
        self._states = self.workspace.states()
        self._assessments = self.workspace.assess(states=self._states)

    def _draw(self) -> LineageView:
        self.view = lineage(
            self.workspace.definitions,
            self.workspace.graph,
            self._assessments,
            self._keys,
            limit=self.limit,
            expanded=self._expanded,
        )
        self._expanded = self.view.expanded
        return self.view

    def _resolve(self, text: str) -> tuple[str, ...]:
        try:
            return self.workspace.select(text, self._assessments)
        except UnknownNameError as error:
            column = text.find(error.name)
            mark = f"\n  {text}\n  {' ' * column}^" if column >= 0 else ""
            where = f"selection, column {column + 1}: " if column >= 0 else ""
            raise SelectionError(f"{where}{error}{mark}", column=max(column, 0)) from error
        except SelectionError as error:
            if error.column is None or str(error).startswith("selection, column"):
                raise
            mark = f"\n  {text}\n  {' ' * error.column}^"
            raise SelectionError(f"selection, column {error.column + 1}: {error}{mark}", column=error.column) from error

    def _keep_selection(self) -> None:
        """After the definitions changed, select again by the same text; what is gone is gone."""
        if not self.text:
            return
        try:
            self._keys = self.workspace.select(self.text, self._assessments)
        except (SelectionError, UnknownNameError):
            self._keys = tuple(key for key in self._keys or () if key in self.workspace.graph)


def as_selection(key: str) -> str:
    """Write a name so that a selection reads it as that name.

    >>> as_selection("orders"), as_selection("my orders"), as_selection("not")
    ('orders', '"my orders"', '"not"')
    """
    plain = _PLAIN.fullmatch(key) and key not in _WORDS and ":" not in key
    return key if plain else f'"{key}"' if '"' not in key else f"'{key}'"
