"""The names that a piece of code takes and gives, statement by statement and as a whole."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from itertools import pairwise
from operator import attrgetter

import msgspec

from nbpipe.core.reading.facts import CodeFacts, Read, Statement, SyntaxProblem
from nbpipe.core.reading.fingerprints import fingerprint, fingerprint_sequence, text_hash
from nbpipe.core.reading.paths import PathWalker
from nbpipe.core.reading.scopes import TopScope
from nbpipe.core.reading.shell import gives_value, line_magic
from nbpipe.core.reading.sources import (
    PYTHON_CELL_MAGICS,
    CellMagic,
    Transform,
    cell_magic,
    opening_comment,
    parse,
    without_cell_magic,
)

_KINDS = {
    ast.Assign: "assign",
    ast.AnnAssign: "assign",
    ast.AugAssign: "assign",
    ast.Import: "import",
    ast.ImportFrom: "import",
    ast.FunctionDef: "def",
    ast.AsyncFunctionDef: "def",
    ast.ClassDef: "class",
}
_by_place = attrgetter("line", "name")


def analyze(source: str, *, transform: Transform | None = None) -> CodeFacts:
    """Find out what a piece of code says, without running it.

    Never raises for bad source: `problem` says what is wrong, and the rest covers what stands above the error.
    A trailing `;` hides a value but does not take it away: the code still ends in an expression. `%time` and
    `%%time` leave no trace, except among `magics`: the code below them is what counts.

    Args:
        source: text of a plain cell, or of the body of an asset cell (which may begin with `%%time`).
        transform: IPython's `TransformerManager().transform_cell`, called only if the source isn't plain Python.
    """
    magic = cell_magic(source)
    if magic is None:
        return _facts(source, transform)
    if magic.name not in PYTHON_CELL_MAGICS:
        return _foreign(source, magic)
    facts = _facts(without_cell_magic(source, magic), transform)
    if magic.name in {"timeit", "memit", "mprun"}:  # these execute their body in a function
        statements = tuple(msgspec.structs.replace(each, binds=()) for each in facts.statements)
        return msgspec.structs.replace(facts, statements=statements, binds=(), conditional=(), last_assigned=None)
    output = magic.argument.split()[-1:] if magic.name == "capture" else []
    if output and output[0].isidentifier():
        line = Statement(
            line=magic.line, end_line=magic.line, kind="other", fingerprint=text_hash(output[0]), binds=tuple(output)
        )
        binds = tuple(dict.fromkeys((*output, *facts.binds)))
        return msgspec.structs.replace(facts, statements=(line, *facts.statements), binds=binds)
    return facts


class _Whole:
    """What is known of the whole code after some of its statements."""

    def __init__(self) -> None:
        self.certain: set[str] = set()
        self.maybe: set[str] = set()
        self.ever_certain: set[str] = set()
        self.order: dict[str, None] = {}
        self.reads: list[Read] = []
        self.later: list[Read] = []

    def add(self, facts: Statement, scope: TopScope, *, deleted: Iterable[str]) -> None:
        """Go on to the next statement."""
        for read in facts.reads:
            if read.name in self.certain:
                continue
            if read.deferred:
                self.later.append(read)
            elif read.name in self.maybe:
                self.reads.append(msgspec.structs.replace(read, certain=False))
            else:
                self.reads.append(read)
        flow = scope.flow
        self.certain = (self.certain - flow.gone) | flow.certain
        self.maybe |= flow.maybe
        self.maybe.difference_update(deleted)
        self.ever_certain |= flow.certain
        for name in facts.binds:
            self.order[name] = None

    def close(self) -> tuple[Read, ...]:
        """Return the free names of the whole: functions see all that is bound by the time they are called."""
        for read in self.later:
            if read.name not in self.ever_certain:
                certain = read.certain and read.name not in self.order
                self.reads.append(msgspec.structs.replace(read, certain=certain))
        return _one_a_name(self.reads)


def _facts(source: str, transform: Transform | None) -> CodeFacts:
    parsed = parse(source, transform)
    problem = parsed.problem
    whole, statements, assigned, runs, awaits = _Whole(), [], [], [], False
    lines = parsed.text.split("\n")
    walrus, annotations = ":=" in source, not _future_annotations(parsed.body)
    for node in parsed.body:
        scope = TopScope()
        walker = PathWalker(scope, walrus=walrus, annotations=annotations)
        try:
            walker.block((node,))
            statement = _statement(node, walker, lines)
        except RecursionError:  # scopes within scopes, hundreds deep
            problem = problem or SyntaxProblem("the code is nested too deeply", node.lineno)
            continue
        statements.append(statement)
        whole.add(statement, scope, deleted=scope.deleted if isinstance(node, ast.Delete) else ())
        assigned += walker.assigned
        runs += walker.runs
        awaits = awaits or walker.awaits
    binds = tuple(name for name in whole.order if name in whole.maybe)
    last = parsed.body[-1] if parsed.body else None
    return CodeFacts(
        statements=tuple(statements),
        reads=whole.close(),
        binds=binds,
        conditional=tuple(name for name in binds if name not in whole.certain),
        last_assigned=next((name for name in reversed(assigned) if name in whole.maybe), None),
        ends_in_expression=problem is None and isinstance(last, ast.Expr) and gives_value(last.value),
        fingerprint=text_hash(source) if problem else fingerprint_sequence(each.fingerprint for each in statements),
        awaits=awaits,
        magics=parsed.magics,
        runs=tuple(dict.fromkeys(runs)),
        comment=opening_comment(source),
        problem=problem,
    )


def _statement(node: ast.stmt, walker: PathWalker, lines: list[str]) -> Statement:
    """Return the facts of one statement that was just walked."""
    scope, flow = walker.top, walker.top.flow
    reads = [Read(use.name, use.line, False, use.certain) for use in scope.uses]  # noqa: FBT003  (faster in place)
    uses = scope.uses
    if scope.deferred:
        deferred = [use for use in scope.deferred if use.name not in flow.certain]
        reads += [
            Read(use.name, use.line, deferred=True, certain=use.certain and use.name not in flow.maybe)
            for use in deferred
        ]
        uses = uses + deferred
    if scope.hidden:
        uses = uses + scope.hidden
    changed: tuple[str, ...] = ()
    if scope.changed or scope.rebound:
        free = {*scope.rebound, *(read.name for read in reads)}
        changed = tuple(name for name in (scope.changed | scope.rebound) if name in free)
    return Statement(
        line=min([node.lineno, *[each.lineno for each in getattr(node, "decorator_list", ())]]),
        end_line=node.end_lineno or node.lineno,
        kind=_kind(node),
        fingerprint=fingerprint(node),
        binds=tuple([name for name in dict.fromkeys(scope.trail) if name in flow.maybe]),
        reads=_one_a_name(reads),
        mutates=changed,
        imports=tuple(walker.imports),
        attributes=tuple(dict.fromkeys([(use.name, use.attribute) for use in uses if use.attribute])),
        dynamic=tuple(dict.fromkeys([use.name for use in uses if use.attribute is None])),
        strings=tuple(walker.strings),
        literal=_literal(node, lines),
    )


def _one_a_name(reads: list[Read]) -> tuple[Read, ...]:
    """Return one read per name: at its first line, and as strong as the strongest; sorted by (line, name)."""
    if len(reads) < 2:
        return tuple(reads)
    first: dict[str, Read] = {}
    for read in sorted(reads, key=_by_place):
        known = first.setdefault(read.name, read)
        if known is not read and (known.deferred > read.deferred or known.certain < read.certain):
            deferred, certain = known.deferred and read.deferred, known.certain or read.certain
            first[read.name] = Read(read.name, known.line, deferred=deferred, certain=certain)
    return tuple(first.values())


def _kind(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr):
        return "expression" if gives_value(node.value) else "other"
    return _KINDS.get(node.__class__, "other")


def _literal(node: ast.stmt, lines: list[str]) -> str | None:
    """Return the source of the value of `name = <literal>`."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = node.targets[0], node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target, value = node.target, node.value
    else:
        return None
    if not isinstance(target, ast.Name) or not _is_literal(value):
        return None
    start, end = value.lineno - 1, (value.end_lineno or value.lineno) - 1
    chosen = [line.encode() for line in lines[start : end + 1]]  # columns count bytes
    chosen[-1] = chosen[-1][: value.end_col_offset]
    chosen[0] = chosen[0][value.col_offset :]
    return b"\n".join(chosen).decode()


def _is_literal(value: ast.expr) -> bool:
    stack: list[ast.expr | None] = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            if not (isinstance(node.operand, ast.Constant) and _is_number(node.operand.value)):
                return False
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            stack += node.elts
        elif isinstance(node, ast.Dict):
            stack += [*node.keys, *node.values]
        elif not isinstance(node, ast.Constant):
            return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | complex) and not isinstance(value, bool)


def _future_annotations(body: list[ast.stmt]) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in body
    )


def _foreign(source: str, magic: CellMagic) -> CodeFacts:
    """Return the facts of a cell in another language: what its first line takes from Python."""
    code = f"get_ipython().run_line_magic({magic.name!r}, {magic.argument!r})"
    reads: tuple[Read, ...] = ()
    if line_magic(magic.name, magic.argument) != line_magic("", ""):
        reads = tuple(msgspec.structs.replace(read, line=magic.line) for read in _facts(code, None).reads)
    words = magic.argument.split()
    binds = tuple(dict.fromkeys(b for a, b in pairwise(words) if a in {"--out", "--err"}))
    statement = Statement(
        line=magic.line,
        end_line=source.rstrip().count("\n") + 1,
        kind="other",
        fingerprint=text_hash(source.strip()),
        binds=binds,
        reads=reads,
    )
    return CodeFacts(
        statements=(statement,),
        reads=reads,
        binds=binds,
        fingerprint=fingerprint_sequence((statement.fingerprint,)),
    )
