"""Find the notebooks of a project, and remember which files there are: one walk, no file opened."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Literal

import msgspec

from nbpipe.core.definitions import Diagnostic
from nbpipe.errors import ConfigError
from nbpipe.loading.roots import CONFIG_FILE, PYPROJECT, STATE_FOLDER, config_file, holds_home
from nbpipe.loading.stamps import Stamp

#: Notebooks that a project may have without saying so in a configuration.
UNCONFIGURED_LIMIT = 1_000

#: Files whose names are remembered; in a bigger tree the rest are looked up one by one.
REMEMBERED_FILES = 50_000

_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})  # hidden folders are skipped by their dot
_ENDS_PROJECT = frozenset({CONFIG_FILE, STATE_FOLDER, "pyvenv.cfg"})


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """What one walk has found. Paths are relative to the root, with `/`; the root itself is the empty text."""

    notebooks: dict[str, Stamp]
    """In sorted order."""
    files: frozenset[str]
    """All files in the folders walked."""
    folders: frozenset[str]
    """The folders walked whose files are all in `files`."""
    skipped: frozenset[str]
    """Folders and links to folders that were seen but not entered."""
    diagnostics: tuple[Diagnostic, ...] = ()


#: A walk that has been nowhere: every file is looked up.
UNKNOWN = Walk(notebooks={}, files=frozenset(), folders=frozenset(), skipped=frozenset({""}))


def scan(root: Path, *, configured: bool, limit: int = UNCONFIGURED_LIMIT) -> Walk:
    """Walk the project at `root` (a path without links).

    Not entered: hidden folders, virtual environments, `node_modules`, folders with a project of their own, links
    that leave the root or lead to what is found anyway. Without a configuration the walk doesn't descend from
    the home folder (or from one above it) and stops at `limit` notebooks.
    """
    walker = _Walker(root, limit=None if configured else limit)
    walker.walk("", descend=configured or not holds_home(root))
    walker.follow_links()
    return walker.result()


class _Walker:
    def __init__(self, root: Path, *, limit: int | None) -> None:
        self._root = root
        self._limit = limit
        self._notebooks: dict[str, Stamp] = {}
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._skipped: set[str] = set()
        self._links: list[str] = []
        self._real: set[Path] = set()
        """Folders entered, without links, so that no link leads round in a circle."""
        self._diagnostics: list[Diagnostic] = []
        self._full = False

    def walk(self, start: str, *, descend: bool = True) -> None:
        """Walk breadth first: where the walk stops early, what is near the root has been found."""
        waiting = deque([(start, Path(os.path.realpath(self._root / start)))])
        while waiting and not self._full:
            folder, real = waiting.popleft()
            entries = self._list(folder)
            self._real.add(real)
            below = [entry for entry in self._take(entries, folder) if self._enters(entry, folder)]
            if descend:
                waiting.extend((_join(folder, entry.name), real / entry.name) for entry in below)
            else:
                self._skipped.update(_join(folder, entry.name) for entry in below)

    def follow_links(self) -> None:
        """Enter links that stay below the root, if what they lead to was not found without them."""
        while self._links and not self._full:
            links, self._links = sorted(self._links), []
            for link in links:
                target = Path(os.path.realpath(self._root / link))  # Path.resolve raises on a circle
                inside = target.is_relative_to(self._root)
                if inside and target.is_dir() and target not in self._real:
                    self.walk(link)
                elif inside and target.is_file() and target.parent not in self._real:
                    self._add_notebook(link, target.stat())
                else:
                    self._skipped.add(link)

    def result(self) -> Walk:
        return Walk(
            notebooks=dict(sorted(self._notebooks.items())),
            files=frozenset(self._files),
            folders=frozenset(self._folders),
            skipped=frozenset(self._skipped),
            diagnostics=tuple(self._diagnostics),
        )

    def _list(self, folder: str) -> list[os.DirEntry[str]]:
        """Return what is in a folder; nothing if it can't be read or is no part of the project."""
        try:
            with os.scandir(self._root / folder) as listing:
                entries = list(listing)
        except OSError as error:
            message = f"can't be read: {error.strerror or error}"
            self._report("unreadable-folder", folder or ".", message, severity="warning")
            self._skipped.add(folder)
            return []
        names = {entry.name for entry in entries}
        if folder and self._is_foreign(folder, names):
            self._skipped.add(folder)
            self._doubt(folder, names)
            return []
        return entries

    def _is_foreign(self, folder: str, names: set[str]) -> bool:
        if not _ENDS_PROJECT.isdisjoint(names):
            return True
        try:
            return PYPROJECT in names and config_file(self._root / folder) is not None
        except ConfigError:
            return True

    def _doubt(self, folder: str, names: set[str]) -> None:
        """Warn of a project that nobody may have wanted: a notebook run alone leaves a `.nbpipe/` beside it."""
        if _ENDS_PROJECT & names == {STATE_FOLDER} and any(name.endswith(".ipynb") for name in names):
            self._report(
                "nested-project",
                folder,
                f"is left out: its own {STATE_FOLDER}/ makes it a project of its own. If its notebooks belong to this "
                f"project, delete {folder}/{STATE_FOLDER} with the values that are stored there",
                severity="warning",
            )

    def _take(self, entries: list[os.DirEntry[str]], folder: str) -> list[os.DirEntry[str]]:
        """Take in the files and links of a folder; return the folders in it, sorted."""
        folders = []
        notebooks = []
        files = []
        for entry in entries:
            name = entry.name
            if entry.is_file(follow_symlinks=False):
                files.append(name)
                if name.endswith(".ipynb"):
                    notebooks.append(entry)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry)
            elif entry.is_symlink() and self._see_link(entry, folder):
                files.append(name)
        for entry in sorted(notebooks, key=_by_name):
            if not entry.name.startswith("."):
                self._see_notebook(entry, _join(folder, entry.name))
        self._remember(folder, files)
        return sorted(folders, key=_by_name)

    def _remember(self, folder: str, files: list[str]) -> None:
        if folder in self._skipped or len(self._files) + len(files) > REMEMBERED_FILES:
            self._skipped.add(folder)
            return
        prefix = f"{folder}/" if folder else ""
        self._files.update([prefix + name for name in files])
        self._folders.add(folder)

    def _see_link(self, entry: os.DirEntry[str], folder: str) -> bool:
        """Put a link that may matter aside; return whether it leads to a file."""
        path = _join(folder, entry.name)
        if _is_file(entry):
            if path.endswith(".ipynb") and not entry.name.startswith("."):
                self._links.append(path)
            return True
        if self._enters(entry, folder):
            self._links.append(path)
        return False

    def _enters(self, entry: os.DirEntry[str], folder: str) -> bool:
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            self._skipped.add(_join(folder, entry.name))
            return False
        return True

    def _see_notebook(self, entry: os.DirEntry[str], path: str) -> None:
        try:
            self._add_notebook(path, entry.stat())
        except OSError as error:  # removed, or its folder locked, since it was listed
            self._report("unreadable", path, f"can't be read: {error.strerror or error}")

    def _add_notebook(self, path: str, status: os.stat_result) -> None:
        if not is_text(path):
            shown = os.fsencode(path).decode("utf-8", "replace")
            self._report("unreadable-name", shown, "the name is not UTF-8: rename the file")
        elif self._limit is None or len(self._notebooks) < self._limit:
            self._notebooks[path] = Stamp.of(status)
        elif not self._full:
            self._full = True
            self._report(
                "too-many-notebooks",
                path,
                f"more than {self._limit} notebooks below {self._root}: the rest are left out. Is this the project's "
                f"folder? If so, create a {CONFIG_FILE} in it (it may be empty); else work in a folder of its own",
            )

    def _report(self, code: str, path: str, message: str, *, severity: Literal["error", "warning"] = "error") -> None:
        self._diagnostics.append(Diagnostic(severity=severity, code=code, message=message, notebook=path))


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _by_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def is_text(path: str) -> bool:
    """Tell whether the name of a file is proper text (a name of other bytes is decoded to lone surrogates)."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
