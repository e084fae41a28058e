"""Which values a notebook's text can hold exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbpipe.core.parameters import canonical
from nbpipe.errors import ParameterError


def check_representable(parameters: Mapping[str, Any]) -> None:
    """Refuse values that a notebook's text can't hold exactly.

    Raises:
        ParameterError: names the parameter, its type and what to use instead.
    """
    for name, value in parameters.items():
        if canonical(value) is None or not _translatable(value):
            raise ParameterError(
                f"parameter {name!r} has a value of type {type(value).__name__} that a notebook can't hold exactly: "
                "use text, numbers, booleans, None, and lists or dicts (with text as keys) of those"
            )


def missing_parameters_cell(notebook: str) -> str:
    """Return why parameters are refused."""
    return (
        f"{notebook} takes no parameters: give the tag `parameters` to a cell that assigns their defaults "
        "(in JupyterLab: property inspector, Common Tools, Cell Tags)"
    )


def _translatable(value: Any) -> bool:
    """Tell whether papermill writes the value as it is: it makes text of tuples, bytes and keys of dicts."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, (tuple, bytes)):
            return False
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                return False
            pending.extend(item.values())
    return True
