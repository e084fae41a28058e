"""Files in `.nbpipe/` that make things fast and may vanish at any time."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
import xxhash

from nbpipe.clock import new_id

Content = TypeVar("Content")

_DIGEST = 16  # bytes of xxh3_128


def read_cache(path: Path, kind: type[Content]) -> Content | None:
    """Return what `write_cache` wrote, or None if it is missing, damaged, or of another shape."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) <= _DIGEST or xxhash.xxh3_128_digest(memoryview(data)[_DIGEST:]) != data[:_DIGEST]:
        return None
    try:
        return msgspec.msgpack.decode(memoryview(data)[_DIGEST:], type=kind)
    except (msgspec.DecodeError, RecursionError):
        return None


def encode(content: object) -> bytes:
    """Return content as `read_cache` understands it; read-only mappings are written as plain ones."""
    return msgspec.msgpack.encode(content, enc_hook=_plain)


def write_cache(path: Path, content: object) -> bool:
    """Replace a cache file, all or nothing; return False if the folder can't be written (then work goes on without)."""
    data = encode(content)
    # without fsync: after a crash the checksum tells what is left of it
    draft = path.with_name(f"{path.name}.{new_id()}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(xxhash.xxh3_128_digest(data))
            file.write(data)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} can't be kept in a cache")
