"""Numbers of things, as they are told."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    >>> [counted(number, "run") for number in (0, 1, 3210)]
    ['0 runs', '1 run', '3,210 runs']

    Args:
        number: how many.
        noun: what one of them is called.
        plural: what several are called, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
