"""The `nbpipe` command. Exit status: 0 done, 1 the work failed, 2 wrong use or refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from nbpipe import __version__
from nbpipe.commands.registry import COMMANDS, HIDDEN
from nbpipe.errors import NbpipeError, UnknownNameError

_HELP = "More about one of them: nbpipe COMMAND --help"


class Commands(click.Group):
    """All commands; the module of one is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the registry."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command as the terminal offers it."""
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        from nbpipe.cli.terminal import terminal_command

        return terminal_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UnknownNameError("command", args[0], COMMANDS, hint="`nbpipe --help` lists all")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write one line for each command, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001 - click's signature
    if value:
        click.echo(f"nbpipe {__version__}")
        ctx.exit()


@click.group(
    cls=Commands,
    name="nbpipe",
    epilog=_HELP,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--env", metavar="NAME", help="Environment to work in (default: NBPIPE_ENV, else 'default').")
@click.option("--project", metavar="DIR", help="Folder of the project (default: found from the working folder).")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def nbpipe(ctx: click.Context, env: str | None, project: str | None) -> None:
    """Data pipelines whose assets are notebook cells."""
    ctx.meta["nbpipe.env"] = env
    ctx.meta["nbpipe.project"] = project
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Carry out the command that the words name, and exit."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # text that the terminal can't show is escaped, never an error
            reconfigure(errors="backslashreplace")
    try:
        sys.exit(_status(args))
    except BrokenPipeError:  # who read our output has had enough (`nbpipe list | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _status(args: Sequence[str] | None) -> int:
    try:
        status: Any = nbpipe.main(args=None if args is None else list(args), prog_name="nbpipe", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except NbpipeError as error:
        _say(str(error))
        return _status_of(error)
    except click.UsageError as error:
        from nbpipe.commands.wrong_use import translated

        _say(str(translated(error)))
        return 2
    except click.ClickException as error:
        _say(error.format_message())
        return 2
    except (click.Abort, KeyboardInterrupt):
        _say("stopped")
        return 1


def _status_of(error: NbpipeError) -> int:
    """Return 1 if work was begun and failed, 2 if it was wrong use or refused."""
    from nbpipe.errors import ExecutionError, StateBusyError, StoredValueError

    return 1 if isinstance(error, ExecutionError | StateBusyError | StoredValueError) else 2


def _say(message: str) -> None:
    from nbpipe.pages.faces import on_terminal
    from nbpipe.pages.text import shown

    click.echo(f"nbpipe: {shown(on_terminal(message), lines=True)}", err=True)
