"""Read the code cells of a notebook, quickly, and without failing on what is not one.

The format: https://nbformat.readthedocs.io/en/latest/format_description.html. Only what we need is decoded;
outputs, which can be huge, are passed over. Notebooks of format 3 are upgraded in memory by nbformat.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import xxhash

from nbpipe.core.definitions import Diagnostic
from nbpipe.core.reading.cells import CellText, NotebookText

_BOM = b"\xef\xbb\xbf"
_PYTHON = ("python", "ipython", "xonsh", "xpython")


class NotebookRead(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook, and why it could not be read if it could not."""

    text: NotebookText
    """Without cells if it could not be read."""
    diagnostics: tuple[Diagnostic, ...] = ()


class _CellAbout(msgspec.Struct):
    tags: Any = None


class _Cell(msgspec.Struct):
    cell_type: str = ""
    source: str | list[str] = ""
    id: Any = None
    metadata: _CellAbout | None = None


class _About(msgspec.Struct):
    kernelspec: Any = None
    language_info: Any = None


class _Notebook(msgspec.Struct):
    nbformat: int
    cells: list[_Cell] | None = None
    metadata: _About | None = None


_DECODER = msgspec.json.Decoder(_Notebook)


def read_notebook(path: Path, root: Path) -> NotebookRead:
    """Read the saved notebook at `path`, which is below `root`; what goes wrong is a diagnostic, never an error."""
    relative = Path(os.path.relpath(path, root)).as_posix()
    try:
        data = path.read_bytes()
    except OSError as error:
        return unreadable_notebook(relative, error)
    return decode_notebook(data, relative)


def decode_notebook(data: bytes, path: str) -> NotebookRead:
    """Decode the content of a notebook file.

    Args:
        data: the whole file; an empty one is a new notebook.
        path: relative to the root, with `/`: names the notebook in what is returned.
    """
    data = data.removeprefix(_BOM)
    if not data.strip():
        return NotebookRead(text=_hashed(NotebookText(path=path)))
    try:
        notebook = _DECODER.decode(data)
        if notebook.nbformat < 4:
            notebook = _upgraded(data)
    except msgspec.ValidationError as error:
        return _failed(path, "not-a-notebook", f"is JSON but not a notebook: {error}")
    except msgspec.DecodeError as error:
        return _failed(path, "not-json", f"is not JSON: {error}. Was it edited by hand, or merged with conflicts?")
    except UnicodeDecodeError:
        return _failed(path, "not-utf8", "is not text in UTF-8: save it again in JupyterLab")
    except _UpgradeError as error:
        return _failed(path, "not-a-notebook", f"is an old notebook that nbformat can't upgrade: {error}")
    if notebook.nbformat > 4:
        return _failed(path, "unsupported-format", f"has notebook format {notebook.nbformat}: only 3 and 4 are known")
    if notebook.cells is None:
        return _failed(path, "not-a-notebook", "is JSON but not a notebook: it has no list of cells")
    return NotebookRead(text=_hashed(_text(notebook, path)))


def unreadable_notebook(path: str, error: OSError) -> NotebookRead:
    """Return a notebook without cells that says why it can't be read."""
    return _failed(path, "unreadable", f"can't be read: {error.strerror or error}")


class _UpgradeError(Exception):
    pass


def _upgraded(data: bytes) -> _Notebook:
    import warnings

    import nbformat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about missing ids, which we give
            upgraded = nbformat.reads(data.decode("utf-8"), as_version=4)  # type: ignore[no-untyped-call]
        plain = msgspec.convert(upgraded, _Notebook)
    except UnicodeDecodeError:
        raise
    except Exception as error:  # nbformat raises whatever its converters stumble over
        raise _UpgradeError(f"{type(error).__name__}: {error}") from error
    for cell in plain.cells or ():
        cell.id = None  # nbformat's are random: ours are the same each time
    return plain


def _text(notebook: _Notebook, path: str) -> NotebookText:
    about = notebook.metadata or _About()
    cells = notebook.cells or []
    return NotebookText(
        path=path,
        cells=_code_cells(cells) if _is_python(about) else (),
        kernel=_member(about.kernelspec, "name"),
    )


def _code_cells(cells: Sequence[_Cell]) -> tuple[CellText, ...]:
    found = []
    taken: set[str] = set()
    for index, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        above = cells[index - 1] if index else None
        found.append(
            CellText(
                index=index,
                cell_id=_cell_id(cell, index, taken),
                source=_joined(cell.source),
                tags=_tags(cell),
                above=_joined(above.source) if above and above.cell_type == "markdown" else "",
            )
        )
    return tuple(found)


def _cell_id(cell: _Cell, index: int, taken: set[str]) -> str:
    """Return the cell's own id; a missing or repeated one (format below 4.5, edited by hand) comes from its place."""
    own = cell.id if isinstance(cell.id, str) and cell.id else f"cell-{index}"
    while own in taken:
        own = f"{own}-{index}"
    taken.add(own)
    return own


def _tags(cell: _Cell) -> tuple[str, ...]:
    tags = cell.metadata.tags if cell.metadata else None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _is_python(about: _About) -> bool:
    """Tell whether the cells may be Python; a notebook that does not say so is taken for it."""
    language = _member(about.kernelspec, "language") or _member(about.language_info, "name")
    return language is None or language.lower().startswith(_PYTHON)


def _member(value: Any, key: str) -> str | None:
    member = value.get(key) if isinstance(value, dict) else None
    return member if isinstance(member, str) and member else None


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _hashed(text: NotebookText) -> NotebookText:
    """Fill in the hash: of cells, ids, tags and kernel, so that new outputs alone don't change it."""
    # the path is left out: a copy of a notebook has the same content
    content = msgspec.msgpack.encode((text.cells, text.kernel))
    return msgspec.structs.replace(text, content_hash=xxhash.xxh3_128_hexdigest(content))


def _failed(path: str, code: str, message: str) -> NotebookRead:
    return NotebookRead(
        text=_hashed(NotebookText(path=path)),
        diagnostics=(Diagnostic(severity="error", code=code, message=message, notebook=path),),
    )
