"""The widget of partitions: cells, controls and details, following the state store while it can be seen.

What can be clicked is one widget, a list of radio buttons without buttons: each name lies above its cell, and a click
on it chooses it. So thousands of cells are one model in the browser, no script of ours runs there, and it works
wherever ipywidgets do. What cells look like is another layer, below; names stay when statuses change, so that a new
picture takes nothing away from the person who points at it. By the keyboard, the slider and the box do the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as widgets

from nbpipe.core.backfills.records import ACTIVE_BACKFILL
from nbpipe.core.records import ACTIVE_RUN
from nbpipe.errors import NbpipeError
from nbpipe.kernel.lineage.buttons import change
from nbpipe.kernel.lineage.style import PANEL_CLASS, style_sheet
from nbpipe.kernel.lineage.watcher import Watcher
from nbpipe.kernel.partition_panel import actions, details, heat
from nbpipe.kernel.partition_panel.controls import Controls, Handlers
from nbpipe.kernel.partition_panel.fallback import static_bundle
from nbpipe.kernel.partition_panel.model import PartitionsModel
from nbpipe.kernel.sessions import Session
from nbpipe.views.partitions_axes import Window

if TYPE_CHECKING:
    from nbpipe.kernel.live import LiveSession

ROOT_CLASS = "nbpipe-partitions"

_REST = 0.4
"""Seconds between two pictures: a backfill commits far more often than a person can look."""
_SHEET = Path(__file__).with_name("partitions.css")
_numbers = count(1)


class PartitionsPanel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """What `%partitions` displays."""

    def __init__(self, session: Session, model: PartitionsModel) -> None:
        """Show a model; the panel owns it, and closes it when it is closed itself."""
        super().__init__()
        self._session, self._model = session, model
        self._lock = threading.RLock()
        self._closed = False
        self._anchor: tuple[int, int] | None = None
        self._run: str | None = None
        self._backfill: str | None = None
        self._names: tuple[str, ...] = ()
        self._controls = Controls(self._handlers())
        self._lay_out()
        self._show()
        self._view_count = 0  # counts displays; a frontend that does not count leaves the widget watching
        self.observe(self._views_changed, "_view_count")
        self._watcher = Watcher(model.workspace.store, self._follow, self._look_after, rest=_REST)

    def _handlers(self) -> Handlers:
        return Handlers(
            select=self._select,
            slide=self._slide,
            mean=self._mean,
            look=self._look,
            rows=lambda name: self._change(lambda: self._model.show_rows(name)),
            fix=lambda name, key: self._change(lambda: self._model.fix(name, key)),
            materialize=lambda: self._act(self._start_run),
            backfill=lambda: self._act(self._start_backfill),
        )

    def _lay_out(self) -> None:
        controls = self._controls
        self._cells, self._grid, self._ticks, self._pane = (widgets.HTML() for _ in range(4))
        self._surface = widgets.Box()
        layer = widgets.Box([self._cells, self._surface])
        canvas = widgets.VBox([layer, self._ticks, controls.slider])
        main = widgets.HBox([canvas, self._pane])
        sheet = widgets.HTML(f"<style>{_style()}</style>")
        scope = f"nbpipe-p{next(_numbers)}"
        self._scope = f".{scope}"
        for widget, names in (
            (layer, ("nbpipe-heat",)),
            (self._ticks, ("nbpipe-ticks",)),
            (self._grid, ("nbpipe-sheet",)),
            (sheet, ("nbpipe-sheet",)),
            (canvas, ("nbpipe-canvas", scope)),
            (self._pane, ("nbpipe-details",)),
            (main, ("nbpipe-main",)),
            (self, (PANEL_CLASS, ROOT_CLASS)),
        ):
            widget._dom_classes = names  # noqa: SLF001 - all in one change
        rows = (controls.legend, controls.bar, main, controls.error, controls.work, controls.said)
        self.children = (sheet, self._grid, *rows)

    @property
    def asset(self) -> str:
        """The asset whose partitions are shown."""
        return self._model.asset

    def close(self) -> None:
        """Stop following, and give up everything in the browser."""
        if getattr(self, "_closed", True):
            return
        self._closed = True
        self._watcher.end()
        with self._lock:
            self._model.close()
            super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return {**shown, **static_bundle(self._model.view)}

    # --- what a person does ---------------------------------------------------------------------

    def _clicked(self, event: Any) -> None:
        index = event["new"]
        with self._lock:
            if index is None or index >= len(self._names):  # cells have changed since
                return
            row, column = divmod(index, len(self._model.view.columns))
            first_row, first = self._anchor if self._controls.extend.value and self._anchor else (row, column)
            if not self._controls.extend.value or self._anchor is None:
                self._anchor = (row, column)
            self._controls.extend.value = False
            self._model.select_cells(_ordered(first_row, row), _ordered(first, column))
            self._chosen()

    def _slide(self, columns: Window) -> None:
        with self._lock:
            self._model.select_cells(self._rows(), columns)
            self._chosen()

    def _select(self, text: str) -> None:
        with self._lock:
            try:
                self._model.select(text)
            except NbpipeError as error:
                self._controls.complain(str(error))
                return
            self._chosen()

    def _chosen(self) -> None:
        self._controls.complain("")
        self._controls.say("")
        self._show()

    def _mean(self, part: str) -> None:
        with self._lock:
            self._model.part = part
            self._show()

    def _look(self, how: str) -> None:
        model = self._model
        ways: dict[str, Callable[[], object]] = {
            "in": model.zoom_in,
            "out": model.zoom_out,
            "all": model.show_all,
            "before": lambda: model.move(-1),
            "after": lambda: model.move(1),
            "up": lambda: model.turn(-1),
            "down": lambda: model.turn(1),
        }
        self._change(ways[how])

    def _change(self, what: Callable[[], object]) -> None:
        with self._lock:
            self._anchor = None
            what()
            self._show()

    def _act(self, action: Callable[[], str]) -> None:
        with self._lock:
            try:
                said, refused = action(), False
            except NbpipeError as error:
                said, refused = str(error), True
            self._controls.say(said, refused=refused)

    def _start_run(self) -> str:
        self._run = actions.materialize(cast("LiveSession", self._session), self._model)
        return "There is nothing to run." if self._run is None else "The run has started; the cells follow it."

    def _start_backfill(self) -> str:
        self._backfill = actions.backfill(cast("LiveSession", self._session), self._model)
        if self._backfill is None:
            return "There is nothing to run."
        return f"Backfill {self._backfill} has started; the cells follow it."

    # --- what happens meanwhile -----------------------------------------------------------------

    def _follow(self) -> None:
        """Show what has changed in the state store; called by the watcher."""
        with self._lock:
            if self._closed:
                return
            try:
                self._model.refresh()
                self._show()
                self._tell_of_run()
                self._tell_of_backfill()
            except NbpipeError as error:
                self._controls.complain(str(error))

    def _look_after(self) -> None:
        """End a run or backfill whose process has died; called by the watcher."""
        with self._lock:
            if not self._closed:
                self._model.settle(backfill=self._backfill is not None)

    def _tell_of_run(self) -> None:
        run = self._model.workspace.store.run(self._run) if self._run is not None else None
        if run is None or run.status in ACTIVE_RUN:
            return
        self._run = None
        if run.status == "success":
            self._controls.say("The run ended well.")
        else:
            self._controls.say(f"Run {run.id}: {run.status}: {run.error or 'see its record'}", refused=True)

    def _tell_of_backfill(self) -> None:
        """Say how far a backfill is, and how it ended."""
        found = self._model.workspace.store.backfills.backfill(self._backfill) if self._backfill is not None else None
        if found is None:
            return
        ended = found.done + found.failed + found.skipped + found.lost
        words = f"Backfill {found.id}: {found.status}, {ended:,} of {found.total:,} partitions"
        troubles = ((found.failed, "failed"), (found.lost, "lost because of that"))
        words += "".join(f", {number:,} {word}" for number, word in troubles if number)
        if found.status not in ACTIVE_BACKFILL:
            self._backfill = None
            words += f": {found.error}" if found.error else ""
        self._controls.say(words, refused=bool(found.failed or found.error))

    def _views_changed(self, event: Any) -> None:
        if event["new"]:
            self._watcher.resume()
        elif event["old"]:
            self._watcher.pause()

    # --- what is shown --------------------------------------------------------------------------

    def _show(self) -> None:
        model = self._model
        view, chosen = model.view, model.selection
        inside = view.inside(chosen) if chosen is not None else ()
        change(self._grid, "value", heat.layer_style(view, self._scope))
        change(self._cells, "value", heat.cells_html(view, inside))
        change(self._ticks, "value", heat.ticks_html(view))
        self._show_names(heat.names(view))
        reached = [column for row in inside for column, within in enumerate(row) if within]
        self._controls.show(model, (min(reached), max(reached)) if reached else (0, max(len(view.columns) - 1, 1)))
        change(self._pane, "value", self._known())

    def _known(self) -> str:
        model = self._model
        chosen, key = model.selection, model.single
        if key is not None:
            return details.one(model.facts(key))
        return details.several(model, chosen) if chosen is not None else details.overview(model)

    def _show_names(self, names: tuple[str, ...]) -> None:
        """Put names above the cells: new ones only if they are other ones, for they are drawn anew."""
        if names == self._names:
            return
        self._names, old = names, self._surface.children
        surface = widgets.RadioButtons(options=[(name, index) for index, name in enumerate(names)], index=None)
        surface.observe(self._clicked, "index")
        self._surface.children = (surface,)
        for each in old:
            each.close()

    def _rows(self) -> Window:
        """Return the first and the last row that the selection reaches; all, without one."""
        chosen, view = self._model.selection, self._model.view
        inside = view.inside(chosen) if chosen is not None else ()
        reached = [number for number, row in enumerate(inside) if any(row)]
        return (min(reached), max(reached)) if reached else (0, len(view.rows) - 1)


def _ordered(one: int, other: int) -> Window:
    return min(one, other), max(one, other)


@cache
def _style() -> str:
    return f"{style_sheet()}{heat.statuses_style(f'.{ROOT_CLASS}')}\n{_SHEET.read_text(encoding='utf-8')}"
