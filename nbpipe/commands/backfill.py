"""`backfill`: compute many partitions of several assets, in many runs; list, show, cancel or resume one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from nbpipe import clock
from nbpipe.commands.arguments import parameter_option, range_option, selection_argument
from nbpipe.commands.surface import current_surface, does_nothing_here
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import RefusedError, UnknownNameError

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.commands.backfill_drafts import Wish
    from nbpipe.commands.backfill_results import BackfillDetails, BackfillDraft, BackfillRow
    from nbpipe.core.backfills.records import Backfill

_RECENT = 200
_START = "start"


class _Backfills(click.Group):
    """Commands about backfills; words that begin with none of them are those of `start`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [_START, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[start] SELECTION [OPTIONS]")
        formatter.write_usage(ctx.command_path, "list|show|cancel|resume [ID]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands[_START].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group("backfill", cls=_Backfills)
def command() -> None:
    """Compute many partitions of the selected assets, in as many runs as it takes.

    Say which: a range, all, or exactly those that are missing, failed or stale; a range together with these means
    those of them that lie within. A selection that begins with the name of one of the commands below is written after
    `start`.
    """


@command.command(_START)
@selection_argument
@range_option("ranges", "From A to B, and what these feed; commas between several.")
@click.option("--all", "everything", is_flag=True, help="Every partition; of time, those whose window has ended.")
@click.option("--missing", is_flag=True, help="Those that were never computed.")
@click.option("--failed", is_flag=True, help="Those whose latest attempt failed.")
@click.option("--stale", is_flag=True, help="Those made with other code, parameters, files or inputs than today's.")
@click.option("--single-run", is_flag=True, help="One run for all partitions of assets that run together.")
@click.option("--wait", is_flag=True, help="Return when it has ended, also where another process works on it.")
@click.option("--dry-run", is_flag=True, help="Only show what it would do.")
@parameter_option
@click.option("--parallel", type=click.IntRange(min=1), metavar="N", help="So many notebooks at once (see [executor]).")
@click.pass_obj
def start(
    workspace: Workspace,
    *,
    selection: str,
    ranges: str | None,
    everything: bool,
    missing: bool,
    failed: bool,
    stale: bool,
    single_run: bool,
    wait: bool,
    dry_run: bool,
    parameters: Mapping[str, Any],
    parallel: int | None,
) -> BackfillDetails | BackfillDraft:
    """Compute many partitions of the selected assets."""
    from nbpipe.commands.backfill_drafts import Wish

    wish = Wish(
        selection=selection,
        asked=asked(ranges, everything=everything, missing=missing, failed=failed, stale=stale),
        single_run=single_run,
        parameters=parameters,
        parallel=parallel,
    )
    return show_draft(workspace, wish) if dry_run else carry_out(workspace, wish, wait=wait)


@command.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
@click.pass_obj
def listing(workspace: Workspace, limit: int) -> list[BackfillRow]:
    """List backfills, newest first."""
    return backfill_rows(workspace, limit)


@command.command("show")
@click.argument("backfill_id", metavar="ID")
@click.pass_obj
def show(workspace: Workspace, backfill_id: str) -> BackfillDetails:
    """Show one backfill: what is done, failed and left. The beginning of an ID is enough."""
    from nbpipe.commands.backfill_results import details_of

    return details_of(workspace, find_backfill(workspace, backfill_id))


@command.command("cancel")
@click.argument("backfill_id", metavar="ID")
@click.pass_obj
def cancel(workspace: Workspace, backfill_id: str) -> BackfillRow:
    """Stop a backfill and its runs; what is done stays, and it can be resumed."""
    from nbpipe.commands.backfill_results import row_of

    found = find_backfill(workspace, backfill_id)
    if not does_nothing_here("backfill cancel") and not workspace.store.backfills.request_cancel(
        found.id, at=clock.now()
    ):
        raise RefusedError(f"backfill {found.id} has ended already: {found.status}")
    return row_of(find_backfill(workspace, found.id))


@command.command("resume")
@click.argument("backfill_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Return when it has ended, also where another process works on it.")
@click.pass_obj
def resume(workspace: Workspace, *, backfill_id: str, wait: bool) -> BackfillDetails:
    """Go on with a backfill that was stopped; what is done is not repeated.

    Of one that has ended, what failed, what was lost by that, and what was never started is tried again.
    """
    from nbpipe.commands.backfill_results import details_of

    found = find_backfill(workspace, backfill_id)
    if does_nothing_here("backfill resume"):
        return details_of(workspace, found)
    if found.env != workspace.env:
        raise RefusedError(f"backfill {found.id} belongs to environment {found.env!r}: use --env {found.env}")
    if found.status == "running":
        raise RefusedError(f"backfill {found.id} is being worked on by another process")
    if found.status == "success":
        raise RefusedError(f"backfill {found.id} has done everything: start a new one")
    if found.status != "queued":
        workspace.store.backfills.retry(found.id, at=clock.now())
    return _worked_on(workspace, found, wait=wait)


def asked(ranges: str | None, *, everything: bool = False, **statuses: bool) -> Any:
    """Return what is asked for of the partitions: an `Asked`."""
    from nbpipe.core.backfills.targets import STATUSES, Asked

    return Asked(
        ranges=ranges, everything=everything, statuses=tuple(name for name in STATUSES if statuses.get(name, False))
    )


def show_draft(workspace: Workspace, wish: Wish) -> BackfillDraft:
    """Return what a backfill would do; nothing is recorded. See `backfill_drafts.draft` for errors."""
    from nbpipe.commands.backfill_drafts import draft

    workspace.settle()
    return draft(workspace, wish).summary()


def carry_out(workspace: Workspace, wish: Wish, *, wait: bool = False) -> BackfillDetails:
    """Record a backfill and work on it; return it as it ended. See `backfill_drafts.draft` for errors."""
    from nbpipe.commands.backfill_drafts import record
    from nbpipe.commands.backfill_results import nothing_to_do

    if does_nothing_here("starting a backfill"):
        return nothing_to_do(wish.nothing(), workspace.env)
    workspace.settle()
    recorded, found = record(workspace, wish)
    summary = found.summary()
    if recorded is None:
        return nothing_to_do(summary, workspace.env)
    surface = current_surface()
    for note in summary.notes:
        surface.say(note)
    return _worked_on(workspace, recorded, wait=wait, notes=summary.notes)


def work(workspace: Workspace, backfill_id: str, *, queued: bool = False) -> Backfill:
    """Work on a backfill in this process until it has ended, then apply retention; return it.

    Where a daemon leads, it does the work, and this process only waits.

    Args:
        workspace: the project.
        backfill_id: which.
        queued: a daemon has started this process; the daemon takes the runs from the queue.

    Raises:
        RefusedError: another process works on it, or it has ended.
    """
    from nbpipe.commands.backfill_work import work_on
    from nbpipe.commands.daemon_presence import leader

    if queued or leader(workspace) is None:
        return work_on(workspace, backfill_id, queued=queued)
    from nbpipe.commands.backfill_watch import watched

    return watched(workspace, backfill_id)


def backfill_rows(workspace: Workspace, limit: int = 20) -> list[BackfillRow]:
    """Return the backfills of this environment, newest first."""
    from nbpipe.commands.backfill_results import row_of

    workspace.settle(backfills=True)
    if workspace.is_untouched:
        return []
    return [row_of(found) for found in workspace.store.backfills.backfills(env=workspace.env, limit=limit)]


def find_backfill(workspace: Workspace, backfill_id: str) -> Backfill:
    """Return the backfill whose id begins with `backfill_id`, as it is now.

    Raises:
        UnknownNameError: there is none, or there are several.
    """
    workspace.settle(backfills=True)
    kept = None if workspace.is_untouched else workspace.store.backfills
    found = None if kept is None else kept.backfill(backfill_id)
    if found is None:
        known = [] if kept is None else [each.id for each in kept.backfills(limit=_RECENT)]
        raise UnknownNameError("backfill", backfill_id, known, hint="`nbpipe backfill list` lists them")
    return found


def _worked_on(workspace: Workspace, backfill: Backfill, *, wait: bool, notes: tuple[str, ...] = ()) -> BackfillDetails:
    from nbpipe.commands.backfill_results import details_of
    from nbpipe.commands.daemon_presence import leader

    surface = current_surface()
    if surface.follow_backfill is not None:
        surface.follow_backfill(workspace, backfill, wait)
    elif leader(workspace) is not None:
        if wait:
            work(workspace, backfill.id)
    else:
        surface.say(
            f"no daemon is running: this command works on backfill {backfill.id} itself. Stopped, it goes on with "
            f"`nbpipe backfill resume {backfill.id}`"
        )
        work(workspace, backfill.id)
    return details_of(workspace, find_backfill(workspace, backfill.id), notes)
