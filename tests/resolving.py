"""Resolve notebooks that a test writes as lists of cell sources."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from IPython.core.inputtransformer2 import TransformerManager

from nbpipe.core.definitions import CellDef, Definitions, Diagnostic
from nbpipe.core.reading.cells import CellText
from nbpipe.core.reading.names import analyze
from nbpipe.core.reading.notebooks import NotebookFacts, cell_facts
from nbpipe.core.resolving.modules import ModuleFacts
from nbpipe.core.resolving.resolution import resolve

Cell = str | tuple[str, str]
"""A source, or a tag and a source."""

PARAMETERS = "parameters"


def transform(source: str) -> str:
    """Turn IPython syntax into Python."""
    return TransformerManager().transform_cell(source)


def facts(cells: Sequence[Cell], path: str = "nb.ipynb", above: Mapping[int, str] | None = None) -> NotebookFacts:
    """Return the facts of a notebook without markdown cells: cell `n` of a message is `cells[n - 1]`."""
    texts = []
    for index, cell in enumerate(cells):
        tag, source = ("", cell) if isinstance(cell, str) else cell
        texts.append(
            CellText(
                index=index,
                cell_id=f"id-{index}",
                source=source,
                tags=(tag,) if tag else (),
                above=(above or {}).get(index, ""),
            )
        )
    found = tuple(cell_facts(text, transform=transform) for text in texts)
    return NotebookFacts(path=path, kernel="python3", cells=found)


class Modules:
    """Modules and scripts by name, from their text."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        """Take sources by dotted name (`pkg.__init__` for a package), or by path for `%run`."""
        self._sources = sources

    def facts(self, module: str, notebook: str) -> ModuleFacts | None:  # noqa: ARG002 - the port's signature
        """Return a module."""
        package = f"{module}.__init__"
        key = package if package in self._sources else module
        return self._read(key, module, package=key == package)

    def script(self, target: str, notebook: str) -> ModuleFacts | None:  # noqa: ARG002 - the port's signature
        """Return a file."""
        return self._read(target, target.removesuffix(".py"), package=False)

    def _read(self, key: str, name: str, *, package: bool) -> ModuleFacts | None:
        source = self._sources.get(key)
        if source is None:
            return None
        return ModuleFacts(name=name, code=analyze(source), source=source, package=package)


def define(
    *cells: Cell,
    others: Mapping[str, Sequence[Cell]] | None = None,
    resources: Collection[str] = (),
    modules: Mapping[str, str] | None = None,
    files: Callable[[str, str], str | None] | None = None,
) -> Definitions:
    """Resolve a project of `nb.ipynb` with these cells, and other notebooks."""
    notebooks = {"nb.ipynb": facts(cells)}
    notebooks.update({path: facts(more, path) for path, more in (others or {}).items()})
    return resolve(notebooks, resources=resources, modules=Modules(modules or {}), find_file=files)


def cell(definitions: Definitions, number: int, path: str = "nb.ipynb") -> CellDef:
    """Return the cell that messages call `cell number`."""
    return definitions.notebooks[path].cells[number - 1]


def kinds(definitions: Definitions, path: str = "nb.ipynb") -> list[str]:
    """Return the kinds of all cells."""
    return [each.kind for each in definitions.notebooks[path].cells]


def found(definitions: Definitions, code: str) -> Diagnostic:
    """Return the only diagnostic of this code."""
    (only,) = [each for each in definitions.diagnostics if each.code == code]
    return only


def codes(definitions: Definitions) -> list[str]:
    """Return the codes of all diagnostics."""
    return [each.code for each in definitions.diagnostics]
