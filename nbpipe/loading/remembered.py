"""What is known of files without opening them again."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import xxhash

from nbpipe.core.definitions import Diagnostic
from nbpipe.loading.cache import encode
from nbpipe.loading.stamps import Stamp

Facts = TypeVar("Facts")


class Reading(msgspec.Struct, Generic[Facts], frozen=True, kw_only=True):
    """What one file was found to say."""

    facts: Facts
    content: str
    """Hash of what matters in it; equal hashes mean equal facts."""
    diagnostics: tuple[Diagnostic, ...] = ()


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What the index keeps of one file."""

    stamp: Stamp
    settled: bool
    """An equal stamp means equal content. If not, the file is read again, and only its hash compared."""
    digest: str
    """Hash of its bytes."""
    content: str
    facts: bytes
    """Encoded: most are never looked at again."""
    diagnostics: tuple[Diagnostic, ...] = ()


class RememberedFiles(Generic[Facts]):
    """Facts of files, each read again only if it may have changed."""

    def __init__(
        self,
        root: Path,
        entries: dict[str, Entry],
        read: Callable[[str, bytes | OSError, Facts | None], Reading[Facts]],
        kind: type[Facts],
        *,
        now_ns: Callable[[], int],
    ) -> None:
        """Start from what was kept.

        Args:
            root: the project's root.
            entries: what was kept, by path relative to the root; changed in place.
            read: makes facts from a path, the file's bytes (or why they can't be read) and older facts of it.
            kind: type of the facts.
            now_ns: the present, in nanoseconds since the epoch.
        """
        self._root = root
        self.entries = entries
        self._read = read
        self._kind = kind
        self._now_ns = now_ns
        self._decoded: dict[str, tuple[bytes, Facts]] = {}
        self.changed = False
        """Something is known now that was not kept."""

    def refresh(self, path: str, stamp: Stamp) -> Entry:
        """Return what is known of a file whose stamp is known, up to date."""
        old = self.entries.get(path)
        if old is not None and old.settled and old.stamp == stamp:
            return old
        settled = stamp.settled(self._now_ns())
        try:
            data: bytes | OSError = (self._root / path).read_bytes()
        except OSError as error:
            data, settled = error, False
        digest = "" if isinstance(data, OSError) else xxhash.xxh3_128_hexdigest(data)
        if old is not None and digest and old.digest == digest:
            new = Entry(stamp, settled, digest, old.content, old.facts, old.diagnostics)
        else:
            new = self._fresh(path, data, old, (stamp, settled, digest))
        if new != old:
            self.entries[path] = new
            self.changed = True
        return new

    def look_up(self, path: str) -> Entry | None:
        """Return what is known of a file, up to date, or None if there is none."""
        try:
            stamp = Stamp.of((self._root / path).stat())
        except OSError:
            self._forget(path)
            return None
        return self.refresh(path, stamp)

    def facts(self, path: str, entry: Entry | None = None) -> Facts:
        """Return the facts of a file as they are known now, or as they were when `entry` was returned."""
        encoded = (entry or self.entries[path]).facts
        known = self._decoded.get(path)
        if known is None or known[0] != encoded:
            known = self._decoded[path] = (encoded, msgspec.msgpack.decode(encoded, type=self._kind))
        return known[1]

    def keep_only(self, paths: Iterable[str]) -> None:
        """Forget all other files."""
        for path in self.entries.keys() - set(paths):
            self._forget(path)

    def _forget(self, path: str) -> None:
        if self.entries.pop(path, None) is not None:
            self._decoded.pop(path, None)
            self.changed = True

    def _fresh(self, path: str, data: bytes | OSError, old: Entry | None, about: tuple[Stamp, bool, str]) -> Entry:
        reading = self._read(path, data, self.facts(path) if old is not None else None)
        try:
            encoded = encode(reading.facts)
        except UnicodeEncodeError:
            reading = self._read(
                path, OSError(errno.EILSEQ, "it builds text from half characters (\\ud800 to \\udfff)"), None
            )
            encoded = encode(reading.facts)
        self._decoded[path] = (encoded, reading.facts)
        return Entry(*about, reading.content, encoded, reading.diagnostics)
