"""Naming a stored value: `ASSET[@PARTITION][#VERSION]`."""

from __future__ import annotations

import re
from typing import NamedTuple

from nbpipe.errors import UsageError

_REFERENCE = re.compile(r"(?P<asset>[^@#\s]+)(?:@(?P<partition>[^#]+))?(?:#(?P<version>.*))?")


class Reference(NamedTuple):
    """A stored value."""

    asset: str
    partition: str = ""
    version: int | None = None
    """None: the current one."""


def parse_reference(text: str) -> Reference:
    """Read a reference.

    >>> parse_reference("orders#3")
    Reference(asset='orders', partition='', version=3)

    Raises:
        UsageError: it is no reference, its version is no number from 1, or it names a partition: this version
            of nbpipe has none.
    """
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text.strip()!r} names no asset: write NAME or NAME#VERSION")
    if match["partition"] is not None:
        raise UsageError(f"{text.strip()!r}: partitions are not available in this version of nbpipe: leave out @...")
    version = match["version"]
    if version is not None and not (version.isascii() and version.isdigit() and int(version) > 0):
        raise UsageError(f"{text.strip()!r}: the version after # is a number from 1, for example {match['asset']}#1")
    return Reference(match["asset"], "", None if version is None else int(version))
