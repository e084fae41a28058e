"""The index: what was found in a project last time, so that an unchanged one costs almost nothing.

It lives in `.nbpipe/index.msgpack` and may vanish at any time. It is kept only between equal versions of our
own code and of Python, since facts depend on both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import xxhash

import nbpipe.core
import nbpipe.core.reading
import nbpipe.core.resolving
import nbpipe.loading
from nbpipe.core.definitions import Definitions
from nbpipe.core.reading.notebooks import NotebookFacts, cell_facts, relocate
from nbpipe.core.resolving.modules import ModuleFacts
from nbpipe.errors import RefusedError
from nbpipe.loading.cache import read_cache, write_cache
from nbpipe.loading.imports import ImportedNames
from nbpipe.loading.modules import read_module
from nbpipe.loading.notebooks import decode_notebook, unreadable_notebook
from nbpipe.loading.packing import unpack
from nbpipe.loading.remembered import Entry, Reading, RememberedFiles
from nbpipe.loading.roots import STATE_FOLDER, state_folder
from nbpipe.loading.transformer import ipython_transform

_FILE = "index.msgpack"


class Resolved(msgspec.Struct, frozen=True, array_like=True):
    """Definitions, and everything that they follow from."""

    key: str
    """Hash of the notebooks, the modules and the configuration."""
    present: tuple[str, ...]
    """Files that were asked for and found."""
    absent: dict[str, tuple[str, ...]]
    """Files that were asked for and not found, by folder."""
    definitions: bytes


class _Kept(msgspec.Struct, array_like=True):
    made_by: str
    notebooks: dict[str, Entry]
    modules: dict[str, Entry]
    resolved: Resolved | None


class Index:
    """What is known of a project's notebooks and modules."""

    def __init__(self, root: Path, *, now_ns: Callable[[], int]) -> None:
        """Read what was kept; a missing, damaged or foreign file counts as empty."""
        self._root = root
        kept = read_cache(root / STATE_FOLDER / _FILE, _Kept)
        if kept is None or kept.made_by != _maker():
            kept = _Kept(_maker(), {}, {}, None)
        self.notebooks = RememberedFiles(root, kept.notebooks, read_notebook_facts, NotebookFacts, now_ns=now_ns)
        self.modules = RememberedFiles(root, kept.modules, read_module, ModuleFacts, now_ns=now_ns)
        self.imported = ImportedNames()
        self.resolved = self._saved = kept.resolved
        """What was resolved last."""
        self._decoded: tuple[Resolved, Definitions] | None = None

    def definitions(self) -> Definitions:
        """Return the definitions that were resolved last."""
        resolved = self.resolved
        if resolved is None:
            return Definitions()
        if self._decoded is None or self._decoded[0] is not resolved:
            self._decoded = (resolved, unpack(resolved.definitions))
        return self._decoded[1]

    def save(self) -> None:
        """Keep what is new; where the folder can't be written, work goes on without."""
        if self.resolved is self._saved and not self.notebooks.changed and not self.modules.changed:
            return
        self._saved = self.resolved
        self.notebooks.changed = self.modules.changed = False
        try:
            folder = state_folder(self._root)
        except RefusedError:
            return
        write_cache(folder / _FILE, _Kept(_maker(), self.notebooks.entries, self.modules.entries, self.resolved))


def read_notebook_facts(path: str, data: bytes | OSError, old: NotebookFacts | None) -> Reading[NotebookFacts]:
    """Make facts from the bytes of a notebook; cells that were there before keep theirs."""
    read = unreadable_notebook(path, data) if isinstance(data, OSError) else decode_notebook(data, path)
    known = {} if old is None else {(cell.source, cell.tags): cell for cell in old.cells}
    cells = []
    for cell in read.text.cells:
        before = known.get((cell.source, cell.tags))
        cells.append(relocate(before, cell) if before else cell_facts(cell, transform=ipython_transform))
    facts = NotebookFacts(path=path, kernel=read.text.kernel, content_hash=read.text.content_hash, cells=tuple(cells))
    return Reading(facts=facts, content=read.text.content_hash, diagnostics=read.diagnostics)


@cache
def _maker() -> str:
    """Return what facts depend on besides the files: this Python, and our own code as it is installed."""
    parts = [sys.version]
    for package in (nbpipe.core, nbpipe.core.reading, nbpipe.core.resolving, nbpipe.loading):
        for folder in package.__path__:
            parts.extend(_listing(folder))
    for folder in nbpipe.core.__path__:  # without loading what is seldom used
        for name in ("partitions", "automation"):
            parts.extend(_listing(f"{folder}/{name}"))
    return xxhash.xxh3_128_hexdigest("\n".join(parts).encode("utf-8", "surrogateescape"))


def _listing(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            files = sorted((entry.name, entry.stat()) for entry in entries if entry.name.endswith(".py"))
    except OSError:  # imported from an archive
        return [nbpipe.__version__]
    return [f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in files]
