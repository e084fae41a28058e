"""`run`: any notebook as a recorded run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nbpipe import clock
from nbpipe.commands.materialize import carry_out
from nbpipe.commands.run_results import RunResult
from nbpipe.commands.whole_notebooks import whole_notebook
from nbpipe.commands.workspace import Workspace
from nbpipe.core.parameters import parse_assignments
from nbpipe.core.runs.planning import plan_notebook
from nbpipe.core.runs.plans import RunPlan
from nbpipe.errors import RefusedError, UnknownNameError


def _values(
    context: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    value: tuple[tuple[str, str], ...],
) -> Mapping[str, Any]:
    return parse_assignments(tuple(f"{name}={text}" for name, text in value))


@click.command("run")
@click.argument("notebook")
@click.option(
    "-p",
    "--parameters",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="K V",
    callback=_values,
    help="Give a parameter of the notebook a value; repeatable.",
)
@click.pass_obj
def command(workspace: Workspace, *, notebook: str, parameters: Mapping[str, Any]) -> RunResult:
    """Run any notebook as a recorded run: every cell, as Run All does, which loads assets that are up to date."""
    return carry_out(workspace, prepare_notebook(workspace, notebook, parameters))


def prepare_notebook(workspace: Workspace, notebook: str, parameters: Mapping[str, Any]) -> RunPlan:
    """Plan the run of a whole notebook.

    Args:
        workspace: its project.
        notebook: path from the working folder, or else from the root.
        parameters: values by name.

    Raises:
        UnknownNameError: there is no such notebook.
        RefusedError: it does not belong to the project.
        ParameterError: a parameter is unknown or of a wrong type.
    """
    workspace.settle()
    path = _find(workspace, notebook)
    whole = whole_notebook(workspace, path, at=clock.now())
    return plan_notebook(
        workspace.definitions,
        path,
        env=workspace.env,
        parameters=parameters,
        partitions=whole.partitions,
        left_out=whole.left_out,
    )


def _find(workspace: Workspace, notebook: str) -> str:
    known = workspace.definitions.notebooks
    for base in (Path.cwd(), workspace.root):
        path = (base / notebook).resolve()
        if not path.is_file():
            continue
        if not path.is_relative_to(workspace.root):
            raise RefusedError(
                f"{path} is outside of the project {workspace.root}: give its own folder with --project {path.parent}"
            )
        relative = path.relative_to(workspace.root).as_posix()
        if relative in known:
            return relative
        raise RefusedError(
            f"{relative} is not a notebook of this project: it is no .ipynb file, in a hidden folder, or in no "
            "location of nbpipe.toml"
        )
    raise UnknownNameError("notebook", notebook, known)
