r"""Keys in texts: where they are quoted, and where a text is cut.

A word of a specification, range or mapping stands in quotes, single or double, if it has blanks or one of
`, | = : @ ( ) ' " \ ..` in it; within quotes a backslash takes the next character as it is. A quote may open inside a
word, and words are written back with double quotes. A key of one dimension alone is never quoted: it is the text
itself; in a key of several, parts with `| ( ) ' " \ ..` or blanks stand in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from nbpipe.errors import DeclarationError

_QUOTED = re.compile(r"""[\s,|=:@()'"\\]|\.\.""")


class Word(msgspec.Struct, frozen=True):
    """A piece of a text: columns `column` (included) to `end` (not included), counted from 0."""

    text: str
    """As written, with its quotes."""
    column: int
    end: int


def quote(key: str) -> str:
    r"""Return a key as a word.

    >>> quote("a"), quote("New York"), quote('say "x"')
    ('a', '"New York"', '"say \\"x\\""')
    """
    if key and not _QUOTED.search(key) and key != "*":
        return key
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def fail(what: str, text: str, column: int, message: str) -> DeclarationError:
    """Return the error for a text, with a mark below the column of the trouble."""
    mark = f"\n  {text}\n  {' ' * column}^" if text.strip() and text.isprintable() else ""
    return DeclarationError(f"{what}, column {column + 1}: {message}{mark}", column=column)


def cut(what: str, text: str, separator: str, low: int = 0, high: int | None = None) -> list[Word]:
    """Cut [low, high) of a text at a separator that stands outside of quotes and brackets; blanks around pieces go.

    The pieces keep their quotes: read each with `read_word`, or cut it again.
    """
    high = len(text) if high is None else high
    found, start, depth = [], low, 0
    for position, char, plain in _characters(what, text, low, high):
        if plain:
            depth += (char == "(") - (char == ")")
            if depth <= 0 and position >= start and text.startswith(separator, position, high):
                found.append(_piece(text, start, position))
                start = position + len(separator)
    found.append(_piece(text, start, high))
    return found


def read_word(what: str, text: str, piece: Word) -> str:
    """Take the quotes off a piece of `cut`."""
    parts = []
    for position, char, plain in _characters(what, text, piece.column, piece.end):
        if plain and char.isspace():
            raise fail(what, text, position, 'a text with blanks stands in quotes: "New York"')
        parts.append(char)
    return "".join(parts)


def _piece(text: str, start: int, stop: int) -> Word:
    while start < stop and text[start].isspace():
        start += 1
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    return Word(text[start:stop], start, stop)


def _characters(what: str, text: str, low: int, high: int) -> Iterator[tuple[int, str, bool]]:
    """Yield what is meant by [low, high): position, character, and whether it stands outside of quotes."""
    quote_char, opened, position = "", low, low
    while position < high:
        char = text[position]
        if not quote_char and char in "'\"":
            quote_char, opened = char, position
        elif quote_char and char == quote_char:
            quote_char = ""
        elif quote_char and char == "\\" and position + 1 < high:
            position += 1
            yield position, text[position], False
        else:
            yield position, char, not quote_char
        position += 1
    if quote_char:
        raise fail(what, text, opened, f"this quote is never closed: add {quote_char}")
