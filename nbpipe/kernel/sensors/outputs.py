"""What an evaluation prints, shortened: its beginning and its end."""

from __future__ import annotations

from nbpipe.core.automation.evaluations import LONGEST_OUTPUT

_HALF = LONGEST_OUTPUT // 2
#: Bytes of a character at most, in UTF-8.
_WIDEST = 4


class Output:
    """Takes any number of bytes, and keeps few."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._first = bytearray()
        self._last = bytearray()
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._size += len(piece)
        room = _HALF * _WIDEST - len(self._first)
        self._first += piece[:room]
        self._last += piece[max(room, 0) :]
        del self._last[: -_HALF * _WIDEST]

    @property
    def text(self) -> str:
        """What is kept of it."""
        return shortened((self._first + self._last).decode(errors="replace"), self._size)


def shortened(text: str, size: int = 0) -> str:
    """Return a text as it is kept; `size` is that of the whole, if this is not all of it."""
    if len(text) <= LONGEST_OUTPUT:
        return text.strip()
    return f"{text[:_HALF]}\n... ({max(size, len(text)):,} characters) ...\n{text[-_HALF:]}".strip()
