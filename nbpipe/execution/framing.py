"""Messages on a stream of bytes: eight digits of hexadecimal length, then the message."""

from __future__ import annotations

_HEAD = 8


def framed(message: bytes) -> bytes:
    """Return a message with its length in front."""
    return f"{len(message):0{_HEAD}x}".encode() + message


class Frames:
    """Puts together what arrives in pieces."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._pending = bytearray()

    @property
    def incomplete(self) -> bytes:
        """The beginning of a message whose end has not arrived."""
        return bytes(self._pending)

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next piece; return the messages that are complete now.

        Raises:
            ValueError: the other side does not speak like this.
        """
        self._pending += piece
        found = []
        while len(self._pending) >= _HEAD:
            end = _HEAD + int(self._pending[:_HEAD], 16)
            if len(self._pending) < end:
                break
            found.append(bytes(self._pending[_HEAD:end]))
            del self._pending[:end]
        return found
