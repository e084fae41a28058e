"""Open the copy of a notebook for execution, and put parameters into it as papermill does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from nbpipe.errors import ParameterError, RefusedError
from nbpipe.execution.parameters import check_representable, missing_parameters_cell

PARAMETERS = "parameters"
INJECTED = "injected-parameters"


class OpenNotebook:
    """A notebook in memory, and where its saved cells are in the record."""

    def __init__(self, path: Path, name: str) -> None:
        """Read and upgrade a notebook.

        Raises:
            RefusedError: it is not a notebook.
        """
        try:
            content = _upgraded(path.read_text(encoding="utf-8"))
        except Exception as error:  # nbformat raises whatever a malformed file provokes
            raise RefusedError(f"{name} can't be read as a notebook ({error}): open and save it in Jupyter") from error
        self.name = name
        self.node: NotebookNode = content
        self._shift_from = len(content.cells) + 1
        self.injected: int | None = None
        """Position of the cell that sets the parameters, in the record."""
        content.metadata.setdefault("papermill", _node())
        for cell in content.cells:
            cell.metadata.setdefault("tags", [])

    def position(self, index: int) -> int:
        """Return where a cell of the saved notebook is in the record."""
        return index + 1 if index >= self._shift_from else index

    def original(self, position: int) -> int:
        """Return where a cell of the record is in the saved notebook."""
        return position - 1 if position > self._shift_from else position

    def inject(self, parameters: Mapping[str, Any]) -> None:
        """Set parameters in a cell below the parameters cell; one that papermill left there is replaced.

        Raises:
            ParameterError: there is no parameters cell, or a value can't be represented.
        """
        from papermill.parameterize import parameterize_notebook

        check_representable(parameters)
        at = self.tagged(PARAMETERS)
        earlier = self.tagged(INJECTED)
        if at is None:
            raise ParameterError(missing_parameters_cell(self.name))
        parameterize_notebook(self.node, dict(parameters), kernel_name="python3", language="python")
        self.injected = at + 1 if earlier is None else earlier
        if earlier is None:
            self._shift_from = self.injected
        self.node.cells[self.injected]["id"] = INJECTED  # papermill's is random: records are compared

    def prepare(self, source: str, output: str, parameters: Mapping[str, Any], *, run_id: str, env: str) -> None:
        """Fill in what papermill keeps in a notebook's metadata, and of which run this is the record."""
        from papermill import __version__

        self.node.metadata["papermill"] = _node(
            default_parameters={},
            environment_variables={},
            parameters=dict(parameters),
            version=__version__,
            input_path=source,
            output_path=output,
        )
        self.node.metadata["nbpipe"] = _node(run=run_id, environment=env)

    def tagged(self, tag: str) -> int | None:
        """Return the position of the first cell with a tag."""
        return next((i for i, cell in enumerate(self.node.cells) if tag in cell.metadata.tags), None)


def _upgraded(text: str) -> NotebookNode:
    return nbformat.v4.upgrade(nbformat.reads(text, as_version=4))  # type: ignore[no-untyped-call, no-any-return]


def _node(**fields: Any) -> NotebookNode:
    return NotebookNode(**fields)  # type: ignore[no-untyped-call]
