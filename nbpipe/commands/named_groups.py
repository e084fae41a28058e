"""Commands that have only commands of their own."""

from __future__ import annotations

import click

from nbpipe.errors import UnknownNameError, UsageError


class NamedCommands(click.Group):
    """A group that does nothing by itself; wrong use of it is refused in our words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse a call without a command.

        Raises:
            UsageError: names the commands.
        """
        if not args:
            raise UsageError(f"{self.name} needs a command: choose {', '.join(self.commands)}")
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse a command that is unknown.

        Raises:
            UnknownNameError: names the nearest, and all.
        """
        if args[0] not in self.commands and not args[0].startswith("-"):
            hint = f"choose {', '.join(self.commands)}"
            raise UnknownNameError(f"command of `{self.name}`", args[0], self.commands, hint=hint)
        return super().resolve_command(ctx, args)
