"""Calls a command by its name and words, as the terminal and the magics do.

Each command is a `click.Command` called `command` in the module of its name. Its callback takes the workspace
as the context's object, prints nothing and returns plain data.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from nbpipe.commands.registry import COMMANDS, HIDDEN
from nbpipe.commands.surface import SILENT, Surface, set_surface
from nbpipe.commands.workspace import Workspace
from nbpipe.commands.wrong_use import translated
from nbpipe.errors import UnknownNameError


class Usage(msgspec.Struct, frozen=True):
    """The answer to `--help`."""

    text: str

    def __str__(self) -> str:
        return self.text


def command(name: str) -> click.Command:
    """Return the definition of a command, importing its module.

    Raises:
        UnknownNameError: there is no such command.
    """
    if name not in COMMANDS and name not in HIDDEN:
        raise UnknownNameError("command", name, COMMANDS, hint="`nbpipe --help` lists all")
    found: click.Command = importlib.import_module(f"nbpipe.commands.{HIDDEN.get(name, name)}").command
    return found


def parse(name: str, args: Sequence[str]) -> dict[str, Any] | Usage:
    """Read the words of a command without carrying it out; return its arguments by name.

    For a command with commands of its own this reads only what stands before the inner one.

    Raises:
        UsageError: an option or argument is unknown, missing or can't be read.
    """
    found = command(name)
    if "--help" in args:
        return _usage(found, name, args)
    try:
        return dict(found.make_context(name, list(args)).params)
    except click.UsageError as error:
        raise translated(error) from None


def invoke(name: str, args: Sequence[str], workspace: Workspace, *, surface: Surface = SILENT) -> Any:
    """Carry out a command and return its data; `Usage` if the words ask for help.

    Args:
        name: of the command.
        args: its words.
        workspace: what it works on.
        surface: shows progress and asks questions.

    Raises:
        UsageError: an option or argument is unknown, missing or can't be read.
        NbpipeError: whatever the command raises.
    """
    found = command(name)
    if "--help" in args:
        return _usage(found, name, args)
    try:
        with found.make_context(name, list(args), obj=workspace) as context:
            set_surface(context, surface)
            return found.invoke(context)
    except click.UsageError as error:
        raise translated(error) from None


def _usage(found: click.Command, name: str, args: Sequence[str]) -> Usage:
    context = click.Context(found, info_name=name)
    if isinstance(found, click.Group):
        inner = next((found.commands[word] for word in args if word in found.commands), None)
        if inner is not None:
            context = click.Context(inner, info_name=inner.name, parent=context)
    return Usage(context.command.get_help(context))
