"""Facts of a notebook: what each of its code cells says by itself, found without running anything.

Facts are a pure function of the text, so that they can be cached by its hash. What depends on other cells or
other notebooks is decided in `kinds` and `resolution`.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

import msgspec

from nbpipe.core.definitions import ParameterDef
from nbpipe.core.keys import check_name
from nbpipe.core.reading.cells import CellText
from nbpipe.core.reading.declarations import (
    LATER_CELL_MAGICS,
    SENSOR,
    AssetDeclaration,
    CellSplit,
    declared_names,
    parse_asset,
    split_cell,
)
from nbpipe.core.reading.facts import CodeFacts
from nbpipe.core.reading.fingerprints import text_hash
from nbpipe.core.reading.names import analyze
from nbpipe.core.reading.sources import Transform
from nbpipe.errors import DeclarationError

PARAMETERS_TAG = "parameters"
SKIP_TAGS = frozenset({"skip-execution", "nbpipe:skip"})

#: Code of the problem of a first line that can't be read.
UNREADABLE = "declaration"

_MISPLACED = re.compile(r"^%%asset\b", re.MULTILINE)


class CellProblem(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Something wrong with one cell, whatever the others are."""

    code: str
    message: str
    line: int
    """1-based line within the cell."""
    breaks: bool = True
    """The cell can't be used because of it."""


class CellFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one code cell says."""

    index: int
    cell_id: str
    source: str
    source_hash: str
    tags: tuple[str, ...] = ()
    above: str = ""
    """Text of the markdown cell just above."""
    magic: str | None = None
    """Cell magic that it starts with."""
    names: tuple[str, ...] = ()
    """Assets that it declares; as far as they can be read, if the cell has a problem."""
    declaration: AssetDeclaration | None = None
    """What its first line says; None for a cell that declares no asset, or if the line can't be read."""
    body_line: int = 1
    """Line on which the analysed code starts."""
    code: CodeFacts = CodeFacts()
    """Its Python: of an asset cell, the body. Lines count within the cell."""
    parameters: tuple[ParameterDef, ...] = ()
    """What a cell with the tag `parameters` binds by plain assignments."""
    problems: tuple[CellProblem, ...] = ()

    @property
    def problem(self) -> CellProblem | None:
        """Return the first problem that keeps the cell from being used."""
        return next((problem for problem in self.problems if problem.breaks), None)

    @property
    def body(self) -> str:
        """Return the text that was analysed."""
        return "\n".join(self.source.split("\n")[self.body_line - 1 :])


class NotebookFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the code cells of one notebook say."""

    path: str
    kernel: str | None = None
    content_hash: str = ""
    cells: tuple[CellFacts, ...] = ()


class _Code(NamedTuple):
    """The Python of a cell."""

    facts: CodeFacts
    line: int
    problems: tuple[CellProblem, ...] = ()


def cell_facts(cell: CellText, *, transform: Transform | None = None) -> CellFacts:
    """Find the facts of one code cell."""
    split = split_cell(cell.source)
    if split.magic == "asset":
        return _asset_cell(cell, split, transform)
    if split.magic == SENSOR:
        return _facts(cell, split, _body(split, transform, "a sensor"))
    if split.magic in LATER_CELL_MAGICS:
        problem = CellProblem(
            code="not-available",
            message=f"%%{split.magic} is not available in this version of nbpipe: remove it, or tag it nbpipe:skip",
            line=split.first_line - 1,
            breaks=False,
        )
        return _facts(cell, split, _Code(CodeFacts(fingerprint=text_hash(cell.source)), 1, (problem,)))
    code = _plain_code(cell, transform)
    parameters = _parameters(cell, code) if PARAMETERS_TAG in cell.tags else ()
    return _facts(cell, split, code, parameters=parameters)


def relocate(facts: CellFacts, cell: CellText) -> CellFacts:
    """Return the facts of an equal source with the position, id, tags and surroundings of `cell`.

    The tag `parameters` must not differ: it decides whether parameters are read.
    """
    return msgspec.structs.replace(facts, index=cell.index, cell_id=cell.cell_id, tags=cell.tags, above=cell.above)


def _facts(
    cell: CellText,
    split: CellSplit,
    code: _Code,
    *,
    names: tuple[str, ...] = (),
    declaration: AssetDeclaration | None = None,
    parameters: tuple[ParameterDef, ...] = (),
) -> CellFacts:
    return CellFacts(
        index=cell.index,
        cell_id=cell.cell_id,
        source=cell.source,
        source_hash=text_hash(cell.source),
        tags=cell.tags,
        above=cell.above,
        magic=split.magic,
        names=names,
        declaration=declaration,
        body_line=code.line,
        code=code.facts,
        parameters=parameters,
        problems=code.problems,
    )


def _asset_cell(cell: CellText, split: CellSplit, transform: Transform | None) -> CellFacts:
    line = split.first_line - 1
    try:
        declaration = parse_asset(split.line)
    except DeclarationError as error:
        code = _body(split, transform)
        problem = CellProblem(code=UNREADABLE, message=f"%%asset: {error}", line=line)
        code = code._replace(problems=(problem, *code.problems))
        return _facts(cell, split, code, names=declared_names(split.line))
    if declaration.help:
        return _facts(cell, split, _Code(CodeFacts(), split.first_line), declaration=declaration)
    code = _body(split, transform)
    names = declaration.names
    if not code.problems:
        names, problem_or_none = _named(declaration, code.facts, line)
        if problem_or_none is not None:
            code = code._replace(problems=(problem_or_none,))
    return _facts(cell, split, code, names=names, declaration=declaration)


def _body(split: CellSplit, transform: Transform | None, owner: str = "an asset") -> _Code:
    """Analyse the body of a declaring cell; `%%time` may come first."""
    inner = split_cell(split.body)
    if inner.magic is None or inner.magic == "time":
        return _analyzed(split.body, split.first_line, transform)
    problem = CellProblem(
        code="inner-magic",
        message=f"the body of {owner} can't start with %%{inner.magic}: only %%time is possible there",
        line=split.first_line + inner.first_line - 2,
    )
    return _Code(CodeFacts(fingerprint=text_hash(split.body)), split.first_line, (problem,))


def _plain_code(cell: CellText, transform: Transform | None) -> _Code:
    code = _analyzed(cell.source, 1, transform)
    misplaced = _misplaced(cell.source)
    return code._replace(problems=(misplaced,)) if misplaced else code


def _analyzed(source: str, line: int, transform: Transform | None) -> _Code:
    facts = analyze("\n" * (line - 1) + source, transform=transform)  # lines count from the top of the cell
    if facts.problem is None:
        return _Code(facts, line)
    return _Code(
        facts, line, (CellProblem(code="syntax-error", message=facts.problem.message, line=facts.problem.line),)
    )


def _misplaced(source: str) -> CellProblem | None:
    """Find a `%%asset` that is not the first line; inside a text it is nothing."""
    match = _MISPLACED.search(source)
    if match is None:
        return None
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        line = source.count("\n", 0, match.start()) + 1
        message = "%%asset must be the first line of its cell: move what stands above it into the body or another cell"
        return CellProblem(code="misplaced-declaration", message=message, line=line)
    return None


def _named(declaration: AssetDeclaration, code: CodeFacts, line: int) -> tuple[tuple[str, ...], CellProblem | None]:
    """Return the assets of a cell, and what is wrong with where their values come from."""
    names = declaration.names
    if not names:
        return _unnamed(code, line)
    if any(imported.attribute == "*" for s in code.statements for imported in s.imports) or code.runs:
        return names, None  # what the body binds can't be told
    missing = [name for name in names if name not in code.binds]
    if not missing or (len(names) == 1 and code.ends_in_expression):
        return names, None
    if len(names) == 1:
        message = f"the cell gives {missing[0]!r} no value: assign the variable, or end with an expression"
    else:
        message = f"the cell does not assign {', '.join(map(repr, missing))}: a cell of several assets assigns each"
    return names, CellProblem(code="no-value", message=message, line=line)


def _unnamed(code: CodeFacts, line: int) -> tuple[tuple[str, ...], CellProblem | None]:
    name = code.last_assigned
    if name is None:
        message = "%%asset has no name and the cell assigns no variable: write %%asset NAME"
        return (), CellProblem(code="no-name", message=message, line=line)
    try:
        check_name(name)
    except DeclarationError as error:
        message = f"%%asset has no name, and of the last variable assigned: {error}"
        return (), CellProblem(code="no-name", message=message, line=line)
    return (name,), None


def _parameters(cell: CellText, code: _Code) -> tuple[ParameterDef, ...]:
    """Return the plain assignments of a parameters cell, in order; of a name's several, the last."""
    body = cell.source
    try:
        module = ast.parse(body)
    except (SyntaxError, ValueError):
        return _literal_parameters(code.facts)
    found: dict[str, ParameterDef] = {}
    for node in module.body:
        targets: list[ast.expr] = []
        annotation = None
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
            annotation = ast.get_source_segment(body, node.annotation)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            default = ast.get_source_segment(body, node.value) or ""
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            found.update(
                (name, ParameterDef(name=name, default=default, annotation=annotation, line=node.lineno))
                for name in names
            )
    return tuple(found.values())


def _literal_parameters(code: CodeFacts) -> tuple[ParameterDef, ...]:
    """Return parameters of a cell with IPython syntax in it: those with a literal default."""
    found = {
        s.binds[0]: ParameterDef(name=s.binds[0], default=s.literal, line=s.line)
        for s in code.statements
        if s.literal is not None and len(s.binds) == 1
    }
    return tuple(found.values())
