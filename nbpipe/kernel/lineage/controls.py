"""What stands above the graph: search, lists of groups and assets, zoom, legend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ipywidgets as widgets

from nbpipe.kernel.lineage import details
from nbpipe.kernel.lineage.buttons import button, change, show
from nbpipe.kernel.lineage.model import LineageModel, as_selection
from nbpipe.views.lineage import MOST, LineageView
from nbpipe.views.palette import LOOKS, counts_text

_CHOOSE = "choose…"


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
        self.groups = widgets.Dropdown(options=[("", "")], description="Group", style={"description_width": "initial"})
        self.groups.tooltip = "Select all assets of a group"
        self.groups.observe(self._grouped, "value")
        fit = button("Fit", "Show the whole graph", handlers.fit)
        self.wheel = widgets.ToggleButton(
            description="Wheel zoom", tooltip="The mouse wheel zooms the graph instead of scrolling the page"
        )
        self.wheel.observe(lambda event: handlers.wheel(bool(event["new"])), "value")
        self._more = button("Draw more", f"Draw up to {MOST} nodes", handlers.more)
        self._close = button("Close bundles", "Draw opened bundles as one node again", handlers.close_bundles)
        for each in (fit, self.wheel, self._more, self._close):
            each.layout.width = "auto"
        self.bar = widgets.HBox([self.search, self.groups, self.nodes, fit, self.wheel, self._more, self._close])
        self.bar.add_class("nbpipe-bar")
        self.error, self.legend = widgets.HTML(), widgets.HTML()
        self.error.add_class("nbpipe-error")
        self.legend.add_class("nbpipe-legend")

    @property
    def rows(self) -> tuple[Any, ...]:
        """The rows of controls, in order."""
        return (self.bar, self.error, self.legend)

    def show(self, model: LineageModel, chosen: str | None) -> None:
        """Follow what is drawn."""
        view = model.view
        change(self.legend, "value", details.legend(view))
        show(self._more, shown=bool(view.note))
        show(self._close, shown=bool(view.expanded))
        self._show_nodes(view, chosen)
        self._show_groups(model.groups(), model.text)

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
        options = [(_CHOOSE, "")]
        for node in view.nodes:
            words = counts_text(node.counts) if node.kind == "bundle" else LOOKS[node.status].word
            options.append((f"{node.label}: {words}", node.id))
        self._fill(self.nodes, options, chosen)

    def _show_groups(self, groups: Mapping[str, int], text: str) -> None:
        options = [(_CHOOSE, "")]
        options += [(f"{name} ({assets:,})", _of_group(name)) for name, assets in groups.items()]
        self._fill(self.groups, options, text)
        show(self.groups, shown=bool(groups))

    def _fill(self, dropdown: Any, options: list[tuple[str, str]], value: str | None) -> None:
        """Offer options, of which one is chosen; what a program chooses is not taken for a person's choice."""
        known = value if value in {key for _, key in options} else ""
        self._quiet = True
        try:
            with dropdown.hold_sync():
                if tuple(options) != tuple(dropdown.options):
                    dropdown.options = options
                change(dropdown, "value", known)
        finally:
            self._quiet = False

    def _searched(self, event: Any) -> None:
        self._handlers.select(str(event["new"]))

    def _picked(self, event: Any) -> None:
        if not self._quiet and event["new"]:
            self._handlers.visit(str(event["new"]))

    def _grouped(self, event: Any) -> None:
        if not self._quiet and event["new"]:
            self.search_for(str(event["new"]))


def _of_group(name: str) -> str:
    """Return the selection of a group."""
    return "group:" + as_selection(name)
