"""Text from notebooks, made safe for a terminal: it is data, never control sequences or markup."""

from __future__ import annotations

from nbpipe.core.counted import counted

#: Joiners inside emoji and scripts that need them; they move nothing on the screen.
_HARMLESS = frozenset("\u200c\u200d")


def shown(text: str, *, lines: bool = False) -> str:
    r"""Return text with every character that is not printed as itself written as an escape.

    >>> shown("\x1b[31mred")
    '\\x1b[31mred'

    Args:
        text: from anywhere.
        lines: keep ends of lines; tabs become spaces.
    """
    if text.isprintable():
        return text
    if lines:
        text = text.expandtabs(4)
    return "".join(
        char if char.isprintable() or char in _HARMLESS or (lines and char == "\n") else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def size_text(size: int) -> str:
    """Write a number of bytes.

    >>> [size_text(size) for size in (1, 999, 20_480, 5_000_000)]
    ['1 byte', '999 bytes', '20.5 kB', '5.0 MB']
    """
    if size < 1000:
        return counted(size, "byte")
    exponent = next((n for n in (1, 2, 3) if size < 999.95 * 1000**n), 4)
    return f"{size / 1000**exponent:.1f} {('kB', 'MB', 'GB', 'TB')[exponent - 1]}"
