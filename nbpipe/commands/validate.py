"""`validate`: everything that is wrong with the definitions."""

from __future__ import annotations

import click

from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec, Diagnostic
from nbpipe.errors import CycleError


@click.command("validate")
@click.pass_obj
def command(workspace: Workspace) -> list[Diagnostic]:
    """Report everything that is wrong with the definitions; exit with 2 if there is an error."""
    return diagnostics(workspace)


def diagnostics(workspace: Workspace) -> list[Diagnostic]:
    """Return what is wrong: what single notebooks show, circles of assets, and upstreams that nothing defines."""
    found = [*workspace.definitions.diagnostics, *_circles(workspace), *_undefined(workspace)]
    return sorted(found, key=lambda one: (one.notebook, one.cell or 0, one.line or 0, one.code, one.message))


def _circles(workspace: Workspace) -> list[Diagnostic]:
    graph = workspace.graph
    return [
        _of(workspace.definitions.assets[circle[0]], "cycle", str(CycleError(circle)), tuple(circle[:-1]))
        for circle in graph.cycles()
    ]


def _undefined(workspace: Workspace) -> list[Diagnostic]:
    """Report what single notebooks can't: an upstream that is no asset, unless its cell says so already."""
    definitions = workspace.definitions
    return [
        _of(definitions.assets[key], "unknown-asset", f"{key} depends on {', '.join(names)}: no such asset", (key,))
        for key, names in workspace.graph.missing.items()
        if definitions.blocked(key) is None
    ]


def _of(spec: AssetSpec, code: str, message: str, assets: tuple[str, ...]) -> Diagnostic:
    return Diagnostic(
        severity="error",
        code=code,
        message=message,
        notebook=spec.cell.notebook,
        cell_id=spec.cell.cell_id,
        cell=spec.cell.index + 1,
        line=1,
        assets=assets,
    )
