"""Where a value belongs, and the path that follows from it.

A path is `<env>/<asset>/<partition>/<uid>.<extension>`, each part percent-encoded so that it is one harmless
name on every file system and object store; `_` stands for "no partition". A name that would be too long for a
file system is cut and carries a hash of the whole: `+` never occurs in an encoded name, so the two can't be
confused.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

import msgspec
import xxhash

from nbpipe.core.keys import UNPARTITIONED

_LONGEST = 160
"""Characters of one encoded name; file systems take 255 bytes, and temporary names need room."""
_NO_PARTITION = "_"


class StoreTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where a value belongs: environment, asset, partition, and an id that is unique per commit."""

    env: str
    asset: str
    partition: str = UNPARTITIONED
    uid: str


def value_path(target: StoreTarget, extension: str) -> str:
    """Return the path of a value, relative to its I/O manager's root, with `/`."""
    partition = encode_name(target.partition) if target.partition != UNPARTITIONED else _NO_PARTITION
    name = encode_name(target.uid) + (f".{extension}" if extension else "")
    return f"{encode_name(target.env)}/{encode_name(target.asset)}/{partition}/{name}"


def encode_name(name: str) -> str:
    """Return `name` as one path component: percent-encoded UTF-8, never hidden, never empty, never too long."""
    encoded = quote(name, safe="", errors="surrogatepass")
    if encoded in ("", _NO_PARTITION):
        return "%5F" if encoded else "%"
    if encoded[0] == ".":
        encoded = "%2E" + encoded[1:]
    if encoded[-1] == ".":  # Windows drops it
        encoded = encoded[:-1] + "%2E"
    if len(encoded) <= _LONGEST:
        return encoded
    head = encoded[:_LONGEST]
    cut = head.rfind("%", len(head) - 2)
    head = head if cut < 0 else head[:cut]  # never half of a %XX
    return f"{head}+{xxhash.xxh3_128_hexdigest(name.encode('utf-8', 'surrogatepass'))}"


def describe_path(path: str) -> str:
    """Say which asset a path was written for, for messages: `asset 'x', partition 'p' (environment 'e')`."""
    parts = [unquote(part.partition("+")[0], errors="replace") for part in path.split("/")]
    if len(parts) != 4:
        return "asset ?"
    env, asset, _, _ = parts
    partition = "" if path.split("/")[2] == _NO_PARTITION else f", partition {parts[2]!r}"
    return f"asset {asset!r}{partition} (environment {env!r})"
