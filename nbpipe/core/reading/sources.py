"""From the text of a cell to a syntax tree with the line numbers of the cell, IPython's syntax included."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from typing import Any

import msgspec

from nbpipe.core.reading.expressions import parse_inner
from nbpipe.core.reading.facts import LineMagic, SyntaxProblem
from nbpipe.core.reading.shell import magic_call, measured_code

Transform = Callable[[str], str]

PYTHON_CELL_MAGICS = frozenset({"time", "timeit", "prun", "capture", "memit", "mprun"})
"""Cell magics whose body is Python of the notebook."""

_HELP = frozenset({"pinfo", "pinfo2", "psearch"})
_LINE_MAGIC = re.compile(r"^%([^\W\d][\w.]*)[ \t]*(.*)$", re.MULTILINE)
_CELL_MAGIC = re.compile(r"\s*^%%([^\W\d][\w.]*)[ \t]*(.*)$", re.MULTILINE)
_DIRECTIVE = re.compile(
    r"#(?:!|\||\s*%%|\s*-\*-|\s*(?:coding|vim?|type|noqa|nosec|ruff|flake8|mypy|pyright|pylint|isort|black|fmt|yapf"
    r"|pragma|cspell|jupytext|language)\s*[:=]|\s*(?:noqa|pragma)\b)",
    re.IGNORECASE,
)
_ATTEMPTS = 12
"""How many lines above an error a statement may have begun, to find what is readable above it."""


class Parsed(msgspec.Struct):
    """A cell's text, read as far as it can be read."""

    body: list[ast.stmt]
    text: str
    """What was parsed: the positions of the tree are positions in it."""
    magics: tuple[LineMagic, ...] = ()
    problem: SyntaxProblem | None = None


class CellMagic(msgspec.Struct, frozen=True):
    """A `%%` magic on the first line that isn't blank."""

    name: str
    argument: str
    line: int


def cell_magic(source: str) -> CellMagic | None:
    """Return the cell magic that opens a source, or None."""
    if not source.lstrip().startswith("%%"):
        return None
    found = _CELL_MAGIC.match(source)
    if found is None:
        return None
    return CellMagic(found[1], found[2].strip(), source.count("\n", 0, found.start(1)) + 1)


def without_cell_magic(source: str, magic: CellMagic) -> str:
    """Return the source with a blank line in place of its cell magic."""
    lines = source.split("\n")
    lines[magic.line - 1] = ""
    return "\n".join(lines)


def parse(source: str, transform: Transform | None) -> Parsed:
    """Read a source; where it can't be read, what stands above the error, and the problem.

    Args:
        source: text of a cell, without a cell magic.
        transform: IPython's transformation, called only for what is not plain Python.
    """
    try:
        return Parsed(_tree(source), source)
    except _UNREADABLE as error:
        problem = _problem(error)
    text = source
    if transform is not None:
        try:
            text = _transformed(source, transform)
            body = _tree(text)
        except Exception as error:  # noqa: BLE001  (transformers are extensible, so they may raise anything)
            if text != source:
                problem = _problem(error)
        else:
            return Parsed(_unwrapped(body), text, _line_magics(body))
    magics = tuple(
        LineMagic(found[1], found[2].strip(), source.count("\n", 0, found.start()) + 1)
        for found in _LINE_MAGIC.finditer(source)
    )
    return Parsed(_unwrapped(_above(text, problem.line)), text, magics, problem)


def opening_comment(source: str) -> str:
    """Return the comment block that opens a source, without `#` and without lines meant for tools."""
    block: list[str] = []
    for line in source.split("\n"):
        text = line.strip()
        if text.startswith("#"):
            if not _DIRECTIVE.match(text):
                block.append(text.lstrip("#").removeprefix(" ").rstrip())
        elif text or any(block):
            break
    return "\n".join(block).strip()


_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


def _tree(text: str) -> list[ast.stmt]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the user's code, shown when it is executed
        return ast.parse(text).body


def _problem(error: Exception) -> SyntaxProblem:
    if isinstance(error, RecursionError | MemoryError):
        return SyntaxProblem("the code is nested too deeply", 1)
    if isinstance(error, SyntaxError):
        return SyntaxProblem(error.msg or "invalid syntax", max(error.lineno or 1, 1))
    return SyntaxProblem(str(error) or type(error).__name__, 1)


def _above(text: str, line: int) -> list[ast.stmt]:
    """Return the statements that end above a line that can't be read."""
    lines = text.split("\n")
    end = min(line - 1, len(lines))
    for _ in range(_ATTEMPTS):
        while end > 0 and lines[end][:1] in {"", " ", "\t", ")", "]", "}"}:
            end -= 1  # the middle of a statement
        if end <= 0:
            break
        try:
            return _tree("\n".join(lines[:end]))
        except _UNREADABLE:
            end -= 1
    return []


def _transformed(source: str, transform: Transform) -> str:
    """Transform IPython's syntax, and put back the lines that its transformation swallows."""
    stripped = source.lstrip("\n\r \t")
    start = source.rfind("\n", 0, len(source) - len(stripped)) + 1
    leading, source = source[:start], source[start:]
    old, new = source.split("\n"), transform(source).split("\n")
    lines: list[str] = []
    position = 0
    for line in new:
        lines.append(line)
        if position < len(old):
            swallows = "get_ipython()" in line and "get_ipython()" not in old[position]
            while swallows and old[position].endswith("\\") and position + 1 < len(old):
                position += 1
                lines.append("")
        position += 1
    return "\n" * leading.count("\n") + "\n".join(lines)


def _line_magics(body: list[ast.stmt]) -> tuple[LineMagic, ...]:
    magics = []
    for statement in body:
        call = magic_call(statement.value) if isinstance(statement, ast.Expr) else None
        if call is None or statement.col_offset:
            continue
        method, texts = call
        if method == "run_line_magic" and len(texts) > 1 and texts[0] not in _HELP:
            magics.append(LineMagic(texts[0], texts[1].strip(), statement.lineno))
    return tuple(magics)


def _unwrapped(body: list[ast.stmt]) -> list[ast.stmt]:
    """Replace `%time statement` by the statement: measuring it changes nothing else."""
    result = _unwrapped_block(body)
    for node in (part for statement in result for part in ast.walk(statement)):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                setattr(node, field, _unwrapped_block(block))
        if isinstance(node, ast.Assign):
            inner = _timed(node.value)
            if len(inner) == 1 and isinstance(inner[0], ast.Expr):
                node.value = inner[0].value
    return result


def _unwrapped_block(block: list[Any]) -> list[Any]:
    result: list[Any] = []
    for statement in block:
        inner = _timed(statement.value) if isinstance(statement, ast.Expr) else []
        result += inner or [statement]
    return result


def _timed(node: ast.AST) -> list[ast.stmt]:
    """Return the statements that a call of `%time` executes; none for any other expression."""
    call = magic_call(node)
    if call is None or call[0] != "run_line_magic" or call[1][0] != "time" or len(call[1]) < 2:
        return []
    return parse_inner(measured_code("time", call[1][1]), getattr(node, "lineno", 1))
