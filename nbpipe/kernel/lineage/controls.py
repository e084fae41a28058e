"""What stands above the graph: search, list of assets, zoom, legend, groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import ipywidgets as widgets

from nbpipe.kernel.lineage import details
from nbpipe.kernel.lineage.buttons import button, change, show
from nbpipe.kernel.lineage.model import as_selection
from nbpipe.views.lineage import MOST, LineageView
from nbpipe.views.palette import LOOKS, counts_text

_MOST_GROUPS = 16


class Handlers(NamedTuple):
    """Who is called when a person uses a control."""

    select: Callable[[str], None]
    """With a selection."""
    visit: Callable[[str], None]
    """With the id of a node."""
    fit: Callable[[], None]
    wheel: Callable[[bool], None]
    more: Callable[[], None]
    close_bundles: Callable[[], None]


class Controls:
    """All controls but those of the chosen asset. All can be reached by the keyboard."""

    def __init__(self, handlers: Handlers, text: str) -> None:
        """Begin with a selection in the search box."""
        self._handlers = handlers
        self._quiet = False
        self.search = widgets.Text(
            value=text,
            description="Select",
            placeholder="name   +all_upstream   all_downstream+   group:g   status:stale   not (a or b)",
            tooltip="Selection of assets; Enter applies it, nothing shows all",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        self.search.observe(self._searched, "value")
        self.nodes = widgets.Dropdown(options=[("", "")], description="Asset", style={"description_width": "initial"})
        self.nodes.tooltip = "Everything that is drawn, with its status"
        self.nodes.observe(self._picked, "value")
        fit = button("Fit", "Show the whole graph", handlers.fit)
        self.wheel = widgets.ToggleButton(
            description="Wheel zoom", tooltip="The mouse wheel zooms the graph instead of scrolling the page"
        )
        self.wheel.observe(lambda event: handlers.wheel(bool(event["new"])), "value")
        self._more = button("Draw more", f"Draw up to {MOST} nodes", handlers.more)
        self._close = button("Close bundles", "Draw opened bundles as one node again", handlers.close_bundles)
        for each in (fit, self.wheel, self._more, self._close):
            each.layout.width = "auto"
        self.bar = widgets.HBox([self.search, self.nodes, fit, self.wheel, self._more, self._close])
        self.bar.add_class("nbpipe-bar")
        self.error, self.legend = widgets.HTML(), widgets.HTML()
        self.error.add_class("nbpipe-error")
        self.legend.add_class("nbpipe-legend")
        self.groups = widgets.HBox()
        self.groups.add_class("nbpipe-groups")
        self._group_names: tuple[tuple[str, int], ...] = ()

    @property
    def rows(self) -> tuple[Any, ...]:
        """The rows of controls, in order."""
        return (self.bar, self.error, self.legend, self.groups)

    def show(self, view: LineageView, chosen: str | None) -> None:
        """Follow what is drawn."""
        change(self.legend, "value", details.legend(view))
        show(self._more, shown=bool(view.note))
        show(self._close, shown=bool(view.expanded))
        self._show_nodes(view, chosen)
        self._show_groups((group.name, group.assets) for group in view.groups)

    def without_more(self) -> None:
        """As much is drawn as there may be."""
        self._more.disabled = True

    def search_for(self, text: str) -> None:
        """Put a selection into the search box and apply it."""
        if self.search.value == text:
            self._handlers.select(text)
        else:
            self.search.value = text

    def say(self, message: str) -> None:
        """Show why a selection can't be read, or clear that."""
        change(self.error, "value", details.error(message))

    def _show_nodes(self, view: LineageView, chosen: str | None) -> None:
        known = {node.id for node in view.nodes}
        value = chosen if chosen in known else ""
        options = [("choose…", "")]
        for node in view.nodes:
            words = counts_text(node.counts) if node.kind == "bundle" else LOOKS[node.status].word
            options.append((f"{node.label}: {words}", node.id))
        self._quiet = True
        try:
            if tuple(options) != tuple(self.nodes.options):
                with self.nodes.hold_sync():
                    self.nodes.options = options
                    self.nodes.value = value
            change(self.nodes, "value", value)
        finally:
            self._quiet = False

    def _show_groups(self, groups: Iterable[tuple[str, int]]) -> None:
        wanted = tuple(groups)
        if wanted == self._group_names and self.groups.children:
            return
        self._group_names = wanted
        old = self.groups.children
        self.groups.children = [
            button(
                f"{name} ({assets:,})",
                f"Select the {assets:,} assets of this group",
                partial(self.search_for, "group:" + as_selection(name)),
            )
            for name, assets in wanted[:_MOST_GROUPS]
        ]
        show(self.groups, shown=bool(wanted))
        for each in old:
            each.close()

    def _searched(self, event: Any) -> None:
        self._handlers.select(str(event["new"]))

    def _picked(self, event: Any) -> None:
        if not self._quiet and event["new"]:
            self._handlers.visit(str(event["new"]))
