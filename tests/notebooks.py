"""Write and change notebooks in tests: plain JSON of nbformat 4.5, without importing nbformat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

Cell = dict[str, Any]


def code(
    source: str,
    *,
    id: str = "",  # noqa: A002 - the format's own word
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    outputs: Iterable[Mapping[str, Any]] = (),
    execution_count: int | None = None,
) -> Cell:
    """Return a code cell; without an id, `write_notebook` gives it one by its position."""
    return {
        "cell_type": "code",
        "execution_count": execution_count,
        "id": id,
        "metadata": {**(metadata or {}), **({"tags": list(tags)} if tags else {})},
        "outputs": list(outputs),
        "source": source,
    }


def markdown(source: str, *, id: str = "") -> Cell:  # noqa: A002 - the format's own word
    """Return a markdown cell."""
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": source}


def parameters(source: str, *, id: str = "") -> Cell:  # noqa: A002 - the format's own word
    """Return the cell whose assignments are the notebook's parameters."""
    return code(source, id=id, tags=["parameters"])


def write_notebook(
    path: Path,
    cells: Iterable[str | Cell],
    *,
    kernelspec: Mapping[str, str] | None = KERNELSPEC,
    metadata: Mapping[str, Any] | None = None,
    nbformat_minor: int = 5,
) -> Path:
    """Write a notebook, with the folders above it, and return its path.

    Args:
        path: where; a file that is there is replaced.
        cells: cells, or the sources of code cells. Ids that are missing become `cell-0`, `cell-1`, ...
        kernelspec: None writes a notebook that does not say what runs it.
        metadata: further metadata of the notebook.
        nbformat_minor: below 5 the cells have no ids, as in older files.
    """
    written = []
    for position, cell in enumerate(cells):
        whole = code(cell) if isinstance(cell, str) else dict(cell)
        if nbformat_minor < 5:
            del whole["id"]
        else:
            whole["id"] = whole["id"] or f"cell-{position}"
        written.append(whole)
    about = {"language_info": {"name": "python"}, **(metadata or {})}
    if kernelspec is not None:
        about["kernelspec"] = dict(kernelspec)
    _save(path, {"cells": written, "metadata": about, "nbformat": 4, "nbformat_minor": nbformat_minor})
    return path


def edit_cell(path: Path, cell: int | str, source: str) -> None:
    """Replace the source of one cell, named by its position or id."""
    notebook = read_notebook(path)
    _find(notebook, cell)["source"] = source
    _save(path, notebook)


def replace_in_cell(path: Path, cell: int | str, old: str, new: str) -> None:
    """Replace text that occurs once in one cell."""
    source = cell_source(path, cell)
    assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times in cell {cell!r} of {path.name}"
    edit_cell(path, cell, source.replace(old, new))


def read_notebook(path: Path) -> dict[str, Any]:
    """Return the notebook as plain data."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def cell_source(path: Path, cell: int | str) -> str:
    """Return the source of one cell, named by its position or id."""
    return _text(_find(read_notebook(path), cell)["source"])


def outputs_text(cell: Mapping[str, Any]) -> str:
    """Return what a person reads under a code cell: streams, plain results and error values."""
    parts = []
    for output in cell.get("outputs", ()):
        if output["output_type"] == "stream":
            parts.append(_text(output["text"]))
        elif output["output_type"] == "error":
            parts.append(f"{output['ename']}: {output['evalue']}\n")
        else:
            parts.append(_text(output["data"].get("text/plain", "")) + "\n")
    return "".join(parts)


def _find(notebook: Mapping[str, Any], cell: int | str) -> Cell:
    if isinstance(cell, int):
        found: Cell = notebook["cells"][cell]
        return found
    return next(c for c in notebook["cells"] if c.get("id") == cell)


def _text(lines: str | Sequence[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def _save(path: Path, notebook: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
