"""The first line of a declaring cell: `%%asset NAME ... [options]`.

Grammar::

    declaration := name* option*

The words and options are read by `option_lines`; which options there are is in `asset_options`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.keys import check_name
from nbpipe.core.reading.asset_options import ASSET_TABLE
from nbpipe.core.reading.option_lines import Word, asks_for_help, read_options, scan
from nbpipe.errors import DeclarationError

SENSOR = "sensor"

#: Cell magics that declare something and that this version knows of but can't execute in a notebook.
LATER_CELL_MAGICS = frozenset({"op", "graph", "check", SENSOR, "resource"})

#: Line magics that declare something; they leave the kind of their cell as it is.
DECLARING_LINE_MAGICS = frozenset({"job", "schedule", SENSOR})


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
    words = scan(line)
    if asks_for_help(words):
        return AssetDeclaration(help=True)
    start = next((position for position, word in enumerate(words) if word.option), len(words))
    names = _names(words[:start])
    if start == len(words):
        return AssetDeclaration(names=names)
    options = msgspec.convert(read_options(line, words[start:], ASSET_TABLE).values, AssetOptions)
    _check(options, names)
    return AssetDeclaration(names=names, options=options)


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
