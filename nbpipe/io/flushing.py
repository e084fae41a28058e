"""Files that become durable together.

A disk takes about as long to make one file durable as many: file systems write all that is asked of them at
the same time in one go, and object stores take many uploads at a time. So the files of a group are written
first, and made durable side by side before what refers to them is committed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol

from nbpipe.io.digests import Buffer

_AT_ONCE = 8
"""Files that are flushed, or uploads that run, at the same time."""
_QUEUED = 8
"""Uploads that wait for their turn, in memory."""
_LARGE = 8 << 20
"""Bytes of a file that is not worth holding in memory."""


class Writer(Protocol):
    """What writes and removes files."""

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:
        """See `Place.write`."""

    def remove(self, path: str) -> None:
        """Remove a file; it is no error if it is not there."""


class PlaceGroup(Writer, Protocol):
    """Files of one place that become durable together."""

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:
        """Write a new file that is durable when `flush` has returned, or leave nothing behind.

        Raises:
            OSError: see `Place.write`.
        """

    def flush(self) -> None:
        """Make durable what was written since the last time.

        Raises:
            OSError: something is not; it can't be known what.
        """


class WrittenAtOnce:
    """A group where nothing is gained by waiting: each file is durable at once."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:
        """See `PlaceGroup`."""
        self._writer.write(path, chunks, read_only=read_only)

    def remove(self, path: str) -> None:
        """See `Writer`."""
        self._writer.remove(path)

    def flush(self) -> None:
        """Nothing to do."""


class UploadedTogether:
    """A group of files that are uploaded side by side, while the next ones are made."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pool: ThreadPoolExecutor | None = None
        self._begun: list[Future[None]] = []

    def write(self, path: str, chunks: Iterable[Buffer], *, read_only: bool = False) -> None:
        """See `PlaceGroup`; what goes wrong is known when they are flushed."""
        left, held, size = iter(chunks), [], 0
        for chunk in left:
            held.append(chunk)
            size += memoryview(chunk).nbytes
            if size > _LARGE:
                self._writer.write(path, itertools.chain(held, left), read_only=read_only)
                return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="nbpipe-upload")
        wait(self._begun[: max(0, len(self._begun) - _AT_ONCE - _QUEUED)])
        self._begun.append(self._pool.submit(self._writer.write, path, held, read_only=read_only))

    def remove(self, path: str) -> None:
        """See `Writer`."""
        wait(self._begun)
        self._writer.remove(path)

    def flush(self) -> None:
        """See `PlaceGroup`; waits for all of them, also after an error."""
        pool, self._pool, begun, self._begun = self._pool, None, self._begun, []
        if pool is not None:
            pool.shutdown(wait=True)
        for each in begun:
            each.result()


def flush_together(files: Collection[Path], folders: Collection[Path]) -> None:
    """Make files and the entries of folders durable, side by side; a folder that is gone has no entries.

    Raises:
        OSError: the first one that was met; the others were tried.
    """
    if len(files) <= 1:  # starting threads would take longer
        for path in files:
            flush_path(path)
        for path in folders:
            _flush_folder(path)
        return
    with ThreadPoolExecutor(min(_AT_ONCE, len(files)), thread_name_prefix="nbpipe-flush") as pool:
        begun = [pool.submit(flush_path, path) for path in files]
        begun += [pool.submit(_flush_folder, path) for path in folders]
    for each in begun:
        each.result()


def flush_path(path: Path) -> None:
    """Make a file, or the entries of a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        flush_path(path)
