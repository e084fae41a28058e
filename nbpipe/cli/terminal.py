"""Gives a command its face on the terminal: common options, the project, JSON or a page, and an exit status."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import click

from nbpipe.cli.exits import exit_status
from nbpipe.commands.invoke import command
from nbpipe.commands.place import Place
from nbpipe.commands.surface import Surface, set_surface
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import UsageError
from nbpipe.loading.config import DEFAULT_ENVIRONMENT
from nbpipe.pages.catalogue import page_of
from nbpipe.pages.faces import on_terminal
from nbpipe.pages.text import shown

#: These look at a folder that may be no project, or one that can't be opened.
_WITHOUT_WORKSPACE = frozenset({"init", "doctor"})
#: Commands whose log is their answer, a line for each entry.
_LOGS = frozenset({"daemon"})
_JSON, _ENV, _PROJECT = "nbpipe.json", "nbpipe.env", "nbpipe.project"


def terminal_command(name: str) -> click.Command:
    """Return a command, with those inside it, as the terminal offers it; it returns an exit status."""
    return _faced(command(name), name)


def _faced(plain: click.Command, path: str) -> click.Command:
    faced = copy.copy(plain)
    faced.params = [*plain.params, *_common_options()]
    if isinstance(faced, click.Group) and isinstance(plain, click.Group):
        faced.commands = {name: _faced(inner, f"{path} {name}") for name, inner in plain.commands.items()}
    plain_callback = plain.callback

    def callback(**values: Any) -> int:
        context = click.get_current_context()
        if context.invoked_subcommand is not None or plain_callback is None:
            return 0
        place = Path(context.meta.get(_PROJECT) or ".")
        if not place.exists():
            raise UsageError(f"there is no folder {str(place)!r}: check --project")
        if path in _WITHOUT_WORKSPACE:
            context.obj = Place(place, context.meta.get(_ENV))
            return _answer(context, path, context.invoke(plain_callback, **values))
        with Workspace.open(place, env=context.meta.get(_ENV)) as workspace:
            context.obj = workspace
            set_surface(context, _surface(context))
            return _answer(context, path, context.invoke(plain_callback, **values))

    faced.callback = callback
    return faced


def _common_options() -> list[click.Parameter]:
    return [
        click.Option(["--json"], is_flag=True, expose_value=False, callback=_keep(_JSON), help="Answer as JSON."),
        click.Option(["--env"], metavar="NAME", expose_value=False, callback=_keep(_ENV), help="Environment."),
        click.Option(["--project"], metavar="DIR", expose_value=False, callback=_keep(_PROJECT), help="Project."),
    ]


def _keep(place: str) -> Any:
    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ARG001 - click's signature
        if value:
            context.meta[place] = value

    return callback


def _surface(context: click.Context) -> Surface:
    from nbpipe.cli.backfill_progress import watching_backfill
    from nbpipe.cli.progress import counting, watching

    quiet = bool(context.meta.get(_JSON))
    asks = sys.stdin is not None and sys.stdin.isatty()
    return Surface(
        watch=lambda plan: watching(plan, quiet=quiet),
        confirm=_confirm if asks else None,
        counted=lambda title, number: counting(title, number, quiet=quiet),
        watch_backfill=lambda backfill: watching_backfill(backfill, quiet=quiet),
        say=_say,
        data=quiet,
    )


def _say(message: str) -> None:
    click.echo(f"nbpipe: {shown(on_terminal(message))}", err=True)


def _confirm(question: str) -> bool:
    return click.confirm(shown(question), err=True)


def _answer(context: click.Context, path: str, data: Any) -> int:
    if path in _LOGS:
        return exit_status(path, data)
    if context.meta.get(_JSON):
        from nbpipe.pages.json_output import encoded

        click.echo(encoded(data))
    else:
        from nbpipe.cli.writing import write

        env = context.obj.env if isinstance(context.obj, Workspace) else DEFAULT_ENVIRONMENT
        write(page_of(path, data, env=env))
    return exit_status(path, data)
