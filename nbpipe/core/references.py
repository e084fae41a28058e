"""Naming a stored value: `ASSET[@PARTITION][#VERSION]`.

    reference = ASSET [ "@" partition ] [ "#" VERSION ]
    partition = KEY | quoted KEY

A partition key is any text: it may have `#`, `@`, `|`, `/`, `:` and blanks in it. The last `#` with nothing but digits
behind it is the version. A key that ends like one stands in quotes, as do keys that stand in quotes themselves:
`orders@"a#3"` is the partition `a#3`, `orders@a#3` the third version of `a`. Within quotes a backslash takes the next
character as it is. Commands that take a range write it in the place of the key.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nbpipe.errors import UsageError

_ASSET = re.compile(r"[^@#\s]+")
_VERSION = re.compile(r"(?P<before>.*)#(?P<version>[0-9]+)", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,18}")  # the state store has 64 bits for it
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Reference(NamedTuple):
    """A stored value."""

    asset: str
    partition: str = ""
    """Key of the partition; empty for none."""
    version: int | None = None
    """None: the current one."""


def parse_reference(text: str) -> Reference:
    """Read a reference.

    >>> parse_reference("orders#3")
    Reference(asset='orders', partition='', version=3)
    >>> parse_reference("daily@2024-01-01|New York")
    Reference(asset='daily', partition='2024-01-01|New York', version=None)

    Raises:
        UsageError: it is no reference, its version is no number from 1, or there is no key behind its `@`.
    """
    text = text.strip()
    match = _ASSET.match(text)
    rest = text[match.end() :] if match else text
    if match is None or (rest and rest[0] not in "@#"):
        raise UsageError(f"{text!r} names no asset: write NAME, NAME#VERSION or NAME@PARTITION")
    asset = match[0]
    if rest.startswith("@"):
        return _of_partition(text, asset, rest[1:].strip())
    return Reference(asset, "", _version(text, asset, rest[1:]) if rest else None)


def reference_text(asset: str, partition: str = "", version: int | None = None) -> str:
    r"""Return the text that `parse_reference` reads as this value.

    >>> reference_text("daily", "2024-01-01", 2), reference_text("daily", "a#3")
    ('daily@2024-01-01#2', 'daily@"a#3"')
    """
    if _VERSION.fullmatch(partition) or _QUOTED.fullmatch(partition):
        partition = '"' + partition.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return asset + (f"@{partition}" if partition else "") + ("" if version is None else f"#{version}")


def _of_partition(text: str, asset: str, rest: str) -> Reference:
    version = None
    match = _VERSION.fullmatch(rest)
    if match is not None and not _QUOTED.fullmatch(rest):
        rest, version = match["before"].rstrip(), _version(text, f"{asset}@KEY", match["version"])
    key = _ESCAPED.sub(r"\1", rest[1:-1]) if _QUOTED.fullmatch(rest) else rest
    if not key:
        raise UsageError(f"{text!r} names no partition: write its key behind the @, or leave out the @")
    return Reference(asset, key, version)


def _version(text: str, before: str, version: str) -> int:
    if not (_NUMBER.fullmatch(version) and int(version)):
        raise UsageError(f"{text!r}: the version after # is a number from 1, for example {before}#1")
    return int(version)
