"""What it costs to plan, record and drive a backfill of a hundred thousand partitions."""

from __future__ import annotations

import time
from itertools import count

import pytest

from nbpipe import clock
from nbpipe.commands.backfill_drafts import Wish, draft, record
from nbpipe.commands.backfill_project import SavedProject
from nbpipe.commands.sites import site_of
from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.backlog import Backlog
from nbpipe.core.backfills.blocks import blocks_of
from nbpipe.core.backfills.records import Portion
from nbpipe.core.backfills.targets import Asked
from nbpipe.daemon.backfills import BackfillDriver
from nbpipe.daemon.run_threads import RunThreads
from tests.benchmarks.figures import milliseconds, slowness
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

CELLS = (
    "%%asset hours --partitions hourly:2013-01-01T00..2023-12-31T23\nhours = 1",
    "%%asset days --partitions daily:2013-01-01..2023-12-31\ndays = hours",
    "%%asset weeks --partitions weekly:2013-01-07..2023-12-18\nweeks = days",
    "%%asset months --partitions monthly:2013-01-01..2023-12-01\nmonths = days",
    "%%asset total\ntotal = (weeks, months)",
)
WISH = Wish(selection="*", asked=Asked(statuses=("missing",)))
STEPS = 2_000


@pytest.fixture
def workspace(tmp_path):
    for index, cell in enumerate(CELLS):
        write_notebook(tmp_path / f"n{index}.ipynb", [cell])
    (tmp_path / "nbpipe.toml").touch()
    with Workspace.open(tmp_path) as found:
        _ = found.store
        yield found


def test_a_hundred_thousand_missing_partitions_are_planned_and_recorded(workspace, figures):
    slow = slowness()
    assert draft(workspace, WISH).targets.total > 100_000
    figures.check("plan a backfill of 100,000 partitions", milliseconds(lambda: draft(workspace, WISH)), 1000 * slow)
    took = milliseconds(lambda: record(workspace, WISH))
    figures.check("plan and record it", took, 2000 * slow)


@pytest.mark.parametrize("fails", [False, True], ids=["in order", "scattered"])
def test_what_can_run_next_is_known_at_once_however_much_waits(workspace, figures, fails):
    found = draft(workspace, WISH)
    book = workspace.book
    blocks, edges = blocks_of(found.specs, book)
    portions = {key: Portion(requested=subset.families) for key, subset in found.targets.subsets.items()}
    log = Backlog(blocks, edges, portions, there={}, now=clock.now())
    numbers = count()
    running = log.take(4)

    def step() -> None:
        request = running.pop(0)
        side = "failed" if fails and next(numbers) % 7 == 0 else "done"
        log.end(request, {key: Portion(requested={}, **{side: done}) for key, done in request.partitions.items()})
        log.newly_lost()
        running.extend(log.take(1))

    began = time.process_time()
    for _ in range(STEPS):
        step()
    took = (time.process_time() - began) * 1000 / STEPS
    name = "scattered failures" if fails else "in order"
    figures.check(f"end one run of 100,000 and find the next, {name}", took, 2 * slowness())


class _Timed(RunThreads):
    """Knows how long the runs themselves took, in seconds."""

    took = 0.0

    def _carry_out(self, run_id, parallel, done):
        began = time.perf_counter()

        def ended(run_id):
            self.took += time.perf_counter() - began
            done(run_id)

        super()._carry_out(run_id, parallel, ended)


def test_one_run_for_each_partition_costs_little_more_than_its_notebook(tmp_path, figures):
    write_notebook(tmp_path / "a.ipynb", ["%%asset days --partitions daily:2024-01-01..2024-01-12\ndays = 1"])
    (tmp_path / "nbpipe.toml").touch()
    with Workspace.open(tmp_path) as workspace:
        backfill, _ = record(workspace, Wish(selection="days", asked=Asked(everything=True)))
        carrier = _Timed(workspace.store, site_of(workspace), parallel=1)
        driver = BackfillDriver(workspace.store, SavedProject(workspace), carrier, root=workspace.root, parallel=1)
        began = time.perf_counter()
        found = driver.work(backfill.id)
        whole = time.perf_counter() - began
    assert (found.status, found.done) == ("success", 12)
    figures.note("a run of one partition", carrier.took * 1000 / 12)
    figures.check("a backfill, beside each of its runs", (whole - carrier.took) * 1000 / 12, 20 * slowness())
