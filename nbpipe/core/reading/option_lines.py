r"""The words of a line that declares something, and the options among them.

Grammar::

    line   := ( word | option )*
    option := "--" NAME value* | "--" NAME "=" value
    value  := word, or a quoted text; a quote may also start inside a word: --tag team="data science"

Words are separated by blanks; `'...'` is taken as it is, in `"..."` a backslash escapes `"` and `\\`. Nothing
is expanded: what a notebook declares can be read from the saved file without running any code. The values of
some options may have blanks, and quotes that belong to them: see `Extent` in `options`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from nbpipe.core.reading.options import HELP, Option, OptionTable
from nbpipe.errors import DeclarationError, nearest

_WORD = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_OWN_NAME = re.compile(r"^\w+, (?=column \d)")  # how the error of a small language begins
_PLAIN = re.compile(r"\S+")
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)\'""")
_WRAPPED = re.compile(r"""(?P<head>[^\s"'=]+=)?(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')""")


class Word(NamedTuple):
    """One word of the line."""

    text: str
    """Without its quotes."""
    column: int
    end: int
    option: bool
    """It is written without quotes and begins with `-`, but is no number."""


class Value(NamedTuple):
    """What an option is given."""

    text: str
    columns: Sequence[int]
    """Where its characters stand in the line, and where it ends; or its first column alone."""

    def column(self, within: int | None = None) -> int:
        """Return the column in the line of a column of the text."""
        return self.columns[min(within or 0, len(self.columns) - 1)]


def scan(line: str) -> list[Word]:
    """Take a line apart.

    Raises:
        DeclarationError: a quote is never closed.
    """
    if '"' not in line and "'" not in line:
        return [
            Word(found.group(), found.start(), found.end(), _is_option(found.group()))
            for found in _PLAIN.finditer(line)
        ]
    words: list[Word] = []
    position, end = 0, len(line)
    while True:
        while position < end and line[position].isspace():
            position += 1
        if position == end:
            return words
        match = _WORD.match(line, position)
        if match is None or (match.end() < end and not line[match.end()].isspace()):
            column = position if match is None else match.end()
            raise DeclarationError(f"the quote {line[column]} is never closed", column=column)
        raw = match.group()
        quoted = "'" in raw or '"' in raw
        words.append(Word(_unquote(raw) if quoted else raw, position, match.end(), _is_option(raw)))
        position = match.end()


class OptionLine(NamedTuple):
    """What a line says, as its table has it."""

    values: dict[str, Any]
    """By field of the option: its value, a list of them, or `True`."""
    columns: dict[str, int]
    """By the same: where its first value begins."""
    rest: tuple[Word, ...]
    """Words that belong to no option."""


def read_options(line: str, words: Sequence[Word], table: OptionTable) -> OptionLine:
    """Read the options among the words of a line.

    Raises:
        DeclarationError: unknown option (the nearest right one is named), missing or wrong value, an option that this
            version does not have, or a word that belongs to none where the table has no use for it.
    """
    return _Reader(line, list(words), table).read()


def asks_for_help(words: Sequence[Word]) -> bool:
    """Tell whether `--help` is among the words."""
    return any(word.option and word.text == HELP for word in words)


def as_written(line: str, start: int, end: int) -> Value:
    """Return a part of a line as written, but for quotes around the whole of it, or of all that follows `NAME=`."""
    match = _WRAPPED.fullmatch(line, start, end)
    if match is None:
        return Value(line[start:end], range(start, end + 1))
    opening = match.start("quoted")
    columns = [*range(start, opening)]
    position = opening + 1
    while position < end - 1:
        if line[opening] == '"' and line[position] == "\\" and line[position + 1] in '"\\':
            position += 1
        columns.append(position)
        position += 1
    return Value("".join(line[column] for column in columns), [*columns, end - 1])


class _Reader:
    """Reads words from one option to the next."""

    def __init__(self, line: str, words: list[Word], table: OptionTable) -> None:
        self._line = line
        self._words = words
        self._table = table
        self._values: dict[str, Any] = {}
        self._columns: dict[str, int] = {}

    def read(self) -> OptionLine:
        words, position = self._words, 0
        rest: list[Word] = []
        while position < len(words):
            word = words[position]
            if not word.option and self._table.rest:
                rest.append(word)
                position += 1
                continue
            position = self._option(word, position)
        return OptionLine(self._values, self._columns, tuple(rest))

    def _option(self, word: Word, position: int) -> int:
        """Take the option at `position`; return the position after it and its values."""
        name, equals, attached = word.text.partition("=")
        if not word.option:
            raise _stray(word)
        option = _known(name, word.column, self._table)
        if option.arity == "flag":
            if equals:
                raise DeclarationError(f"{option.name} takes no value", column=word.column + len(name))
            self._values[option.field] = True
            return position + 1
        value = Value(attached, (word.column + len(name) + 1,)) if equals else None
        take = self._plain if option.extent == "word" else self._written
        given, position = take(option, position, value)
        if given:
            self._columns.setdefault(option.field, given[0].column())
        _take(self._values, option, given, word.column)
        return position

    def _plain(self, option: Option, position: int, attached: Value | None) -> tuple[list[Value], int]:
        """Return the values of the option at `position`, and the position after them."""
        words, position = self._words, position + 1
        if attached is not None:
            return [attached], position
        given: list[Value] = []
        while position < len(words) and not words[position].option:
            given.append(Value(words[position].text, (words[position].column,)))
            position += 1
            if option.arity != "many":
                break
        return given, position

    def _written(self, option: Option, position: int, attached: Value | None) -> tuple[list[Value], int]:
        """Return the value of the option at `position` as it is written, and the position after it."""
        words = self._words
        start, end = (attached.column(), words[position].end) if attached is not None else (None, 0)
        position += 1
        while position < len(words) and not words[position].option:
            if start is None:
                start = words[position].column
            elif option.extent == "brackets" and not _goes_on(self._line[start:end]):
                break
            end = words[position].end
            position += 1
        if start is None or start == end:
            return [], position
        return [as_written(self._line, start, end)], position


def _goes_on(text: str) -> bool:
    """Tell whether a mapping is not at its end: a bracket is open, or a comma comes last."""
    plain = _QUOTED.sub("", text)
    return plain.endswith(",") or plain.count("(") > plain.count(")")


def _known(name: str, column: int, table: OptionTable) -> Option:
    option = table.by_name.get(name)
    if option is None:
        close = nearest(name, (*table.by_name, HELP))
        hint = f": did you mean {close}?" if close else f"; {table.magic} --help lists them"
        raise DeclarationError(f"there is no option {name}{hint}", column=column)
    return option


def _stray(word: Word) -> DeclarationError:
    return DeclarationError(
        f"unexpected word {word.text!r}: names come before the options, and a value with blanks needs quotes",
        column=word.column,
    )


def _take(values: dict[str, Any], option: Option, given: list[Value], column: int) -> None:
    if not given:
        raise DeclarationError(f"{option.name} needs a value: {option.usage}", column=column)
    if option.arity == "one":
        if option.field in values:
            raise DeclarationError(f"{option.name} is given twice", column=column)
        values[option.field] = _read(option, given[0])
        return
    taken: list[Any] = values.setdefault(option.field, [])
    for each in given:
        value = _read(option, each)
        if option.keyed and any(value[0] == key for key, _ in taken):
            raise DeclarationError(f"{option.name} {value[0]}=... is given twice", column=each.column())
        if value not in taken:
            taken.append(value)


def _read(option: Option, value: Value) -> Any:
    try:
        return option.read(value.text)
    except ValueError as error:
        raise DeclarationError(f"{option.name} takes {error}, not {value.text!r}", column=value.column()) from None
    except DeclarationError as error:
        message = _OWN_NAME.sub("", str(error))
        raise DeclarationError(f"{option.name}: {message}", column=value.column(error.column)) from None


def _is_option(raw: str) -> bool:
    return raw.startswith("-") and not raw[1:2].isdigit() and raw[1:2] != "."


def _unquote(raw: str) -> str:
    def inner(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return match.group(2)
        return re.sub(r'\\(["\\])', r"\1", match.group(1))

    return _QUOTED.sub(inner, raw)
