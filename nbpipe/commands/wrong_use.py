"""Wrong use as click reports it, said in our words: what, and what to write instead."""

from __future__ import annotations

import click

from nbpipe.errors import UsageError, nearest


def translated(error: click.UsageError) -> UsageError:
    """Return our error for one of click's, with the nearest right name."""
    message = _message(error)
    if error.ctx is None:
        return UsageError(message)
    return UsageError(f"{message} (see {error.ctx.command_path} --help)")


def _message(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        known = _options(error.ctx)
        wrong = error.option_name
        similar = nearest(wrong, known)
        remedy = f"did you mean {similar}?" if similar else f"the options are {', '.join(known)}"
        return f"there is no option {wrong}: {remedy}"
    text = error.format_message().strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _options(context: click.Context | None) -> list[str]:
    if context is None:
        return []
    options = [each for each in context.command.get_params(context) if isinstance(each, click.Option)]
    return [name for option in options if not option.hidden for name in option.opts if name.startswith("--")]
