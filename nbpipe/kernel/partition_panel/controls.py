"""The controls of the widget. All can be reached by the keyboard; clicks on cells have their twin in slider and box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import ipywidgets as widgets

from nbpipe.kernel.lineage import details as html
from nbpipe.kernel.lineage.buttons import button, change, show
from nbpipe.kernel.partition_panel import details
from nbpipe.kernel.partition_panel.model import PARTS, PartitionsModel
from nbpipe.views.partitions import OtherDimension, PartitionsView
from nbpipe.views.partitions_axes import Window

_MOST_KEYS = 500
"""Keys of a further dimension that are offered; others are written into the box."""
_ALL_KEYS = "all together"


class Handlers(NamedTuple):
    """Who is called when a person uses a control."""

    select: Callable[[str], None]
    """With a range of keys, as it is written."""
    slide: Callable[[Window], None]
    """With the numbers of the first and last column."""
    mean: Callable[[str], None]
    """With what of the selection is meant."""
    look: Callable[[str], None]
    """With the name of a button: `in`, `out`, `all`, `before`, `after`, `up`, `down`."""
    rows: Callable[[str], None]
    """With the name of a dimension."""
    fix: Callable[[str, str], None]
    """With the name of a dimension and a key of it."""
    materialize: Callable[[], None]
    backfill: Callable[[], None]


class Controls:
    """Everything that a person can use, but the cells."""

    def __init__(self, handlers: Handlers) -> None:
        """Say who is called."""
        self._handlers, self._quiet = handlers, False
        self.legend, self.error, self.shown = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.legend.add_class("nbpipe-legend")
        self.error.add_class("nbpipe-error")
        self._make_look_controls()
        self._make_selection_controls()
        self._make_work_controls()

    def _make_look_controls(self) -> None:
        look = self._handlers.look
        self._zoom_in = _button("Zoom in", "Show what is selected alone", partial(look, "in"))
        self._zoomed = [
            _button("Zoom out", "Show more keys around these", partial(look, "out")),
            _button("Show all", "Show all keys", partial(look, "all")),
            _button("Earlier", "Show the keys before these", partial(look, "before")),
            _button("Later", "Show the keys after these", partial(look, "after")),
        ]
        self._paged = [
            _button("Rows up", "Show the rows before these", partial(look, "up")),
            _button("Rows down", "Show the rows after these", partial(look, "down")),
        ]
        self.extend = widgets.ToggleButton(
            description="Extend", tooltip="The next click on a cell selects everything up to there"
        )
        self.extend.layout.width = "auto"
        self.rows = _dropdown("Rows", "Which dimension the rows are")
        self.rows.observe(self._tell(self._handlers.rows), "value")
        self._others = widgets.HBox()
        self._other_lists: dict[str, Any] = {}
        self.bar = widgets.HBox(
            [self._zoom_in, *self._zoomed, *self._paged, self.extend, self.rows, self._others, self.shown]
        )
        self.bar.add_class("nbpipe-bar")

    def _make_selection_controls(self) -> None:
        handlers = self._handlers
        self.slider = widgets.IntRangeSlider(min=0, max=1, value=(0, 0), readout=False, continuous_update=False)
        self.slider.tooltip = "First and last column that are selected"
        self.slider.observe(self._tell(lambda value: handlers.slide((value[0], value[1]))), "value")
        self.range = widgets.Text(
            description="Selection",
            placeholder="KEY or KEY..KEY; * is all",
            tooltip="Partitions to work on; Enter applies it",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        self.range.observe(self._tell(handlers.select), "value")
        self.part = _dropdown("Of these", "Which of the selected partitions the buttons work on")
        self.part.options = tuple(PARTS)
        self.part.observe(self._tell(handlers.mean), "value")

    def _make_work_controls(self) -> None:
        handlers = self._handlers
        self.meant, self.said = widgets.HTML(), widgets.HTML()
        self.materialize = _button("Materialize", "Compute these partitions in one run", handlers.materialize)
        self.materialize.button_style = "primary"
        self.backfill = _button(
            "Backfill", "Compute these partitions in as many runs as it takes, in the background", handlers.backfill
        )
        self.work = widgets.HBox([self.range, self.part, self.materialize, self.backfill, self.meant])
        self.work.add_class("nbpipe-bar")

    def show(self, model: PartitionsModel, columns: Window) -> None:
        """Follow what is drawn and selected; `columns` are those that the selection reaches."""
        view = model.view
        with self._silently():
            change(self.legend, "value", details.legend(model))
            change(self.shown, "value", details.shown(model))
            change(self.meant, "value", details.meant(model))
            change(self.range, "value", model.text)
            for each in self._zoomed:
                show(each, shown=view.zoomed)
            for each in self._paged:
                show(each, shown=view.pages > 1)
            for each in (self.materialize, self.backfill):
                change(each, "disabled", not (model.is_meant and model.meant))
            change(self._zoom_in, "disabled", len(view.columns) < 2)
            self._show_slider(len(view.columns) - 1, columns)
            self._show_dimensions(view)

    def say(self, text: str, *, refused: bool = False) -> None:
        """Tell what a button did."""
        change(self.said, "value", html.message(text, refused=refused))

    def complain(self, message: str) -> None:
        """Show why a range can't be read, or clear that."""
        change(self.error, "value", html.error(message))

    def _show_slider(self, last: int, columns: Window) -> None:
        show(self.slider, shown=last > 0)
        with self.slider.hold_sync():
            change(self.slider, "max", max(last, 1))
            change(self.slider, "value", columns)

    def _show_dimensions(self, view: PartitionsView) -> None:
        names = [part.name for part in view.of.dimensions]
        show(self.rows, shown=len(names) > 2)
        if view.down is None or len(names) < 3:
            return
        self._fill(self.rows, [(name, name) for name in names], view.down.dimension.name)
        known = [other.name for other in view.others]
        if known != list(self._other_lists):
            for old in self._other_lists.values():
                old.close()
            self._other_lists = {other.name: self._other(other.name) for other in view.others}
            self._others.children = tuple(self._other_lists.values())
        for other in view.others:
            self._fill(self._other_lists[other.name], _choices(other), other.chosen)

    def _other(self, name: str) -> Any:
        found = _dropdown(name, f"Which key of {name} is shown")
        found.observe(self._tell(partial(self._handlers.fix, name)), "value")
        return found

    def _fill(self, dropdown: Any, options: list[tuple[str, str]], value: str) -> None:
        with dropdown.hold_sync():
            if tuple(options) != tuple(dropdown.options):
                dropdown.options = options
            change(dropdown, "value", value)

    def _tell(self, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return what calls a handler when a person changes a value, and not when a program does."""

        def observed(event: Any) -> None:
            if not self._quiet:
                handler(event["new"])

        return observed

    @contextmanager
    def _silently(self) -> Iterator[None]:
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False


def _button(text: str, tooltip: str, on_click: Callable[[], None]) -> Any:
    found = button(text, tooltip, on_click)
    found.layout.width = "auto"
    return found


def _dropdown(description: str, tooltip: str) -> Any:
    return widgets.Dropdown(
        options=[("", "")], description=description, tooltip=tooltip, style={"description_width": "initial"}
    )


def _choices(other: OtherDimension) -> list[tuple[str, str]]:
    keys = [span.first for span in other.axis.page(0, _MOST_KEYS)]
    if other.chosen and other.chosen not in keys:
        keys.append(other.chosen)
    return [(_ALL_KEYS, ""), *((key, key) for key in keys)]
