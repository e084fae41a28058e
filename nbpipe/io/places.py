"""Where files of values lie: a local folder, a file system of fsspec, or this process's memory.

A place only writes whole new files and removes them; nothing is ever changed in place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from nbpipe import clock
from nbpipe.io.digests import Buffer
from nbpipe.io.flushing import PlaceGroup, UploadedTogether, WrittenAtOnce, flush_path, flush_together

_ATTEMPTS = 10
"""Times that a folder may vanish, because `gc` found it empty, between making it and writing to it."""


class Place(Protocol):
    """Somewhere files can be kept; paths are relative, with `/`."""

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:
        """Write a new file that is complete and durable when this returns, or leave nothing behind.

        Raises:
            OSError: no space, no permission, the file exists, ...
        """

    def group(self) -> PlaceGroup:
        """Begin a group of files that become durable together: quicker than one by one."""

    def read(self, path: str) -> bytearray:
        """Return a file's content.

        Raises:
            OSError: it is not there, or can't be read.
        """

    def local_copy(self, path: str) -> Path:
        """Return the path of the file, or of a copy of it, on this machine.

        Raises:
            OSError: it is not there, or can't be read.
        """

    def remove(self, path: str) -> None:
        """Remove a file; it is no error if it is not there."""

    def locate(self, path: str) -> str:
        """Return the absolute path or URL of a file, for a person."""

    def walk(self, folder: str) -> Iterator[tuple[str, float, int]]:
        """Yield path, time of the last change (seconds since the epoch) and size of each file below a folder."""

    def tidy(self, folder: str, older_than: float) -> None:
        """Remove empty folders below a folder."""


class LocalPlace:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:
        """Write a hidden file beside the new one, flush it to the disk, rename it, flush the folder."""
        self._write(path, chunks, _mode(read_only=read_only), _AtOnce())

    def group(self) -> PlaceGroup:
        """See `Place`: files and folders are flushed side by side, a folder once."""
        if os.name == "nt":  # Windows flushes only what is open for writing
            return WrittenAtOnce(self)
        return _LocalGroup(self._root, self._write)

    def _write(self, path: str, chunks: Iterable[Buffer], mode: int, flushing: _Flushing) -> None:
        target = self._root / path
        hidden = target.with_name(f".{target.name}.tmp")
        descriptor = self._create(hidden, mode, flushing)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                flushing.file(descriptor, target)
            _refuse_existing(target)
            hidden.rename(target)
            flushing.folder(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                hidden.unlink()
            raise

    def _create(self, path: Path, mode: int, flushing: _Flushing) -> int:
        for _ in range(_ATTEMPTS):
            try:
                return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
            except FileNotFoundError:
                with contextlib.suppress(FileNotFoundError):
                    self._make_folder(path.parent, flushing)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)

    def _make_folder(self, folder: Path, flushing: _Flushing) -> None:
        missing = [folder, *folder.parents]
        missing = missing[: next((i for i, each in enumerate(missing) if each.is_dir()), len(missing))]
        folder.mkdir(parents=True, exist_ok=True)
        for each in missing:
            flushing.folder(each.parent)

    def read(self, path: str) -> bytearray:
        """Read into one buffer."""
        with (self._root / path).open("rb", buffering=0) as file:
            data = bytearray(os.fstat(file.fileno()).st_size)
            view, done = memoryview(data), 0
            while done < len(data) and (count := file.readinto(view[done:])):
                done += count
        view.release()
        del data[done:]
        return data

    def local_copy(self, path: str) -> Path:
        """Return the file itself."""
        found = self._root / path
        found.stat()
        return found

    def remove(self, path: str) -> None:
        """Unlink."""
        (self._root / path).unlink(missing_ok=True)

    def locate(self, path: str) -> str:
        """Return the absolute path."""
        return str(self._root / path)

    def walk(self, folder: str) -> Iterator[tuple[str, float, int]]:
        """Go through all folders, not following links."""
        for parent, _, names in os.walk(self._root / folder):
            for name in names:
                found = Path(parent, name)
                with contextlib.suppress(FileNotFoundError):
                    status = found.stat()
                    yield found.relative_to(self._root).as_posix(), status.st_mtime, status.st_size

    def tidy(self, folder: str, older_than: float) -> None:
        """Remove empty folders that nobody changed since; a writer that loses the race makes them again."""
        for parent, _, _ in os.walk(self._root / folder, topdown=False):
            with contextlib.suppress(OSError):
                if Path(parent).stat().st_mtime < older_than:
                    Path(parent).rmdir()


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _mode(*, read_only: bool) -> int:
    return 0o444 if read_only else 0o666


class _Flushing(Protocol):
    """When what was written becomes durable."""

    def file(self, descriptor: int, path: Path) -> None:
        """Take note of a complete file, which is open and will lie at `path`."""

    def folder(self, path: Path) -> None:
        """Take note of a folder that has a new entry."""


class _AtOnce:
    def file(self, descriptor: int, path: Path) -> None:  # noqa: ARG002 - it is open
        os.fsync(descriptor)

    def folder(self, path: Path) -> None:
        if os.name != "nt":  # Windows has no handle of a folder to flush
            flush_path(path)


class _LocalGroup:
    """See `PlaceGroup`."""

    def __init__(self, root: Path, write: Callable[[str, Iterable[Buffer], int, _Flushing], None]) -> None:
        self._root, self._write = root, write
        self._files: dict[Path, None] = {}
        self._folders: dict[Path, None] = {}

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:
        later = _Later(self._folders)
        self._write(path, chunks, _mode(read_only=read_only), later)
        self._files.update(later.files)

    def remove(self, path: str) -> None:
        found = self._root / path
        self._files.pop(found, None)
        found.unlink(missing_ok=True)

    def flush(self) -> None:
        files, folders = list(self._files), list(self._folders)
        self._files.clear()
        self._folders.clear()
        flush_together(files, folders)


class _Later:
    def __init__(self, folders: dict[Path, None]) -> None:
        self.files: dict[Path, None] = {}
        self._folders = folders

    def file(self, descriptor: int, path: Path) -> None:  # noqa: ARG002 - it is not open then
        self.files[path] = None

    def folder(self, path: Path) -> None:
        self._folders[path] = None  # also if the file then fails: the next one finds the folder made


class RemotePlace:
    """A folder of any file system that fsspec knows; copies for local use are kept in `cache`."""

    def __init__(self, url: str, options: Mapping[str, Any], cache: Path) -> None:
        from fsspec.core import url_to_fs

        self._fs, root = url_to_fs(url, **options)
        self._root, self._cache = root.rstrip("/"), cache

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:  # noqa: ARG002 - no modes
        """Stream to a new object; what was begun and not finished is removed."""
        target = self._path(path)
        self._fs.makedirs(posixpath.dirname(target), exist_ok=True)
        try:
            with self._fs.open(target, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
        except BaseException:
            with contextlib.suppress(Exception):
                self._fs.rm_file(target)
            raise

    def group(self) -> PlaceGroup:
        """See `Place`: uploads run side by side where the file system may be used by threads."""
        return UploadedTogether(self) if self._fs.async_impl else WrittenAtOnce(self)

    def read(self, path: str) -> bytearray:
        """Fetch the object."""
        return bytearray(self._fs.cat_file(self._path(path)))

    def local_copy(self, path: str) -> Path:
        """Fetch the object unless it was fetched before: objects never change."""
        found = self._cache / path
        if not found.exists():
            LocalPlace(self._cache).write(path, [self.read(path)], read_only=True)
        return found

    def remove(self, path: str) -> None:
        """Remove the object and our copy."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(path))
        (self._cache / path).unlink(missing_ok=True)

    def locate(self, path: str) -> str:
        """Return the URL."""
        return str(self._fs.unstrip_protocol(self._path(path)))

    def walk(self, folder: str) -> Iterator[tuple[str, float, int]]:
        """List all objects; one whose age the file system does not tell counts as new."""
        with contextlib.suppress(FileNotFoundError):
            for found, facts in self._fs.find(self._path(folder), detail=True).items():
                yield found.removeprefix(self._root + "/"), _changed(facts), facts.get("size") or 0

    def tidy(self, folder: str, older_than: float) -> None:
        """Do nothing: object stores have no folders."""

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"


def _changed(facts: Mapping[str, Any]) -> float:
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        found = facts.get(name)
        if isinstance(found, int | float):
            return float(found)
        if isinstance(found, datetime):
            return found.timestamp()
    return float("inf")


class MemoryPlace:
    """A dictionary."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, float]] = {}
        self._copies: Path | None = None

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:  # noqa: ARG002 - no modes
        """Keep a copy."""
        if path in self._files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._files[path] = (b"".join(chunks), clock.now().timestamp())

    def group(self) -> PlaceGroup:
        """See `Place`."""
        return WrittenAtOnce(self)

    def read(self, path: str) -> bytearray:
        """Return a copy."""
        if path not in self._files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.locate(path))
        return bytearray(self._files[path][0])

    def local_copy(self, path: str) -> Path:
        """Write the content to a temporary folder that lives as long as this object."""
        if self._copies is None:
            self._copies = Path(tempfile.mkdtemp(prefix="nbpipe-"))
            weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
        found = self._copies / path
        if not found.exists():
            LocalPlace(self._copies).write(path, [self.read(path)], read_only=True)
        return found

    def remove(self, path: str) -> None:
        """Forget the content."""
        self._files.pop(path, None)

    def locate(self, path: str) -> str:
        """Return a URL that only a person reads."""
        return f"memory:{path}"

    def walk(self, folder: str) -> Iterator[tuple[str, float, int]]:
        """Go through the names."""
        for path, (data, changed) in list(self._files.items()):
            if path.startswith(f"{folder}/"):
                yield path, changed, len(data)

    def tidy(self, folder: str, older_than: float) -> None:
        """Do nothing: there are no folders."""
