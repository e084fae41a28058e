"""Numbers of bytes, as people write and read them."""

from __future__ import annotations

import re

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)

#: Bytes without which a kernel does not start.
LEAST_MEMORY = 256 * 10**6
#: Bytes; more is no wish, and no system could be told of it.
_MOST = 10**18


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `50 MB`, `1.5GiB` or `4096` stands for.

    Raises:
        ValueError: says what was expected.
    """
    written = _SIZE.fullmatch(text)
    if written is None or written[2].lower() not in _UNITS:
        raise ValueError("a size such as '50 MB'")
    size = float(written[1]) * _UNITS[written[2].lower()]
    if size > _MOST:
        raise ValueError("a size such as '50 MB'")
    return int(size)


def parse_memory(text: str) -> int:
    """Return the bytes of memory that a text such as `4 GB` stands for.

    Raises:
        ValueError: says what was expected; also for so little that nothing could start.
    """
    try:
        size = parse_size(text)
    except ValueError:
        size = 0
    if size < LEAST_MEMORY:
        raise ValueError(f"a size such as '4 GB', at least {size_text(LEAST_MEMORY)}")
    return size


def size_text(size: int) -> str:
    """Return a number of bytes for people.

    >>> size_text(4_000_000_000), size_text(1_500_000)
    ('4 GB', '1.5 MB')
    """
    for unit in ("gb", "mb", "kb"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.4g} {unit.upper()}"
    return f"{size} bytes"
