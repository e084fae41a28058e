"""The pane beside the graph: what is known of the chosen asset, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import ipywidgets as widgets

from nbpipe.kernel.lineage import details
from nbpipe.kernel.lineage.buttons import button, change, show
from nbpipe.kernel.lineage.model import AssetFacts
from nbpipe.views.lineage import LineageNode, LineageView

_MOST_NEIGHBOURS = 20


class DetailPane:
    """Widgets that are filled anew only where something changed: a person may be reading them."""

    def __init__(
        self,
        *,
        on_visit: Callable[[str], None],
        on_materialize: Callable[[], None],
        on_load: Callable[[], None],
        on_focus: Callable[[], None],
        on_partitions: Callable[[], None],
    ) -> None:
        """Say who is called when a person visits a neighbour of the chosen asset, or presses a button."""
        self._on_visit = on_visit
        self._head, self._said, self._why, self._stored = (widgets.HTML() for _ in range(4))
        self.materialize = button("Materialize", "Run the job that computes this asset", on_materialize)
        self.materialize.button_style = "primary"
        self.load = button("Load", "Bind the stored value to the asset's name in this notebook", on_load)
        self.focus = button("Its lineage", "Select this asset with all that feeds it and all it feeds", on_focus)
        self.partitions = button("Partitions", "Show the partitions of this asset below the graph", on_partitions)
        self._actions = widgets.HBox([self.materialize, self.load, self.partitions, self.focus])
        self._actions.add_class("nbpipe-actions")
        self._near = widgets.VBox()
        self._neighbours: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self.widget = widgets.VBox([self._head, self._actions, self._said, self._why, self._near, self._stored])
        self.widget.add_class("nbpipe-details")

    def show_overview(self, view: LineageView) -> None:
        """Nothing is chosen."""
        self._fill(details.overview(view))

    def show_bundle(self, node: LineageNode) -> None:
        """A bundle of assets is chosen."""
        self._fill(details.bundle(node))

    def show(self, facts: AssetFacts) -> None:
        """An asset is chosen."""
        self._fill(details.heading(facts), details.why(facts), details.stored(facts))
        show(self._actions, shown=True)
        state = facts.state
        busy = state is not None and bool(state.activity)
        whole = facts.spec.options.partitions is None
        for each in (self.materialize, self.load):  # which of the partitions is said where they are shown
            show(each, shown=whole)
        show(self.partitions, shown=not whole)
        change(self.materialize, "disabled", busy)
        change(self.load, "disabled", state is None or state.current is None)
        self._show_neighbours(facts.upstream, facts.downstream)

    def say(self, text: str, *, refused: bool = False) -> None:
        """Tell what a button did."""
        change(self._said, "value", details.message(text, refused=refused))

    def _fill(self, head: str, why: str = "", stored: str = "") -> None:
        for widget, value in ((self._head, head), (self._why, why), (self._stored, stored)):
            change(widget, "value", value)
        if not why and not stored:
            show(self._actions, shown=False)
            self._show_neighbours((), ())

    def _show_neighbours(self, upstream: tuple[str, ...], downstream: tuple[str, ...]) -> None:
        if (upstream, downstream) == self._neighbours:
            return
        self._neighbours = (upstream, downstream)
        old = self._near.children
        self._near.children = (
            *self._neighbour_row("Upstream", upstream),
            *self._neighbour_row("Downstream", downstream),
        )
        for row in old:
            for child in (*getattr(row, "children", ()), row):
                child.close()

    def _neighbour_row(self, title: str, keys: Iterable[str]) -> list[Any]:
        keys = tuple(keys)
        if not keys:
            return []
        buttons = [
            button(key, f"{title} asset: show what is known of it", partial(self._on_visit, key))
            for key in keys[:_MOST_NEIGHBOURS]
        ]
        more = len(keys) - len(buttons)
        rest = [widgets.HTML(f'<span class="nbpipe-dim">and {more:,} more</span>')] if more else []
        row = widgets.HBox([*buttons, *rest])
        row.add_class("nbpipe-near")
        return [widgets.HTML(f"<h4>{title}</h4>"), row]
