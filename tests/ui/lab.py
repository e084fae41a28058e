"""JupyterLab and Notebook 7 in a page, driven through their own application object where that is faster than clicking.

Notebook 7 is built of the same parts; there, each notebook is a page of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from playwright.sync_api import ConsoleMessage, Locator, Page

#: Milliseconds; conditions are awaited, so that only a failing test takes that long. A run takes its time on a machine
#: that is busy with other tests, and a backfill of many runs takes more of it.
PATIENCE = 180_000
PATIENCE_WITH_BACKFILLS = 400_000

_OPEN = "path => window.jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'}).then(() => null)"
_READY = """async () => {
  const widget = window.jupyterapp.shell.currentWidget;
  await widget.context.ready;
  await widget.sessionContext.ready;
  const session = widget.sessionContext;
  while (!session.session || !session.session.kernel) await new Promise(done => session.kernelChanged.connect(done));
  await session.session.kernel.info;
  window.notebook = widget;
}"""
#: Outputs go first: a widget that goes away tells its kernel, and JupyterLab logs an error if that is gone already.
_CLOSE = """async closing => {
  const widget = window.notebook;
  await window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs');
  await widget.sessionContext.session.kernel.info;
  await widget.sessionContext.shutdown();
  widget.context.model.dirty = false;
  window.notebook = null;
  if (closing) widget.close();
}"""
#: While a theme is loaded, JupyterLab covers the page, and takes the cover away 200 ms after that. A second theme in
#: that time makes it take away the same cover twice, which is an error of its own.
_COVER = "#jupyterlab-splash"
_BOXES = """(root, selectors) => selectors.map(selector => {
  const {x, y, width, height} = [...root.querySelectorAll(selector)].pop().getBoundingClientRect();
  return {x, y, width, height};
})"""
#: The graph that was drawn last in the open notebook.
_GRAPH = """
window.graph = () => [...window.notebook.node.querySelectorAll('.nbpipe-graph')]
  .filter(each => each.isConnected && each._cyreg).map(each => each._cyreg.cy).pop();
"""


class Box(TypedDict):
    """Where an element is in the page; in pixels."""

    x: float
    y: float
    width: float
    height: float


def boxes(root: Locator, *selectors: str) -> list[Box]:
    """Return where the last elements of some selectors are below another one.

    All at the same moment: between two questions the page may move.
    """
    found: list[Box] = root.evaluate(_BOXES, list(selectors))
    return found


class Lab:
    """JupyterLab, with one notebook open at a time."""

    def __init__(self, page: Page, url: str, token: str, root: Path) -> None:
        """Load the application and wait until it is ready."""
        self.page, self.root = page, root
        self._url, self._token = url, token
        self._errors: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self._errors.append(f"page: {error.stack or error}"))
        page.on("console", self._listen)
        page.add_init_script(_GRAPH)
        self._begin()

    def open(self, path: str) -> None:
        """Open a notebook, alone, with a kernel that is ready."""
        self.page.evaluate(_OPEN, path)
        self.page.evaluate(_READY)

    def close_notebook(self) -> None:
        """Close the notebook and end its kernel."""
        self.page.evaluate(_CLOSE, arg=True)

    def run_all(self) -> None:
        """Run all cells and wait for the last, or for the first that raises."""
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def run_cell(self, index: int) -> None:
        """Run one cell and wait for it."""
        self.page.evaluate("index => { window.notebook.content.activeCellIndex = index }", index)
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell')")

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("window.notebook.context.save()")

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Return the outputs of a cell, as they are saved."""
        found: list[dict[str, Any]] = self.page.evaluate(
            "index => window.notebook.content.widgets[index].model.outputs.toJSON()", index
        )
        return found

    def errors_in_cells(self) -> list[str]:
        """Return what cells raised."""
        found: list[str] = self.page.evaluate(
            "window.notebook.content.widgets.flatMap(cell => cell.model.type !== 'code' ? [] : "
            "cell.model.outputs.toJSON().filter(o => o.output_type === 'error').map(o => `${o.ename}: ${o.evalue}`))"
        )
        return found

    def value(self, expression: str) -> str:
        """Return the `repr` of an expression in the notebook's kernel."""
        found: str = self.page.evaluate(
            """async code => {
              const future = window.notebook.sessionContext.session.kernel.requestExecute(
                {code: '', user_expressions: {it: code}, silent: true, store_history: false});
              const answer = (await future.done).content.user_expressions.it;
              return answer.status === 'ok' ? answer.data['text/plain'] : answer.ename;
            }""",
            expression,
        )
        return found

    def choose_theme(self, name: str) -> None:
        """Change to one of JupyterLab's themes, and wait until it has."""
        self._uncovered()
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        light = "false" if "Dark" in name else "true"
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
        self._uncovered()

    def take_errors(self) -> list[str]:
        """Return errors that the page has reported since they were last asked for."""
        found, self._errors = self._errors, []
        return found

    def close(self) -> None:
        """Leave the page without being asked to save."""
        self.page.close(run_before_unload=False)

    def _uncovered(self) -> None:
        """Wait until no theme is being loaded."""
        self.page.wait_for_selector(_COVER, state="detached")

    def _begin(self) -> None:
        self._load("lab?reset")

    def _load(self, address: str) -> None:
        """Go to a page of the server, and wait until it is ready."""
        mark = "&" if "?" in address else "?"
        self.page.goto(f"{self._url}/{address}{mark}token={self._token}")
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.evaluate("window.jupyterapp.restored.then(() => true)")

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._errors.append(f"console: {message.text}")


class Notebook7(Lab):
    """Notebook 7, with one notebook open at a time."""

    def open(self, path: str) -> None:
        """Go to the page of a notebook; its kernel is ready."""
        self._load(f"notebooks/{path}")
        self.page.wait_for_function("(window.jupyterapp.shell.currentWidget || {}).sessionContext !== undefined")
        self.page.evaluate(_READY)
        # Notebook 7.6 often fails to set its own shortcuts while it starts; nothing of ours has run yet.
        self.take_errors()

    def close_notebook(self) -> None:
        """End the kernel and leave the page."""
        self.page.evaluate(_CLOSE, arg=False)
        self.page.goto("about:blank")

    def _begin(self) -> None:
        """There is no page without a notebook."""
