"""Which parameters a run gives to which notebook, checked before anything starts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from nbpipe.core.definitions import NotebookDef, ParameterDef
from nbpipe.errors import ParameterError, UnknownNameError

_NAMED: Mapping[str, type] = {
    "bool": bool,
    "dict": dict,
    "float": float,
    "int": int,
    "list": list,
    "None": type(None),
    "str": str,
    "tuple": tuple,
}
_WORDS: Mapping[type, str] = {
    bool: "True or False",
    dict: "a dict",
    float: "a number",
    int: "a whole number",
    list: "a list",
    str: "text",
    tuple: "a list",
}


def parameters_for(notebooks: Iterable[NotebookDef], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the parameters of each notebook by its path: those of `given` that its parameters cell names.

    Raises:
        ParameterError: no notebook has a parameter of that name, or the value is of another type than its default
            or annotation.
    """
    found: dict[str, dict[str, Any]] = {}
    known: dict[str, list[str]] = {}
    for notebook in notebooks:
        mine = found.setdefault(notebook.path, {})
        for parameter in notebook.parameters:
            known.setdefault(parameter.name, []).append(notebook.path)
            if parameter.name in given:
                _check_type(notebook.path, parameter, given[parameter.name])
                mine[parameter.name] = given[parameter.name]
    for name in given:
        if name not in known:
            raise ParameterError(_unknown(name, known, sorted(found)))
    return found


def _unknown(name: str, known: Mapping[str, list[str]], paths: list[str]) -> str:
    where = paths[0] if len(paths) == 1 else f"any of the {len(paths)} notebooks of this run"
    if not known:
        return (
            f"{name!r} can't be given: {where} has no parameters. Give the tag `parameters` to a cell that assigns "
            "their defaults"
        )
    message = str(UnknownNameError("parameter", name, known))
    return f"{message} ({where} has {', '.join(sorted(known))})"


def _check_type(path: str, parameter: ParameterDef, value: Any) -> None:
    """Refuse a value of another type; what has neither annotation nor a literal default takes anything."""
    wanted = _annotated(parameter.annotation) or _of_default(parameter.default)
    if not wanted or value is None or any(_fits(value, kind) for kind in wanted):
        return
    words = " or ".join(dict.fromkeys(_WORDS.get(kind, "None") for kind in wanted))
    remedy = f". For text write {parameter.name}='\"{value}\"'" if str in wanted else ""
    raise ParameterError(
        f"parameter {parameter.name!r} of {path} is {words} ({parameter.name} = {parameter.default}), "
        f"not {value!r}{remedy}"
    )


def _annotated(annotation: str | None) -> tuple[type, ...]:
    """Return the types that an annotation names, or none if it says more than plain types."""
    if annotation is None:
        return ()
    text = annotation.strip()
    if text.startswith("Optional[") and text.endswith("]"):
        text = f"{text[len('Optional[') : -1]} | None"
    names = [part.strip().partition("[")[0] for part in text.split("|")]
    return tuple(_NAMED[name] for name in names) if all(name in _NAMED for name in names) else ()


def _of_default(default: str) -> tuple[type, ...]:
    try:
        value = ast.literal_eval(default)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ()
    return () if value is None or type(value) not in _WORDS else (type(value),)


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float)
    if kind is tuple:
        return type(value) in (list, tuple)
    return type(value) is kind
