"""Hashes of content: the same on every machine, in every process, for every version of the libraries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import xxhash

Buffer: TypeAlias = bytes | bytearray | memoryview


class Digest:
    """Collect words and data into one XXH3-128 hash.

    Words are framed by their length, so that no two sequences of words look alike; data is not, so that the
    way it is cut into pieces does not matter.
    """

    __slots__ = ("_hash",)

    def __init__(self, kind: str) -> None:
        self._hash = xxhash.xxh3_128()
        self.words(kind)

    def words(self, *words: str | int) -> None:
        """Add words."""
        for word in words:
            data = str(word).encode("utf-8", "surrogatepass")
            self._hash.update(len(data).to_bytes(8, "little"))
            self._hash.update(data)

    def data(self, data: Buffer) -> None:
        """Add bytes."""
        self._hash.update(data)

    def hex(self) -> str:
        """Return 32 hex digits."""
        return self._hash.hexdigest()


def digest_of_bytes(kind: str, chunks: Iterable[Buffer]) -> str:
    """Return the hash of a kind of bytes."""
    digest = Digest(kind)
    for chunk in chunks:
        digest.data(chunk)
    return digest.hex()
