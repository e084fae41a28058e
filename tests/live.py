"""A person at a notebook, in this process: cells with ids run in an IPython shell that has the extension loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from nbpipe.core.records import AssetState, Materialization
from nbpipe.kernel import extension
from nbpipe.kernel.live import LiveSession
from nbpipe.kernel.sessions import session_of
from tests.notebooks import Cell, code, edit_cell, read_notebook, write_notebook


class Shown(NamedTuple):
    """What a person sees under a cell."""

    out: str
    """What is printed, tracebacks included."""
    err: str
    """Warnings, and wrong use of magics."""
    displays: list[Mapping[str, Any]]
    result: ExecutionResult

    @property
    def error(self) -> BaseException | None:
        return self.result.error_before_exec or self.result.error_in_exec

    @property
    def said(self) -> str:
        """Everything that can be read, the error included."""
        return "\n".join(filter(None, (self.out, self.err, str(self.error or ""))))

    def ok(self) -> Shown:
        assert self.error is None, self.out + self.err
        return self

    @property
    def executed(self) -> bool:
        """Tell whether an asset cell ran its body."""
        return self.error is None and ": materialized" in self.out


class Person:
    """Runs the cells of a notebook, edits them, saves, restarts."""

    def __init__(self, notebook: Path | None = None) -> None:
        """Open the notebook and start a kernel."""
        self.notebook = notebook
        self.start()

    def start(self, notebook: Path | None = None) -> None:
        """Start a kernel, with a notebook or without any."""
        self.notebook = notebook or self.notebook
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        InteractiveShell.clear_instance()
        self.shell = InteractiveShell.instance(config=config)
        if self.notebook is not None:
            self.shell.user_ns["__vsc_ipynb_file__"] = str(self.notebook)
        extension.load(self.shell)

    def stop(self) -> None:
        """End the kernel."""
        extension.unload(self.shell)
        InteractiveShell.clear_instance()

    def restart(self) -> None:
        """Restart the kernel."""
        self.stop()
        self.start()

    # --- cells ---

    def run(self, cell: int | str) -> Shown:
        """Run a cell of the saved notebook, by its position or id."""
        assert self.notebook is not None
        cells = read_notebook(self.notebook)["cells"]
        found = cells[cell] if isinstance(cell, int) else next(c for c in cells if c["id"] == cell)
        return self.type(found["source"], found["id"])

    def run_all(self) -> list[Shown]:
        """Run all code cells from the top; stop at an error, as a frontend does."""
        assert self.notebook is not None
        shown = []
        for cell in read_notebook(self.notebook)["cells"]:
            if cell["cell_type"] == "code":
                shown.append(self.type(cell["source"], cell["id"]))
                shown[-1].ok()
        return shown

    def type(self, source: str, cell_id: str | None = None) -> Shown:
        """Run a text, as the cell of this id if one is given, whatever is saved."""
        with capture_output() as captured:
            result = self.shell.run_cell(source, store_history=True, cell_id=cell_id)
        return Shown(captured.stdout, captured.stderr, [each.data for each in captured.outputs], result)

    def edit(self, cell: int | str, source: str) -> None:
        """Change a cell and save."""
        assert self.notebook is not None
        edit_cell(self.notebook, cell, source)

    def executed(self) -> list[str]:
        """Run all cells, and return the assets whose bodies were executed."""
        lines = [line for shown in self.run_all() for line in shown.out.splitlines()]
        return [line.partition(": materialized")[0] for line in lines if ": materialized" in line]

    # --- what there is ---

    @property
    def names(self) -> dict[str, Any]:
        names: dict[str, Any] = self.shell.user_ns
        return names

    @property
    def session(self) -> LiveSession:
        session = session_of(self.shell)
        assert isinstance(session, LiveSession)
        return session

    def state(self, asset: str) -> AssetState:
        return self.session.workspace.states([asset]).get(asset, AssetState(asset=asset))

    def current(self, asset: str) -> Materialization:
        found = self.state(asset).current
        assert found is not None
        return found

    def stored(self, asset: str) -> Any:
        """Read a value as a new process would."""
        found = self.current(asset).stored
        return self.session.workspace.io.manager(found.io).load(found)


@contextmanager
def person(root: Path, cells: Iterable[str | Cell] = (), *, name: str = "work.ipynb") -> Iterator[Person]:
    """Sit down at a new notebook of these cells."""
    notebook = write_notebook(root / name, cells)
    at_work = Person(notebook)
    try:
        yield at_work
    finally:
        at_work.stop()


__all__ = ["Person", "Shown", "code", "person"]
