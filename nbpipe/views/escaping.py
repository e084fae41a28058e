"""Text from notebooks made safe for pictures and pages: it is data, never markup, and controls nothing."""

from __future__ import annotations

from html import escape


def printable(text: str, *, keep: str = "") -> str:
    """Return text without control characters, which XML can't hold and a terminal would obey, but for `keep`."""
    return text if text.isprintable() else "".join(char for char in text if char.isprintable() or char in keep)


def escaped(text: str) -> str:
    """Return text for elements and attributes of HTML and XML; ends of lines and tabs stay."""
    return escape(printable(text, keep="\n\t"), quote=True)
