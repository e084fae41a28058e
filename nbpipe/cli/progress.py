"""Shows the progress of a run: an animated display on a terminal, else a line for each asset."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

import click

from nbpipe.core.ports import ProgressListener
from nbpipe.core.runs.outcomes import AssetOutcome
from nbpipe.core.runs.plans import RunPlan
from nbpipe.core.runs.tasks import RunProgress
from nbpipe.pages.faces import on_terminal
from nbpipe.pages.text import shown

_MARKS = {"success": "✓", "unchanged": "=", "failed": "✗", "canceled": "-", "skipped": "-"}


@contextlib.contextmanager
def watching(plan: RunPlan, *, quiet: bool) -> Iterator[ProgressListener]:
    """Show what happens in the run of a plan, on the standard error.

    Args:
        plan: what the run is going to do.
        quiet: nobody reads along unless it is a terminal.
    """
    for note in plan.notes:
        click.echo(f"nbpipe: {shown(on_terminal(note))}", err=True)
    if sys.stderr.isatty():
        with _animated(plan) as listener:
            yield listener
    else:
        yield _silent if quiet else _Lines()


@contextlib.contextmanager
def counting(title: str, number: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how much of some work is done, on the standard error, if that is a terminal.

    Args:
        title: what is done.
        number: of its parts.
        quiet: show nothing.
    """
    if quiet or not sys.stderr.isatty():
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(shown(title), total=number)
        yield lambda done: progress.advance(task, done)


def _ignore(done: int) -> None:
    """Say nothing."""


def _silent(event: RunProgress) -> None:
    """Say nothing."""


class _Lines:
    """Writes one line when an asset, or a step without assets, has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, event: RunProgress) -> None:
        if event.kind != "cell_ended" or not event.assets:
            return
        with self._lock:
            click.echo(f"{shown(' '.join(event.assets))}: {event.status}{_error(event)}", err=True)


@contextlib.contextmanager
def _animated(plan: RunPlan) -> Iterator[ProgressListener]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    asset_count = sum(len(step.assets) for step in plan.steps)
    whole = asset_count - len(plan.partitions)
    ended = [0, 0]  # assets without partitions, and partitions
    active: list[str] = []
    lock = threading.Lock()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=asset_count or len(plan.steps))

        def listener(event: RunProgress) -> None:
            name = shown(" ".join(event.assets))
            with lock:
                if event.kind == "cell_started" and name:
                    active.append(name)
                elif event.kind == "cell_ended" and name:
                    active[:] = [each for each in active if each != name]
                    progress.console.print(Text(f"{_MARKS.get(event.status, '·')} {name}{_error(event)}"))
                    ended[0] += sum(key not in plan.partitions for key in event.assets)
                    progress.update(task, completed=sum(ended))
                elif event.kind == "partitions_ended":
                    found = [AssetOutcome(counts) for counts in event.counts.values()]
                    ended[1] = sum(each.total - each.left for each in found)
                    progress.update(task, total=whole + sum(each.total for each in found), completed=sum(ended))
                elif event.kind == "step_ended" and not asset_count:
                    progress.advance(task)
                progress.update(task, description=" ".join(active)[:60] or "working")

        yield listener


def _error(event: RunProgress) -> str:
    return f": {shown(on_terminal(event.error.partition(chr(10))[0]))}" if event.error else ""
