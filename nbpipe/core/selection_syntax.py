"""The text form of selections.

    selection  = and_part { ["or"] and_part }         words side by side mean `or`
    and_part   = not_part { "and" not_part }
    not_part   = "not" not_part | walked
    walked     = [ [DEPTH] "+" ] primary [ "+" [DEPTH] ]
    primary    = "(" selection ")" | ("roots" | "sinks") "(" [selection] ")" | ATTRIBUTE ":" VALUE | NAME

`+x` adds all that feeds x, `x+` all that x feeds, `2+x+1` that many steps each way. A `+` belongs to the word
that it touches: `a+ b` and `a +b` are clear, `a+b` is refused. ATTRIBUTE is one of group, tag, kind, owner,
notebook, status. In names and values `*` stands for any text and `?` for one character. Text with spaces,
brackets or `+` stands in quotes, single or double: `notebook:"my work.ipynb"`, `tag:team="R+D"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, cast

import msgspec

from nbpipe.core.selection import (
    ATTRIBUTES,
    STATUSES,
    And,
    Attribute,
    Down,
    Has,
    Name,
    Not,
    Or,
    Roots,
    Selection,
    Sinks,
    Up,
)
from nbpipe.errors import SelectionError, nearest

Kind = Literal["word", "quoted", "+", "(", ")", "end"]

#: Brackets and `not` inside each other; far more than a person writes, far less than recursion bears.
MAX_DEPTH = 50

_SPACE = re.compile(r"\s*")
_PLAIN = re.compile(r"[^\s()+'\"]+")
_DIGITS = re.compile(r"[0-9]+")
_OPERATORS = ("and", "or", "not")


class Token(msgspec.Struct, frozen=True):
    """One piece of the text: columns `column` (included) to `end` (not included), counted from 0."""

    kind: Kind
    text: str
    column: int
    end: int


def parse_selection(text: str) -> Selection:
    """Read a selection.

    Raises:
        SelectionError: with the column of the trouble, the text with a mark below it, and what to write.
    """
    return _Parser(text).whole()


def scan(text: str) -> Iterator[Token]:
    """Split a text into tokens; the last is `end`.

    A quote may open inside a word, so `owner:"Jane Doe"` is one word; a word that begins with a quote is `quoted`
    and never an operator or an attribute.
    """
    position = _skip(text, 0)
    while position < len(text):
        char = text[position]
        if char in "+()":
            yield Token(cast("Kind", char), char, position, position + 1)
            position += 1
        else:
            word, end = _word(text, position)
            yield Token("quoted" if char in "'\"" else "word", word, position, end)
            position = end
        position = _skip(text, position)
    yield Token("end", "", len(text), len(text))


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _word(text: str, start: int) -> tuple[str, int]:
    parts = []
    position = start
    while position < len(text):
        char = text[position]
        if char in "'\"":
            close = text.find(char, position + 1)
            if close < 0:
                raise _error(text, position, f"this quote is never closed: add {char}")
            parts.append(text[position + 1 : close])
            position = close + 1
        elif match := _PLAIN.match(text, position):
            parts.append(match.group())
            position = match.end()
        else:
            break
    return "".join(parts), position


def _error(text: str, column: int, message: str) -> SelectionError:
    mark = f"\n  {text}\n  {' ' * column}^" if text.strip() and "\n" not in text else ""
    return SelectionError(f"selection, column {column + 1}: {message}{mark}", column=column)


class _Parser:
    """Recursive descent over the tokens; `MAX_DEPTH` bounds the recursion."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tuple(scan(text))
        self._next = 0
        self._depth = 0

    def whole(self) -> Selection:
        if self._peek().kind == "end":
            raise self._error(self._peek(), "nothing is selected: write an asset's name, or '*' for all")
        selection = self._or()
        if self._peek().kind == ")":
            raise self._error(self._peek(), "this bracket closes nothing")
        return selection

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _advance(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _is_operator(self, word: str) -> bool:
        return self._peek().kind == "word" and self._peek().text == word

    def _error(self, token: Token, message: str) -> SelectionError:
        return _error(self._text, token.column, message)

    def _or(self) -> Selection:
        parts = [self._and()]
        while self._peek().kind not in ("end", ")"):
            if self._is_operator("or"):
                self._advance()
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self) -> Selection:
        parts = [self._not()]
        while self._is_operator("and"):
            self._advance()
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _not(self) -> Selection:
        if not self._is_operator("not"):
            return self._walked()
        self._enter(self._advance())
        part = Not(self._not())
        self._depth -= 1
        return part

    def _walked(self) -> Selection:
        depth, up = self._up()
        part = self._primary()
        if self._touches("+"):
            plus = self._advance()
            down_depth = self._number() if self._peek().column == plus.end else None
            if self._peek().column == plus.end and self._peek().kind in ("word", "quoted", "("):
                raise self._error(plus, "which word does this + belong to? Put a space before or after it")
            part = Down(part, down_depth)
            if self._touches("+"):
                raise self._error(self._peek(), "one + is enough here")
        return Up(part, depth) if up else part

    def _up(self) -> tuple[int | None, bool]:
        """Read `+` or `2+` in front of what it belongs to."""
        token, after = self._peek(), self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        if _is_number(token) and after.kind == "+" and after.column == token.end:
            beyond = self._tokens[self._next + 2]
            if beyond.column == after.end and beyond.kind in ("word", "quoted", "("):
                self._advance()
                self._advance()
                return int(token.text), True
        if token.kind != "+":
            return None, False
        self._advance()
        if self._peek().kind == "+":
            raise self._error(self._peek(), "one + is enough here")
        if self._peek().column != token.end or self._peek().kind in ("end", ")"):
            raise self._error(token, "this + touches no word: write +x for what feeds x, x+ for what x feeds")
        return None, True

    def _touches(self, kind: Kind) -> bool:
        return self._peek().kind == kind and self._next > 0 and self._tokens[self._next - 1].end == self._peek().column

    def _number(self) -> int | None:
        return int(self._advance().text) if _is_number(self._peek()) else None

    def _primary(self) -> Selection:
        token = self._advance()
        if token.kind == "(":
            return self._bracket(token)
        if token.kind == "quoted":
            return Name(token.text, token.column)
        if token.kind == "word" and token.text in ("roots", "sinks") and self._touches("("):
            return self._ends(token)
        if token.kind != "word" or token.text in _OPERATORS:
            raise self._error(token, self._missing_word(token))
        attribute, colon, value = token.text.partition(":")
        return self._has(token, attribute, value) if colon else self._name(token)

    def _missing_word(self, token: Token) -> str:
        found = "the selection ends" if token.kind == "end" else f"{token.text!r} stands"
        return f"{found} where an asset, an attribute like group:g, or a bracket is expected"

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(token, f"more than {MAX_DEPTH} brackets and 'not' inside each other")

    def _bracket(self, opening: Token) -> Selection:
        self._enter(opening)
        if self._peek().kind == ")":
            raise self._error(self._peek(), "these brackets are empty")
        part = self._or()
        if self._peek().kind != ")":
            raise self._error(opening, "this bracket is never closed: add )")
        self._advance()
        self._depth -= 1
        return part

    def _ends(self, word: Token) -> Selection:
        opening = self._advance()
        part = None
        if self._peek().kind == ")":
            self._advance()
        else:
            part = self._bracket(opening)
        return Roots(part) if word.text == "roots" else Sinks(part)

    def _name(self, token: Token) -> Selection:
        for offset, char in enumerate(token.text):
            if char in ",;&|!":
                column = token.column + offset
                raise _error(self._text, column, f"{char!r} means nothing here: write 'and', 'or', 'not', or a space")
        return Name(token.text, token.column)

    def _has(self, token: Token, attribute: str, value: str) -> Selection:
        if attribute not in ATTRIBUTES:
            similar = nearest(attribute, ATTRIBUTES)
            remedy = f"did you mean {similar}:?" if similar else f"choose one of {', '.join(ATTRIBUTES)}"
            raise self._error(token, f"there is no attribute {attribute!r}: {remedy}")
        column = token.column + len(attribute) + 1
        if not value:
            raise _error(self._text, column, f"{attribute}: needs a value right behind the colon")
        if attribute == "status" and value not in STATUSES:
            similar = nearest(value, STATUSES)
            remedy = f"did you mean {similar!r}?" if similar else f"choose one of {', '.join(STATUSES)}"
            raise _error(self._text, column, f"there is no status {value!r}: {remedy}")
        return Has(cast("Attribute", attribute), value, column)


def _is_number(token: Token) -> bool:
    return token.kind == "word" and _DIGITS.fullmatch(token.text) is not None
