"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from nbpipe.core.parameters import parse_assignments
from nbpipe.errors import RefusedError

_F = TypeVar("_F", bound=Callable[..., Any])


def selection_argument(function: _F) -> _F:
    """Take all remaining words as a selection: `selection`, one text."""
    return click.argument("selection", nargs=-1, callback=_joined, metavar="[SELECTION]")(function)


def parameter_option(function: _F) -> _F:
    """Take `--param K=V`, repeatable: `parameters`, values by name."""
    return click.option(
        "--param",
        "parameters",
        multiple=True,
        metavar="K=V",
        callback=_assignments,
        help="Give a parameter of the notebooks a value; repeatable.",
    )(function)


def partition_options(function: _F) -> _F:
    """Know the options about partitions, and refuse them."""
    for name, metavar in (("--partitions", "A..B"), ("--partition", "K")):
        option = click.option(name, metavar=metavar, expose_value=False, callback=_refused, hidden=True)
        function = option(function)
    return function


def _joined(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> str:  # noqa: ARG001 - click's signature
    return " ".join(value).strip()


def _assignments(
    context: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    value: tuple[str, ...],
) -> Mapping[str, Any]:
    return parse_assignments(value)


def _refused(context: click.Context, parameter: click.Parameter, value: str | None) -> None:  # noqa: ARG001 - click's signature
    if value is not None:
        raise RefusedError(f"{parameter.opts[0]} is not available in this version of nbpipe: leave it out")
