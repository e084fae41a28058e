"""Modules of the project, found as an import in a notebook would find them, and read without importing them."""

from __future__ import annotations

import io
import posixpath
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nbpipe.core.reading.facts import CodeFacts, SyntaxProblem
from nbpipe.core.reading.fingerprints import text_hash
from nbpipe.core.reading.names import analyze
from nbpipe.core.resolving.modules import ModuleFacts
from nbpipe.loading.files import FileFinder
from nbpipe.loading.notebooks import decode_notebook
from nbpipe.loading.remembered import Reading, RememberedFiles
from nbpipe.loading.transformer import ipython_transform

#: Folders that a project's modules are imported from, besides that of the notebook.
_SOURCE_ROOTS = ("", "src")


class ProjectModules:
    """Finds modules for the resolution of names; a `ModuleSource`.

    A module is looked for in the notebook's folder, then in the root, then in `src/`. Modules of Python itself
    come before those of the root and `src/`, which are not first on its path.
    """

    def __init__(self, finder: FileFinder, files: RememberedFiles[ModuleFacts]) -> None:
        """Look for files with `finder`, and read them through `files`."""
        self._finder = finder
        self._files = files
        self.used: set[str] = set()
        """Paths of all modules that were asked for and found."""

    def facts(self, module: str, notebook: str) -> ModuleFacts | None:
        """Return a module by its dotted name, as imported from `notebook`; None if it is not the project's."""
        name = module.lstrip(".")
        top = name.partition(".")[0]
        if not name or top in sys.builtin_module_names:
            return None
        place = name.replace(".", "/")
        own = posixpath.dirname(notebook)
        for base in dict.fromkeys((own, *_SOURCE_ROOTS)):
            if base != own and top in sys.stdlib_module_names:
                return None
            for path in (f"{place}/__init__.py", f"{place}.py"):
                found = self._read(posixpath.join(base, path), name)
                if found is not None:
                    return found
        return None

    def script(self, target: str, notebook: str) -> ModuleFacts | None:
        """Return the file that `%run target` in `notebook` executes; None if it is not the project's."""
        for literal in _script_names(target):
            path = self._finder.find(notebook, literal)
            if path is not None:
                return self._read(path, posixpath.splitext(path)[0].replace("/", "."))
        return None

    def _read(self, path: str, name: str) -> ModuleFacts | None:
        if not self._finder.exists(path) or self._files.look_up(path) is None:
            return None
        self.used.add(path)
        return msgspec.structs.replace(self._files.facts(path), name=name)


def read_module(path: str, data: bytes | OSError, _old: ModuleFacts | None) -> Reading[ModuleFacts]:
    """Make facts from the bytes of a module, or of a script or notebook that `%run` names."""
    source = _source(path, data)
    if source is None:
        broken = CodeFacts(problem=SyntaxProblem("the file can't be read as text", 1), fingerprint=repr(data)[:100])
        return Reading(facts=ModuleFacts(name="", code=broken), content="unreadable")
    transform = None if path.endswith(".py") else ipython_transform
    facts = ModuleFacts(
        name="",
        code=analyze(source, transform=transform),
        source=source,
        package=posixpath.basename(path) == "__init__.py",
    )
    return Reading(facts=facts, content=text_hash(source))


def _source(path: str, data: bytes | OSError) -> str | None:
    if isinstance(data, OSError):
        return None
    if path.endswith(".ipynb"):
        return "\n\n".join(cell.source for cell in decode_notebook(data, path).text.cells)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, ValueError, LookupError):
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _script_names(target: str) -> Iterator[str]:
    yield target
    if not Path(target).suffix:
        yield f"{target}.py"
