"""The I/O manager that keeps values as files, by their type; it does not care where the files lie."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from nbpipe.core.ports import StoreTarget, ValueGroup
from nbpipe.core.records import Preview, StoredValue
from nbpipe.errors import MissingValueError, StoredValueError, UnknownNameError, UnstorableValueError
from nbpipe.io import sharing, targets
from nbpipe.io.digests import Buffer, Digest, digest_of_bytes
from nbpipe.io.flushing import Writer
from nbpipe.io.formats.catalogue import format_of, formats_for
from nbpipe.io.formats.format import Encoded, Format, type_name
from nbpipe.io.places import Place
from nbpipe.settings import redacted

_FILE = "file"
"""The format whose values are paths: the file is not read, its path is handed out."""
_COMPANIONS = {"figure": ".png"}


class ValueIOManager:
    """Keeps each value in the first format that holds it exactly.

    Args:
        name: as in `--io NAME` and `[io.NAME]`.
        place: where the files lie.
        env: the environment whose files `sweep` looks at.
        only: the one format to use, None for the best one.
        secrets: what a URL may hold and no message may.
    """

    def __init__(
        self, name: str, place: Place, *, env: str, only: str | None = None, secrets: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self._place, self._env, self._only, self._secrets = place, env, only, secrets

    def store(self, value: object, target: StoreTarget) -> StoredValue:
        """Write a value to a new path, durable when this returns.

        Raises:
            UnstorableValueError: no format holds the value.
            StoredValueError: the file can't be written.
        """
        return self._store(value, target, self._place, show=True)

    def group(self) -> ValueGroup:
        """See `IOManager`."""
        return _Group(self._place, partial(self._store, show=False), self._secrets)

    def _store(self, value: object, target: StoreTarget, into: Writer, *, show: bool) -> StoredValue:
        form, encoded = self._encode(value, target)
        where = targets.StoreTarget(env=target.env, asset=target.asset, partition=target.partition, uid=target.uid)
        path = targets.value_path(where, encoded.extension)
        pieces = _Pieces(form.name, encoded.chunks, hashed=encoded.version is None)
        preview = encoded.preview() if show else Preview()
        try:
            into.write(path, pieces, read_only=form.name == _FILE)
            if encoded.companion is not None:
                into.write(f"{path}.{encoded.companion[0]}", [encoded.companion[1]])
        except OSError as error:
            with contextlib.suppress(OSError):
                into.remove(path)
            raise StoredValueError(
                redacted(_unwritten(target.asset, self._place.locate(path), error), self._secrets)
            ) from error
        return StoredValue(
            io=self.name,
            format=form.name,
            path=path,
            size=pieces.size,
            data_version=encoded.version or pieces.digest.hex(),
            opaque=encoded.opaque,
            type=type_name(value),
            metadata=encoded.metadata,
            preview=preview,
        )

    def _encode(self, value: object, target: StoreTarget) -> tuple[Format, Encoded]:
        reasons: list[str] = []
        for form in formats_for(value, self._only):
            result = form.encode(value)
            if isinstance(result, Encoded):
                return form, result
            reasons.append(result.reason)
            if result.final:
                break
        raise UnstorableValueError(_unstorable(value, target, reasons, self.name, self._only))

    def load(self, stored: StoredValue) -> Any:
        """Read a value.

        Raises:
            MissingValueError: the file is gone, damaged, or needs a module that is not there.
        """
        try:
            if stored.format == _FILE:
                return self._load_path(stored)
            data = self._place.read(_checked(stored.path))
            _check_size(len(data), stored.size)
            form = format_of(stored.format, stored.type)
            if form.hashes_bytes:
                _check_content(digest_of_bytes(form.name, [data]), stored.data_version)
            return form.decode(data, stored.type)
        except UnknownNameError:
            raise
        except Exception as error:
            message = _unreadable(stored, self._place.locate(stored.path), error)
            raise MissingValueError(redacted(message, self._secrets)) from error

    def _load_path(self, stored: StoredValue) -> Any:
        found = self._place.local_copy(_checked(stored.path))
        _check_size(found.stat().st_size, stored.size)
        return found

    def delete(self, stored: StoredValue) -> None:
        """Remove a value; it is no error if it is gone already."""
        path = _checked(stored.path)
        self._place.remove(path)
        if stored.format in _COMPANIONS:
            self._place.remove(path + _COMPANIONS[stored.format])

    def local_path(self, stored: StoredValue) -> str:
        """Return the path or URL of the stored file, for a person: a password in it is blotted out."""
        return redacted(self._place.locate(stored.path), self._secrets)

    def shareable(self, value: object, stored: StoredValue) -> bool:
        """Tell whether `sharing.share(value)` may be handed on in this process instead of reading the value again."""
        return stored.format != _FILE and sharing.is_shareable(value)

    def sweep(self, keep: Callable[[str], bool], *, older_than: datetime) -> int:
        """Remove files of this environment that no record refers to and that are older; return the bytes freed."""
        folder, limit, freed = targets.encode_name(self._env), older_than.timestamp(), 0
        for path, changed, size in self._place.walk(folder):
            owner = next((path.removesuffix(end) for end in _COMPANIONS.values() if path.endswith(f".pkl{end}")), path)
            if changed < limit and not keep(path) and not keep(owner):
                self._place.remove(path)
                freed += size
        self._place.tidy(folder, limit)
        return freed


class _Store(Protocol):
    def __call__(self, value: object, target: StoreTarget, into: Writer) -> StoredValue: ...


class _Group:
    """See `ValueGroup`."""

    def __init__(self, place: Place, store: _Store, secrets: tuple[str, ...]) -> None:
        self._place, self._store, self._secrets = place, store, secrets
        self._files = place.group()
        self._begun: list[tuple[str, str]] = []
        """Asset and path of what is not flushed."""
        self.size = 0

    def store(self, value: object, target: StoreTarget) -> StoredValue:
        stored = self._store(value, target, self._files)
        self._begun.append((target.asset, stored.path))
        self.size += stored.size
        return stored

    def flush(self) -> None:
        begun, self._begun, self.size = self._begun, [], 0
        try:
            self._files.flush()
        except OSError as error:
            asset, first = begun[0]
            message = redacted(_unwritten(asset, self._place.locate(first), error), self._secrets)
            for _, path in begun:
                with contextlib.suppress(OSError):
                    self._files.remove(path)
            raise StoredValueError(message) from error


class _DamagedError(Exception):
    """A file is not what was written."""


class _Pieces:
    """Count, and if wanted hash, what is written while it is written."""

    def __init__(self, kind: str, chunks: Iterable[Buffer], *, hashed: bool) -> None:
        self._chunks, self._hashed = chunks, hashed
        self.digest, self.size = Digest(kind), 0

    def __iter__(self) -> Iterator[Buffer]:
        for chunk in self._chunks:
            self.size += memoryview(chunk).nbytes
            if self._hashed:
                self.digest.data(chunk)
            yield chunk


def _checked(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        message = f"the record names a path outside of the storage: {path}"
        raise _DamagedError(message)
    return path


def _check_size(found: int, expected: int) -> None:
    if found != expected:
        message = f"it has {found:,} bytes, {expected:,} were written"
        raise _DamagedError(message)


def _check_content(found: str, expected: str) -> None:
    if found != expected:
        message = "its content is not what was written"
        raise _DamagedError(message)


def _unstorable(value: object, target: StoreTarget, reasons: list[str], name: str, only: str | None) -> str:
    what = f"asset {target.asset!r}: a value of type {type_name(value)} can't be stored"
    if only is None:
        return f"{what}: {reasons[-1]}"
    reason = reasons[-1] if reasons else f"it is not a value for {only}"
    remedy = f"leave out --io, or `format` of [io.{name}]"
    return f"{what} by I/O manager {name!r}, which writes only {only}: {reason}; {remedy}"


def _unwritten(asset: str, where: str, error: OSError) -> str:
    remedy = "set `storage` in nbpipe.toml to a place that can be written"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space (`nbpipe gc` removes old values), or " + remedy
    reason = error.strerror or str(error)
    return f"asset {asset!r}: its value can't be written to {where}: {reason}: {remedy}"


def _unreadable(stored: StoredValue, where: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        reason = "the file is gone"
        if where.startswith("memory:"):
            reason += " (it was in the memory of a process: let another I/O manager keep what other processes read)"
    elif isinstance(error, ModuleNotFoundError):
        reason = f"it needs the module {error.name!r}, which this Python does not have"
    else:
        reason = str(error) if isinstance(error, _DamagedError) else f"{type(error).__name__}: {error}"
    written_by = stored.metadata.get("python")
    if written_by and not isinstance(error, FileNotFoundError | _DamagedError):
        reason += f" (pickled by Python {written_by})"
    return (
        f"{targets.describe_path(stored.path)}: the value with data version {stored.data_version[:12]} can't be read "
        f"from {where}: {reason}: materialize the asset again, or roll back to another version"
    )
