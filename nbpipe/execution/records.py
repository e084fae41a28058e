"""The record of a step: an executed notebook that is readable at any moment, also after a crash."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from nbpipe import clock
from nbpipe.errors import RefusedError
from nbpipe.settings import blotted

#: Folder of all records, relative to the root.
RUNS = ".nbpipe/runs"


def record_path(run_id: str, index: int, notebook: str) -> str:
    """Return where the record of a step is, relative to the root.

    >>> record_path("01f", 0, "reports/Über sicht.ipynb")
    '.nbpipe/runs/01f/0-Über sicht.ipynb'
    """
    return f"{RUNS}/{run_id}/{index}-{PurePosixPath(notebook).stem}.ipynb"


def request_file(record: Path) -> Path:
    """Return where the request of a step is while its kernel may read it: beside the record."""
    return record.with_suffix(".request.json")


def cleared(content: bytes, name: str) -> bytes:
    """Return a notebook without outputs, execution counts and widget state.

    Args:
        content: the file, of nbformat 3 or later.
        name: for the message.

    Raises:
        RefusedError: it is not a notebook.
    """
    try:
        notebook = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
        sheets = notebook.get("worksheets", [notebook])
        for cell in (cell for sheet in sheets for cell in sheet["cells"]):
            if cell["cell_type"] == "code":
                cell["outputs"] = []
                cell["execution_count"] = None
                cell.pop("prompt_number", None)
        notebook.get("metadata", {}).pop("widgets", None)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError(f"{name} can't be read as a notebook ({error}): open and save it in Jupyter") from error
    return msgspec.json.format(msgspec.json.encode(notebook), indent=1) + b"\n"


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file so that a reader sees the old or the new content, and a crash leaves one of them.

    Args:
        path: the file.
        content: all of it.
        durable: it survives the loss of power; otherwise the caller sees to that, for many files at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name[:40]}.{clock.new_id()}.tmp")
    try:
        with draft.open("xb") as file:  # who may read it is what the person's umask says
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    if durable and hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def record_hash(content: bytes) -> str:
    """Return the content hash of a finished record; SHA-256, because trust in the record rests on it."""
    return hashlib.sha256(content).hexdigest()


class RecordWriter:
    """Writes a record by time: at once when asked, otherwise if something is new and the last time is a while ago."""

    def __init__(self, path: Path, *, secrets: tuple[str, ...] = (), every: float = 2.0) -> None:
        """Write to `path`, at most every `every` seconds, and less often if writing takes long."""
        self.path = path
        self._secrets = secrets
        self._every = every
        self._due = clock.monotonic() + every
        self.dirty = False
        self.hash: str | None = None
        """Content hash of what was written last."""

    def due(self) -> bool:
        """Tell whether it is time to write."""
        return self.dirty and clock.monotonic() >= self._due

    def write(self, notebook: Mapping[str, Any]) -> None:
        """Write the notebook as it is now."""
        started = clock.monotonic()
        content = self._encoded(notebook)
        write_atomically(self.path, content)
        self.dirty = False
        ended = clock.monotonic()
        self._due = ended + max(self._every, 10 * (ended - started))
        self.hash = record_hash(content)

    def _encoded(self, notebook: Mapping[str, Any]) -> bytes:
        shown: Mapping[str, Any] = blotted(notebook, self._secrets)
        written = {**shown, "cells": [_file_form(cell) for cell in shown["cells"]]}
        try:
            return msgspec.json.format(msgspec.json.encode(written, order="sorted"), indent=1) + b"\n"
        except UnicodeEncodeError:  # half a surrogate pair in an output: JSON can write it as an escape
            return json.dumps(written, sort_keys=True, indent=1).encode("ascii") + b"\n"


def _file_form(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cell with its texts split into lines, as notebooks keep them."""
    written = {**cell, "source": cell["source"].splitlines(keepends=True)}
    if cell["cell_type"] == "code":
        written["outputs"] = [_output_form(output) for output in cell["outputs"]]
    return written


def _output_form(output: Mapping[str, Any]) -> dict[str, Any]:
    if output["output_type"] == "stream":
        return {**output, "text": output["text"].splitlines(keepends=True)}
    if output["output_type"] == "error":
        return dict(output)
    data = {
        kind: value.splitlines(keepends=True) if isinstance(value, str) and kind.startswith("text/") else value
        for kind, value in output["data"].items()
    }
    return {**output, "data": data}
