r"""The first line of a declaring cell: `%%asset NAME ... [options]`.

Grammar::

    declaration := name* option*
    option      := "--" NAME value* | "--" NAME "=" value
    value       := word, or a quoted text; a quote may also start inside a word: --tag team="data science"

Words are separated by blanks; `'...'` is taken as it is, in `"..."` a backslash escapes `"` and `\\`. Nothing
is expanded: what a notebook declares can be read from the saved file without running any code. The values of
`--partitions` and `--map` may have blanks, and quotes that belong to them: see `Extent` in `asset_options`.

The options themselves are in `asset_options`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.keys import check_name
from nbpipe.core.reading.asset_options import BY_NAME, HELP, Option
from nbpipe.errors import DeclarationError, nearest

#: Cell magics that declare something and that this version knows of but can't run.
LATER_CELL_MAGICS = frozenset({"op", "graph", "check", "sensor", "resource"})

#: Line magics of the same kind.
LATER_LINE_MAGICS = frozenset({"job", "schedule"})

DECLARED_LATER = LATER_CELL_MAGICS | LATER_LINE_MAGICS

_WORD = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_OWN_NAME = re.compile(r"^\w+, (?=column \d)")  # how the error of a small language begins
_PLAIN = re.compile(r"\S+")
_KEYED = frozenset({"tags", "metadata", "map", "concat"})
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


class AssetDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """What the first line of an asset cell says."""

    names: tuple[str, ...] = ()
    options: AssetOptions = AssetOptions()
    help: bool = False
    """The line asks for the usage; nothing else of it was read."""


class CellSplit(NamedTuple):
    """A cell as IPython takes it apart."""

    magic: str | None
    """Name of the cell magic that it starts with, without `%%`."""
    line: str
    """The rest of the magic's line."""
    body: str
    first_line: int
    """1-based line of the cell on which the body starts."""


def parse_asset(line: str) -> AssetDeclaration:
    """Read what follows `%%asset` on its line.

    Columns of errors count in `line`.

    Raises:
        DeclarationError: unknown option (the nearest right one is named), missing or wrong value, a name that
            can't be an asset's, or an option that this version does not have.
    """
    words = _scan(line)
    if any(word.option and word.text == HELP for word in words):
        return AssetDeclaration(help=True)
    start = next((position for position, word in enumerate(words) if word.option), len(words))
    names = _names(words[:start])
    if start == len(words):
        return AssetDeclaration(names=names)
    return AssetDeclaration(names=names, options=_Options(line, words[start:], names).read())


def declared_names(line: str) -> tuple[str, ...]:
    """Return the names that a line declares as far as they can be read, even if the line has an error."""
    names: list[str] = []
    for word in line.split():
        if not word.isidentifier():
            break
        names.append(word)
    return tuple(dict.fromkeys(names))


def split_cell(source: str) -> CellSplit:
    """Take the source of a cell apart as IPython does: blank lines may come before a cell magic, nothing else."""
    if "%%" not in source:
        return CellSplit(None, "", source, 1)
    lines = source.split("\n")
    skipped = next((number for number, line in enumerate(lines) if line.strip()), 0)
    first = lines[skipped].strip()
    if not first.startswith("%%") or first == "%%" or "?" in first.split(" ")[0]:
        return CellSplit(None, "", source, 1)
    magic, _, line = first[2:].partition(" ")
    return CellSplit(magic, line.strip(), "\n".join(lines[skipped + 1 :]), skipped + 2)


def _scan(line: str) -> list[Word]:
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


def _is_option(raw: str) -> bool:
    return raw.startswith("-") and not raw[1:2].isdigit() and raw[1:2] != "."


def _unquote(raw: str) -> str:
    def inner(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return match.group(2)
        return re.sub(r'\\(["\\])', r"\1", match.group(1))

    return _QUOTED.sub(inner, raw)


def _names(words: list[Word]) -> tuple[str, ...]:
    names: list[str] = []
    for word in words:
        try:
            check_name(word.text)
        except DeclarationError as error:
            hint = ""
            if any(mark in word.text for mark in ",;"):
                hint = " (names are separated by blanks)"
            elif word.text.startswith("#"):
                hint = " (comments belong in the lines below)"
            raise DeclarationError(f"{error}{hint}", column=word.column) from None
        if word.text in names:
            raise DeclarationError(f"asset {word.text!r} is named twice", column=word.column)
        names.append(word.text)
    return tuple(names)


class _Options:
    """Reads the words from the first option on."""

    def __init__(self, line: str, words: list[Word], names: tuple[str, ...]) -> None:
        self._line = line
        self._words = words
        self._names = names

    def read(self) -> AssetOptions:
        values: dict[str, Any] = {}
        words, position = self._words, 0
        while position < len(words):
            word = words[position]
            name, equals, attached = word.text.partition("=")
            option = _option(name, word.column) if word.option else None
            if option is None:
                raise _stray(word)
            value = Value(attached, (word.column + len(name) + 1,)) if equals else None
            take = self._plain if option.extent == "word" else self._written
            given, position = take(option, position, value)
            _take(values, option, given, word.column)
        options = msgspec.convert(values, AssetOptions)
        _check(options, self._names)
        return options

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
        return [_without_wrapping(self._line, start, end)], position


def _goes_on(text: str) -> bool:
    """Tell whether a mapping is not at its end: a bracket is open, or a comma comes last."""
    plain = _QUOTED.sub("", text)
    return plain.endswith(",") or plain.count("(") > plain.count(")")


def _without_wrapping(line: str, start: int, end: int) -> Value:
    """Return a text as written, but for quotes around the whole of it, or of all that follows `NAME=`."""
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


def _option(name: str, column: int) -> Option:
    option = BY_NAME.get(name)
    if option is None:
        close = nearest(name, (*BY_NAME, HELP))
        hint = f": did you mean {close}?" if close else "; %%asset --help lists them"
        raise DeclarationError(f"there is no option {name}{hint}", column=column)
    if option.later:
        raise DeclarationError(f"{name} is not available in this version of nbpipe: remove it", column=column)
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
        if option.field in _KEYED and any(value[0] == key for key, _ in taken):
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


def _check(options: AssetOptions, names: tuple[str, ...]) -> None:
    for own in names:
        if own in options.use or own in options.deps:
            raise DeclarationError(f"asset {own!r} can't depend on itself: take it out of --use or --deps")
    if options.retries == 0 and (options.retry_delay or options.backoff != "constant"):
        raise DeclarationError("--retry-delay and --backoff do nothing without --retries N: add it")
    if options.partitions is None and options.backfill is not None:
        raise DeclarationError(
            "--backfill is for assets with partitions: add --partitions SPEC, for example "
            "--partitions daily:2024-01-01, or take --backfill out"
        )
    if options.partitions is not None and options.fresh_for is not None:
        raise DeclarationError(
            "--fresh-for is not for assets with partitions, whose windows do not age: take it out, or --partitions"
        )
