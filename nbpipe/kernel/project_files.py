"""The files of the project, as asset cells find them now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nbpipe.loading.files import FileFinder
from nbpipe.loading.scan import UNKNOWN


class ProjectFiles:
    """Finds and hashes files; remembers no answer that may have changed."""

    def __init__(self, root: Path, hash: Callable[[str], str]) -> None:  # noqa: A002 - what it gives
        """Look below `root`.

        Args:
            root: of the project.
            hash: gives the content hash of a path relative to the root, or of a `glob:` pattern; empty for no file.
        """
        self._root = root
        self.hash = hash

    def find(self, notebook: str, literal: str) -> str | None:
        """Return the path of the file that a text in a notebook names, relative to the root, or None."""
        return FileFinder(self._root, UNKNOWN).find(notebook, literal)
