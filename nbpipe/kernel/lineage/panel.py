"""The lineage widget: controls, graph and details, following the state store while it can be seen.

Clicks come in the kernel's thread, changes of the store in the watcher's: one lock keeps them apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as widgets

from nbpipe.core.records import ACTIVE_RUN, Run
from nbpipe.errors import NbpipeError, RefusedError, SelectionError
from nbpipe.kernel.lineage.controls import Controls, Handlers
from nbpipe.kernel.lineage.cytoscape import Drawing
from nbpipe.kernel.lineage.fallback import static_bundle
from nbpipe.kernel.lineage.model import LineageModel, as_selection
from nbpipe.kernel.lineage.pane import DetailPane
from nbpipe.kernel.lineage.style import PANEL_CLASS, ROOT_CLASS, height_class, style_sheet
from nbpipe.kernel.lineage.watcher import Watcher

if TYPE_CHECKING:
    from nbpipe.kernel.live import LiveSession
from nbpipe.kernel.sessions import Session
from nbpipe.views.lineage import LineageView

_MANY = 25
"""With more nodes than this a person will want to zoom."""


class LineagePanel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """What `%lineage` displays."""

    def __init__(self, session: Session, model: LineageModel) -> None:
        """Show a model; the panel owns it, and closes it when it is closed itself."""
        super().__init__()
        self._session, self._model = session, model
        self._lock = threading.RLock()
        self._closed = False
        self._chosen: str | None = None
        self._run: str | None = None
        self._retired: Drawing | None = None
        handlers = Handlers(self._select, self._visit, self._fit, self._wheel, self._draw_more, self._close_bundles)
        self._controls = Controls(handlers, model.text)
        self._pane = DetailPane(
            on_visit=self._visit,
            on_materialize=self._materialize,
            on_load=self._load,
            on_focus=self._focus,
            on_partitions=lambda: self._act(self._open_partitions),
        )
        self._below: Any = None
        self._canvas = widgets.Box()
        self._canvas.add_class("nbpipe-canvas")
        self._main = widgets.HBox([self._canvas, self._pane.widget])
        self._main.add_class("nbpipe-main")
        sheet = widgets.HTML(f"<style>{style_sheet()}</style>")
        sheet.add_class("nbpipe-sheet")
        self.children = (sheet, *self._controls.rows, self._main)
        self.add_class(PANEL_CLASS)
        self.add_class(ROOT_CLASS)
        self._drawing = self._draw(model.view)
        self._show(model.view)
        self._follow_views()
        self._watcher = Watcher(model.workspace.store, self._follow, self._look_after)

    def close(self) -> None:
        """Stop following, and give up everything in the browser."""
        if getattr(self, "_closed", True):
            return
        self._closed = True
        self._watcher.end()
        if self._below is not None:
            self._below.close()
        with self._lock:
            for drawing in (self._retired, self._drawing):
                if drawing is not None:
                    drawing.close()
            self._model.close()
            super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return {**shown, **static_bundle(self._model.view)}

    # --- what a person does ---------------------------------------------------------------------

    def _select(self, text: str) -> None:
        with self._lock:
            try:
                view = self._model.select(text)
            except SelectionError as error:
                self._controls.say(str(error))
                return
            self._controls.say("")
            if self._chosen not in {node.id for node in view.nodes}:
                self._chosen = None
            self._show(view)

    def _visit(self, node: str) -> None:
        """Open a bundle, or show what is known of an asset; one that is not drawn is drawn with its neighbours."""
        with self._lock:
            known = {each.id: each for each in self._model.view.nodes}
            if node in known and known[node].kind == "bundle":
                self._chosen = None
                self._show(self._model.open(node))
                self._pane.show_bundle(known[node])
                return
            if node != self._chosen:
                self._pane.say("")
            self._chosen = node
            if node in known:
                self._show(self._model.view)
            else:
                self._controls.search_for(f"1+{as_selection(node)}+1")

    def _focus(self) -> None:
        if self._chosen is not None:
            self._controls.search_for(f"+{as_selection(self._chosen)}+")

    def _fit(self) -> None:
        self._drawing.fit()

    def _wheel(self, on: bool) -> None:  # noqa: FBT001 - the state of a toggle button
        self._drawing.zoom_by_wheel(on=on)

    def _draw_more(self) -> None:
        with self._lock:
            self._show(self._model.draw_more())
            self._controls.without_more()

    def _close_bundles(self) -> None:
        with self._lock:
            self._show(self._model.close_bundles())

    def _materialize(self) -> None:
        from nbpipe.kernel.materializing import start_run

        self._act(lambda key: self._started(start_run(cast("LiveSession", self._session), as_selection(key))))

    def _started(self, run: str | None) -> str:
        self._run = run
        return "There is nothing to run." if run is None else "The run has started; the graph follows it."

    def _load(self) -> None:
        self._act(self._bind)

    def _bind(self, key: str) -> str:
        cells = self._session.cells
        if not key.isidentifier():
            raise RefusedError(f"{key} can't be the name of a variable: write `value = %asset {key}`")
        materialization, value = cells.values.load_current(key)
        cells.names.bind(key, value)
        return f"Version {materialization.version} is now bound to the name {key} in this notebook."

    def _open_partitions(self, key: str) -> str:
        """Show the partitions of an asset below the graph, or no longer, if it is these that are shown."""
        from nbpipe.kernel.partition_panel import show_partitions

        old, self._below = self._below, None
        if old is None or old.asset != key:
            self._below = show_partitions(self._session, key)
        rest = tuple(child for child in self.children if child is not old)
        self.children = rest if self._below is None else (*rest, self._below)
        if old is not None:
            old.close()
        return ""

    def _act(self, action: Callable[[str], str]) -> None:
        """Do something with the chosen asset, and say what came of it."""
        if self._chosen is None:
            return
        try:
            said, refused = action(self._chosen), False
        except NbpipeError as error:
            said, refused = str(error), True
        with self._lock:
            self._pane.say(said, refused=refused)

    # --- what happens meanwhile -----------------------------------------------------------------

    def _follow(self) -> None:
        """Show what has changed in the state store; called by the watcher."""
        with self._lock:
            if self._closed:
                return
            try:
                self._show(self._model.refresh())
                self._tell_of_run()
            except NbpipeError as error:
                self._controls.say(str(error))

    def _look_after(self) -> None:
        """End a run whose process has died; called by the watcher."""
        with self._lock:
            if not self._closed:
                self._model.settle()

    def _tell_of_run(self) -> None:
        run = self._model.workspace.store.run(self._run) if self._run is not None else None
        if run is None or run.status in ACTIVE_RUN:
            return
        self._run = None
        self._pane.say(_verdict(run), refused=run.status != "success")

    def _follow_views(self) -> None:
        """Watch while the widget is displayed somewhere; a frontend that does not count leaves it watching."""
        self._view_count = 0
        self.observe(self._views_changed, "_view_count")

    def _views_changed(self, event: Any) -> None:
        if event["new"]:
            self._watcher.resume()
        elif event["old"]:
            self._watcher.pause()

    # --- what is shown --------------------------------------------------------------------------

    def _show(self, view: LineageView) -> None:
        if self._drawing.fits(view):
            self._drawing.update(view.nodes)
        else:
            old, self._drawing = self._drawing, self._draw(view)
            if self._retired is not None:
                self._retired.close()
            # The browser may still be busy with the old drawing: it is closed when the next one is retired.
            self._retired = old
        self._drawing.choose(self._chosen)
        self._controls.show(self._model, self._chosen)
        facts = self._model.facts(self._chosen) if self._chosen is not None else None
        if facts is not None:
            self._pane.show(facts)
        else:
            self._pane.show_overview(view)

    def _draw(self, view: LineageView) -> Drawing:
        wheel = len(view.nodes) > _MANY
        self._controls.wheel.value = wheel
        drawing = Drawing(view, self._visit, wheel=wheel)
        self._main._dom_classes = ("nbpipe-main", height_class(drawing.height))  # noqa: SLF001 - two changes in one
        self._canvas.children = (drawing.widget,)
        return drawing


def _verdict(run: Run) -> str:
    if run.status == "success":
        return "The run ended well. A name that showed the old value shows the new one from the next cell on."
    return f"Run {run.id}: {run.status}: {run.error or 'see its record'}"
