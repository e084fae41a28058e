"""Arguments and options that several commands share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from nbpipe.core.parameters import parse_assignments
from nbpipe.errors import UsageError

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
    """Take `--partition K` or `--partitions A..B`: `partition` and `partitions`, of which at most one is given."""
    several = range_option("partitions", "Of the partitions, those from A to B; * for all; commas between several.")
    one = click.option(
        "--partition",
        metavar="K",
        multiple=True,
        callback=_once,
        help="Of the partitions, the one with this key.",
    )
    return one(several(function))


def range_option(name: str, text: str) -> Callable[[_F], _F]:
    """Take `--partitions A..B` at most once: ranges with commas between them, or None."""
    return click.option("--partitions", name, metavar="A..B", multiple=True, callback=_once, help=text)


def only_one(partition: str | None, partitions: str | None) -> None:
    """Refuse a key together with a range.

    Raises:
        UsageError: both are given.
    """
    if partition is not None and partitions is not None:
        raise UsageError("--partition names one key and --partitions a range: give only one of them")


def _joined(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> str:  # noqa: ARG001 - click's signature
    return " ".join(value).strip()


def _once(
    context: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,
    value: tuple[str, ...],
) -> str | None:
    """Refuse an option that is given several times: click would take the last one and drop the others."""
    if len(value) > 1:
        raise UsageError(
            f"{parameter.opts[0]} is given {len(value)} times: write all in one, with commas: "
            f"--partitions {shlex.quote(','.join(value))}"
        )
    return value[0] if value else None


def _assignments(
    context: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    value: tuple[str, ...],
) -> Mapping[str, Any]:
    return parse_assignments(value)
