"""The Python inside IPython's magics and shell commands, after IPython's transformation to calls.

`!cp {path} $target` is `get_ipython().system('cp {path} $target')`; IPython replaces `{expression}` and `$name`
by values from the notebook's namespace just before the call, and leaves the text alone where it can't.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Sequence

import msgspec

OWN_MAGICS = frozenset(
    [
        "asset",
        "backfill",
        "force",
        "job",
        "lineage",
        "materialize",
        "partition",
        "partitions",
        "project",
        "runs",
        "schedule",
        "sensor",
        "status",
        "why",
    ]
)
"""Line magics of nbpipe: none of them replaces `{variables}`."""

_NO_EXPANSION = OWN_MAGICS | {"alias", "macro", "pylab"}
_HELP = frozenset({"pinfo", "pinfo2", "psearch"})
_VOID = (
    _HELP
    | OWN_MAGICS - {"asset"}
    | frozenset(
        [
            "alias",
            "autoreload",
            "cd",
            "conda",
            "config",
            "env",
            "load_ext",
            "logstart",
            "logstop",
            "matplotlib",
            "pip",
            "prun",
            "reload_ext",
            "reset",
            "run",
            "set_env",
            "timeit",
            "unload_ext",
            "uv",
        ]
    )
)
_FLAGS = r"(?:-(?:{valued})\s*\S+\s+|-[A-Za-z]+\s+|--[\w-]+\s+)*"
_MEASURED = {
    "time": re.compile(r"(?:--[\w-]+\s+)*"),
    "timeit": re.compile(_FLAGS.format(valued="[nrpv]")),
    "prun": re.compile(_FLAGS.format(valued="[lsTD]")),
    "memit": re.compile(_FLAGS.format(valued="[rtic]")),
    "lprun": re.compile(_FLAGS.format(valued="[fmDTsruz]")),
}
_DOLLAR = re.compile(r"(?<![\\$])\$([^\W\d]\w*)")
_RUN_VALUED = frozenset({"-N", "-T", "-l", "-s", "-D"})


class ShellCall(msgspec.Struct, frozen=True):
    """What one magic or shell command takes from Python."""

    expressions: tuple[str, ...] = ()
    """Python source that it evaluates."""
    variables: tuple[str, ...] = ()
    """Names after `$`, which may be variables of the shell as well."""
    runs: tuple[str, ...] = ()
    """Files that `%run` executes."""


def magic_call(node: ast.AST) -> tuple[str, tuple[str, ...]] | None:
    """Return the method and text arguments of `get_ipython().method(...)`, or None for anything else."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return None
    owner = node.func.value
    if not (isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "get_ipython"):
        return None
    texts = tuple(a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))
    return (node.func.attr, texts) if texts and len(texts) == len(node.args) else None


def shell_call(node: ast.AST) -> ShellCall | None:
    """Return what a transformed magic or command takes from Python, or None if the node is neither."""
    found = magic_call(node)
    if found is None:
        return None
    method, texts = found
    if method in {"system", "getoutput"}:
        return _expanded(texts[0])
    if method in {"run_line_magic", "run_cell_magic"} and len(texts) > 1:
        return line_magic(texts[0], texts[1])
    return None


def line_magic(name: str, argument: str) -> ShellCall:
    """Return what a line magic, or the first line of a cell magic, takes from Python."""
    if name in _MEASURED:
        return ShellCall((measured_code(name, argument),))
    if name in _HELP:
        word = re.match(r"[^\W\d]\w*", argument)
        return ShellCall(variables=(word.group(),) if word else ())
    if name in _NO_EXPANSION:
        return ShellCall()
    found = _expanded(argument)
    return msgspec.structs.replace(found, runs=_run_targets(argument)) if name == "run" else found


def measured_code(name: str, argument: str) -> str:
    """Return the statement that `%time`, `%timeit` and their kin execute, without their options."""
    options = _MEASURED[name].match(argument.lstrip())
    return argument.lstrip()[options.end() if options else 0 :]


def gives_value(node: ast.AST) -> bool:
    """Tell whether an expression statement has a value that a notebook would show; shell commands have none."""
    found = magic_call(node)
    if found is None:
        return True
    method, texts = found
    return method != "system" and not (method.startswith("run_") and texts[0] in _VOID)


def _expanded(text: str) -> ShellCall:
    """Find `{expression}` and `$name`, as `InteractiveShell.var_expand` does."""
    if "{" not in text and "$" not in text:
        return ShellCall()
    variables = dict.fromkeys(_DOLLAR.findall(text))
    expressions: dict[str, None] = {}
    try:
        for before, field, _spec, _conversion in string.Formatter().parse(text):
            if field and field.isidentifier() and before.endswith("$"):
                variables[field] = None
            elif field:
                expressions[field] = None
    except ValueError:
        pass  # IPython leaves such a text alone
    return ShellCall(tuple(expressions), tuple(variables))


def _run_targets(argument: str) -> tuple[str, ...]:
    """Return the file that `%run [options] FILE [arguments]` executes; `-m a.b` is `a/b.py`."""
    words: Sequence[str] = [word.strip("'\"") for word in re.findall(r"'[^']*'|\"[^\"]*\"|\S+", argument)]
    position = 0
    while position < len(words) and words[position].startswith("-"):
        if words[position] == "-m" and position + 1 < len(words):
            return (words[position + 1].replace(".", "/") + ".py",)
        position += 2 if words[position] in _RUN_VALUED else 1
    if position == len(words) or set(words[position]) & set("{$"):
        return ()
    return (words[position],)
