r"""The first line of a declaring cell: `%%asset NAME ... [options]`.

Grammar::

    declaration := name* option*
    option      := "--" NAME value* | "--" NAME "=" value
    value       := word, or a quoted text; a quote may also start inside a word: --tag team="data science"

Words are separated by blanks; `'...'` is taken as it is, in `"..."` a backslash escapes `"` and `\\`. Nothing
is expanded: what a notebook declares can be read from the saved file without running any code.

The options themselves are in `asset_options`.
"""

from __future__ import annotations

import re
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
_PLAIN = re.compile(r"\S+")
_KEYED = frozenset({"tags", "metadata"})
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)\'""")


class Word(NamedTuple):
    """One word of the line."""

    text: str
    """Without its quotes."""
    column: int
    option: bool
    """It is written without quotes and begins with `-`, but is no number."""


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
    return AssetDeclaration(names=names, options=_options(words[start:], names))


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
        return [Word(found.group(), found.start(), _is_option(found.group())) for found in _PLAIN.finditer(line)]
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
        words.append(Word(_unquote(raw) if quoted else raw, position, _is_option(raw)))
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


def _options(words: list[Word], names: tuple[str, ...]) -> AssetOptions:
    values: dict[str, Any] = {}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        name, equals, attached = word.text.partition("=")
        option = _option(name, word.column) if word.option else None
        if option is None:
            raise _stray(word)
        given = [Word(attached, word.column + len(name) + 1, option=False)] if equals else []
        while not equals and position < len(words) and not words[position].option:
            given.append(words[position])
            position += 1
            if option.arity != "many":
                break
        _take(values, option, given, word.column)
    options = msgspec.convert(values, AssetOptions)
    _check(options, names)
    return options


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


def _take(values: dict[str, Any], option: Option, given: list[Word], column: int) -> None:
    if not given:
        raise DeclarationError(f"{option.name} needs a value: {option.usage}", column=column)
    if option.arity == "one":
        if option.field in values:
            raise DeclarationError(f"{option.name} is given twice", column=column)
        values[option.field] = _read(option, given[0])
        return
    taken: list[Any] = values.setdefault(option.field, [])
    for word in given:
        value = _read(option, word)
        if option.field in _KEYED and any(value[0] == key for key, _ in taken):
            raise DeclarationError(f"{option.name} {value[0]}=... is given twice", column=word.column)
        if value not in taken:
            taken.append(value)


def _read(option: Option, word: Word) -> Any:
    try:
        return option.read(word.text)
    except ValueError as error:
        raise DeclarationError(f"{option.name} takes {error}, not {word.text!r}", column=word.column) from None
    except DeclarationError as error:
        raise DeclarationError(f"{option.name}: {error}", column=word.column) from None


def _check(options: AssetOptions, names: tuple[str, ...]) -> None:
    for own in names:
        if own in options.use or own in options.deps:
            raise DeclarationError(f"asset {own!r} can't depend on itself: take it out of --use or --deps")
    if options.retries == 0 and (options.retry_delay or options.backoff != "constant"):
        raise DeclarationError("--retry-delay and --backoff do nothing without --retries N: add it")
