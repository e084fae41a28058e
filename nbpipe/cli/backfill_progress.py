"""Shows the progress of a backfill: a bar with rate and remaining time on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from nbpipe import clock
from nbpipe.pages.text import shown

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.backfills.records import Backfill
    from nbpipe.core.records import RunAsset
    from nbpipe.daemon.backfill_parts import BackfillNews

#: Seconds between two lines where there is no terminal.
_EVERY = 10.0
#: So many failures of one run are named.
_NAMED = 5


@contextlib.contextmanager
def watching_backfill(backfill: Backfill, *, quiet: bool) -> Iterator[Callable[[BackfillNews], None]]:
    """Show what happens in a backfill, on the standard error.

    Args:
        backfill: as it is before.
        quiet: nobody reads along unless it is a terminal.
    """
    if sys.stderr.isatty():
        with _animated(backfill) as listener:
            yield listener
    else:
        yield _silent if quiet else _Lines()


def failure_lines(failures: tuple[RunAsset, ...]) -> list[str]:
    """Return a line for each failure, as long as they are few."""
    lines = [
        f"{shown(row.asset)}{'@' if row.partition else ''}{shown(row.partition)}: "
        f"{shown((row.error or 'failed').partition(chr(10))[0])}"
        for row in failures[:_NAMED]
    ]
    more = len(failures) - _NAMED
    return lines + ([f"and {more:,} more failure{'s' * (more > 1)}"] if more > 0 else [])


def _silent(news: BackfillNews) -> None:
    """Say nothing."""


class _Lines:
    """Writes failures as they come, and how far it is every few seconds."""

    def __init__(self) -> None:
        self._due = clock.monotonic() + _EVERY

    def __call__(self, news: BackfillNews) -> None:
        for text in failure_lines(news.failures):
            click.echo(text, err=True)
        if clock.monotonic() >= self._due:
            self._due = clock.monotonic() + _EVERY
            click.echo(f"{_ended(news.backfill):,} of {news.backfill.total:,}{_troubles(news.backfill)}", err=True)


@contextlib.contextmanager
def _animated(backfill: Backfill) -> Iterator[Callable[[BackfillNews], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
    )
    began, before = clock.monotonic(), _ended(backfill)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=backfill.total, completed=before, rate="")

        def listener(news: BackfillNews) -> None:
            for text in failure_lines(news.failures):
                progress.console.print(Text(f"✗ {text}"))
            ended = _ended(news.backfill)
            passed = clock.monotonic() - began
            progress.update(
                task,
                completed=ended,
                description=f"{news.running:,} running{_troubles(news.backfill)}",
                rate=rate_text((ended - before) / passed) if ended > before and passed > 0 else "",
            )

        yield listener


def rate_text(rate: float) -> str:
    """Return how many partitions end in a time that people can count.

    >>> [rate_text(rate) for rate in (12.345, 0.5, 0.002)]
    ['12.3/s', '30/min', '7.2/h']
    """
    for per, word in ((1, "s"), (60, "min")):
        if rate * per >= 1:
            return f"{rate * per:.3g}/{word}"
    return f"{rate * 3600:.3g}/h"


def _ended(backfill: Backfill) -> int:
    return backfill.done + backfill.failed + backfill.skipped + backfill.lost


def _troubles(backfill: Backfill) -> str:
    told = [f"{number:,} {word}" for number, word in ((backfill.failed, "failed"), (backfill.lost, "lost")) if number]
    return f", {', '.join(told)}" if told else ""
