"""Files that assets read: which of them a string names, and what is in them."""

from __future__ import annotations

import glob
import posixpath
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import xxhash

from nbpipe.loading.cache import read_cache, write_cache
from nbpipe.loading.roots import STATE_FOLDER
from nbpipe.loading.scan import Walk, is_text
from nbpipe.loading.stamps import Stamp

#: What a pattern of files starts with in `AssetSpec.files`.
PATTERN = "glob:"

_LONGEST = 1_024
_NEVER = frozenset('\n\r\t\0"<>|*?')
_BLOCK = 1 << 20
_WORTH_REMEMBERING = 64 << 10  # bytes; a smaller file is read as fast as the cache
_CACHE = "files.msgpack"


class FileFinder:
    """Tells which string literals name files, and keeps what it was asked, so that the answers can be checked later.

    A walk knows most files; only what lies in folders that it did not enter is looked up.
    """

    def __init__(self, root: Path, walk: Walk) -> None:
        self._root = root
        self._prefix = root.as_posix().rstrip("/") + "/"
        self._walk = walk
        self._answers: dict[str, bool] = {}

    @property
    def answers(self) -> dict[str, bool]:
        """Every path that was asked for, and whether it is a file."""
        return self._answers

    def find(self, notebook: str, literal: str) -> str | None:
        """Return the file that a string in `notebook` names, relative to the root with `/`, or None.

        It is taken from the notebook's folder first, then from the root. Folders, URLs, what is outside the
        root, and our own state are none.
        """
        if not _may_be_path(literal):
            return None
        folder = posixpath.dirname(notebook)
        for base in dict.fromkeys((folder, "")):
            path = self._inside(base, literal)
            if path is not None and path != notebook and self.exists(path):
                return path
        return None

    def exists(self, path: str) -> bool:
        """Tell whether there is a file at `path`, relative to the root, and remember the answer."""
        known = self._answers.get(path)
        if known is None:
            known = self._answers[path] = file_exists(self._root, self._walk, path)
        return known

    def _inside(self, folder: str, literal: str) -> str | None:
        if literal.startswith("/"):
            if not literal.startswith(self._prefix):
                return None
            folder, literal = "", literal[len(self._prefix) :]
        path = posixpath.normpath(posixpath.join(folder, literal))
        if path in (".", "..") or path.startswith(("../", "/", f"{STATE_FOLDER}/")):
            return None
        return path


def file_exists(root: Path, walk: Walk, path: str) -> bool:
    """Tell whether `path`, relative to the root, is a file; asks the file system only where the walk has not been."""
    folder = posixpath.dirname(path)
    if folder in walk.folders:
        return path in walk.files
    above = folder
    while above not in walk.skipped:
        if above == "":
            return False  # no folder seen on the way: there is no such path
        above = posixpath.dirname(above)
    try:
        return (root / path).is_file()
    except (OSError, ValueError):
        return False


def _may_be_path(literal: str) -> bool:
    if not literal or len(literal) > _LONGEST or literal.endswith(("/", " ")) or literal.startswith(" "):
        return False
    return "://" not in literal and _NEVER.isdisjoint(literal) and is_text(literal)


class _Remembered(msgspec.Struct, frozen=True, array_like=True):
    stamp: Stamp
    hash: str


class FileHashes:
    """Content hashes of a project's files; those of bigger files are remembered in `.nbpipe/`."""

    def __init__(self, root: Path, *, now_ns: Callable[[], int]) -> None:
        self._root = root
        self._now_ns = now_ns
        self._cache = root / STATE_FOLDER / _CACHE
        self._known: dict[str, _Remembered] | None = None

    def __call__(self, path: str) -> str:
        """Return the hash of the content at `path` (relative to the root); for `glob:PATTERN` of all files together.

        What does not exist, is no file or can't be read has an empty hash.
        """
        if path.startswith(PATTERN):
            return self._hash_all(path.removeprefix(PATTERN))
        full = self._root / path
        try:
            status = full.stat()
            if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
                return ""
            return self._hash(path, full, Stamp.of(status))
        except (OSError, ValueError):
            return ""

    def _hash_all(self, pattern: str) -> str:
        together = xxhash.xxh3_128()
        found = False
        for path in sorted(_matches(self._root, pattern)):
            content = self(path)
            if content:
                found = True
                together.update(f"{Path(path).as_posix()}\0{content}\0".encode("utf-8", "surrogateescape"))
        return together.hexdigest() if found else ""

    def _hash(self, path: str, full: Path, stamp: Stamp) -> str:
        if self._known is None:
            self._known = read_cache(self._cache, dict[str, _Remembered]) or {}
        known = self._known.get(path)
        if known is not None and known.stamp == stamp:
            return known.hash
        began = self._now_ns()
        content = _content_hash(full)
        if stamp.settled(began) and Stamp.of(full.stat()) == stamp:
            self._known[path] = _Remembered(stamp, content)
            if stamp.size >= _WORTH_REMEMBERING and self._cache.parent.is_dir():
                worth = {name: each for name, each in self._known.items() if each.stamp.size >= _WORTH_REMEMBERING}
                write_cache(self._cache, worth)
        return content


def _content_hash(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _matches(root: Path, pattern: str) -> list[str]:
    return glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207 - Path.glob also finds hidden files
