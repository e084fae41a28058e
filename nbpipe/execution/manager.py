"""papermill's bookkeeping of an execution, with our way of writing: the adapter of the untyped library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from papermill.engines import NotebookExecutionManager

from nbpipe.execution.records import RecordWriter


class RecordManager(NotebookExecutionManager):  # type: ignore[misc] # papermill has no types
    """Keeps `metadata.papermill` as papermill does, and writes the record by time instead of at every cell."""

    def __init__(self, nb: Any, writer: RecordWriter | None, *, progress_bar: bool | Mapping[str, Any] = False) -> None:
        """Keep the books of `nb`; without a writer nothing is written."""
        super().__init__(nb, progress_bar=progress_bar)
        self.writer = writer

    def save(self, **_: Any) -> None:
        """Note that there is something new; `write_if_due` and `write` put it on disk."""
        if self.writer is not None:
            self.writer.dirty = True

    def write(self) -> None:
        """Write the record now."""
        if self.writer is not None:
            self.writer.write(self.nb)

    def note_cut(self, cut: Mapping[int, Mapping[str, int]]) -> None:
        """Say in the metadata which cells showed more than is kept."""
        if cut:
            self.nb.metadata["nbpipe"] = {
                **self.nb.metadata.get("nbpipe", {}),
                "cut": [{"cell": position, **what} for position, what in sorted(cut.items())],
            }

    def notebook_complete(self, **_: Any) -> None:
        """Finish the metadata and write; cells that did not execute stay `pending`."""
        executed = [cell.metadata.papermill["status"] for cell in self.nb.cells]
        super().notebook_complete()
        for cell, status in zip(self.nb.cells, executed, strict=True):
            if cell.cell_type == "code" and status == self.PENDING:
                cell.metadata.papermill["status"] = self.PENDING
        self.write()
