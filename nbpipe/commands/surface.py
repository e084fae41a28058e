"""What a command may ask of where it was called from: a terminal, a notebook, Python."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from nbpipe import settings
from nbpipe.commands.workspace import Workspace
from nbpipe.core.ports import ProgressListener
from nbpipe.core.records import Run
from nbpipe.core.runs.plans import RunPlan
from nbpipe.core.runs.tasks import RunProgress

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.backfills.records import Backfill
    from nbpipe.daemon.backfill_parts import BackfillNews

_PLACE = "nbpipe.surface"


def _ignore(event: RunProgress) -> None:
    """Take no note of what happens."""


def _unwatched(plan: RunPlan) -> AbstractContextManager[ProgressListener]:  # noqa: ARG001 - the signature of `watch`
    return nullcontext(_ignore)


def _unwatched_backfill(backfill: Backfill) -> AbstractContextManager[Callable[[BackfillNews], None]]:  # noqa: ARG001 - of `watch_backfill`
    return nullcontext(_ignore_news)


def _ignore_news(news: BackfillNews) -> None:
    """Take no note of what happens."""


def _uncounted(title: str, number: int) -> AbstractContextManager[Callable[[int], None]]:  # noqa: ARG001 - of `counted`
    return nullcontext(_ignore_number)


def _ignore_number(done: int) -> None:
    """Take no note of what is done."""


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The ways to talk to a person while a command works; without any, it works silently."""

    watch: Callable[[RunPlan], AbstractContextManager[ProgressListener]] = _unwatched
    """Shows the progress of a run that is about to start."""
    confirm: Callable[[str], bool] | None = None
    """Asks a question that is answered with yes or no; None: nobody is there to answer."""
    counted: Callable[[str, int], AbstractContextManager[Callable[[int], None]]] = _uncounted
    """Shows the progress of work of many like parts, given a title and their number; called with how many are done
    more."""
    follow: Callable[[Workspace, RunPlan, str], Run] | None = None
    """Has a queued run, given by its id, carried out by another process and returns it as it ended; None: this
    process carries it out."""
    watch_backfill: Callable[[Backfill], AbstractContextManager[Callable[[BackfillNews], None]]] = _unwatched_backfill
    """Shows the progress of a backfill that this process is about to work on."""
    follow_backfill: Callable[[Workspace, Backfill, bool], None] | None = None
    """Has another process work on a recorded backfill, and waits for its end if the last argument says so; None: this
    process works on it."""
    trigger: str = "manual"
    """Why its runs are started."""
    say: Callable[[str], None] = print
    """Shows one line that is not the answer."""
    data: bool = False
    """A program reads the answer: it wants data rather than a drawing."""


SILENT = Surface()


def current_surface() -> Surface:
    """Return the surface of the command that is being called."""
    context = click.get_current_context(silent=True)
    found = SILENT if context is None else context.meta.get(_PLACE, SILENT)
    return found if isinstance(found, Surface) else SILENT


def does_nothing_here(what: str) -> bool:
    """Tell whether this process works for a run or asks a sensor, where nothing starts work or takes values away.

    If so, say it. A notebook that is executed by a job must never launch itself, and a sensor that is tried nothing.
    """
    if settings.current_run_id() is not None:
        current_surface().say(f"{what} does nothing in a job: this notebook is being executed by one")
        return True
    if settings.asks_sensors():
        current_surface().say(f"{what} does nothing in a sensor: its value says what is to be run")
        return True
    return False


def set_surface(context: click.Context, surface: Surface) -> None:
    """Give the commands called in `context` a surface."""
    context.meta[_PLACE] = surface
