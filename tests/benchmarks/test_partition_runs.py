"""What a range run costs beside a plain loop that writes the same files; a run of one partition, beside a notebook.

And what the process that drives a backfill computes for each of its runs, beside carrying it out.
"""

from __future__ import annotations

import itertools
import statistics
import time
from datetime import date, timedelta

import pytest

from nbpipe.commands.backfill_drafts import Wish, record
from nbpipe.commands.backfill_project import SavedProject
from nbpipe.commands.materialize import carry_out, prepare
from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.targets import Asked
from nbpipe.daemon.backfills import BackfillDriver
from tests.benchmarks.figures import alternate, slowness
from tests.notebooks import write_notebook
from tests.steps import in_step
from tests.unit.daemon.fakes import FakeRuns, succeed

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

PARTITIONS = 1_000
PAIRS = 15
RUNS = 200

SETUP = """
import pandas as pd

def table(key):
    return pd.DataFrame({"key": [key] * 10, "number": range(10), "value": [number / 2 for number in range(10)]})
"""


#: What a kernel has computed so far, in a file: how long a kernel takes to start differs more than what we look for.
NOTE = "import time\nwith open({!r}, 'a') as file:\n    print(time.process_time() * 1000, file=file)"


class RangeRuns:
    """The same tables, written by a plain loop and by a range run."""

    def __init__(self, folder):
        self._folder, self._numbers = folder, itertools.count()
        self._keys = [(date(2021, 1, 1) + timedelta(days=number)).isoformat() for number in range(PARTITIONS)]
        self._names = {}
        exec(SETUP, self._names)  # the function that the notebook has, too
        self.taken = []

    def loop(self):
        folder = self._folder / f"plain{next(self._numbers)}"
        folder.mkdir()
        for key in self._keys:
            self._names["table"](key).to_parquet(folder / f"{key}.parquet")

    def run(self):
        root = self._folder / f"project{next(self._numbers)}"
        body = "%%asset a --partitions daily:2021-01-01\na = ((key, table(key)) for key in partition.keys)"
        notebook = write_notebook(root / "a.ipynb", [SETUP.strip(), body])
        (root / "nbpipe.toml").touch()
        with in_step(root, notebook, "a", partitions=f"{self._keys[0]}..{self._keys[-1]}") as step:
            step.run(0).ok()
            begin = time.perf_counter()
            shown = step.run(1).ok()
            self.taken.append((time.perf_counter() - begin) * 1000)
        assert "1,000 materialized" in shown.out


def test_a_range_run_against_a_plain_loop_that_writes_the_same_files(tmp_path, figures):
    """Both write tables of ten rows; only those of the run are there after a power failure."""
    runs, slow = RangeRuns(tmp_path), []
    runs.loop()
    runs.run()
    runs.taken.clear()
    works = {"loop": runs.loop, "run": runs.run, "speed": lambda: slow.append(slowness())}
    found = alternate(works, times=3)
    each = (statistics.median(runs.taken) - found["loop"]) / PARTITIONS
    figures.note("range run: a partition in the plain loop", found["loop"] / PARTITIONS)
    figures.check("range run: a partition beyond the plain loop", each, 3 * statistics.median(slow))


def test_a_run_of_one_partition_against_the_same_notebook_without(tmp_path, figures):
    """In one process, where all is imported already that both import; each run has a new kernel and partition."""
    for name, option in (("whole", ""), ("parts", " --partitions daily:2021-01-01")):
        note = NOTE.format(str(tmp_path / f"{name}.txt"))
        cells = [f"x = 1\n{note}", f"%%asset a{option}\na = x", f"a\n{note}"]
        write_notebook(tmp_path / name / "a.ipynb", cells)
        (tmp_path / name / "nbpipe.toml").touch()

    def taken(name, **which):
        (tmp_path / f"{name}.txt").unlink(missing_ok=True)
        begin, computed = time.perf_counter(), time.process_time()
        with Workspace.open(tmp_path / name) as workspace:
            assert carry_out(workspace, prepare(workspace, "a", **which)).status == "success"
        here = (time.process_time() - computed) * 1000
        before, after = map(float, (tmp_path / f"{name}.txt").read_text().split())
        return (time.perf_counter() - begin) * 1000, here + after - before

    pairs, slow = [], []
    for number in range(PAIRS + 1):
        day = (date(2021, 1, 1) + timedelta(days=number)).isoformat()
        pairs.append((taken("whole"), taken("parts", partitions=day)))
        slow.append(slowness(time.process_time))
    wall, computing = (statistics.median(part[way] - whole[way] for whole, part in pairs[1:]) for way in (0, 1))
    figures.note("one partition: beyond the same notebook without, time on the clock", wall)
    limit = 20 * statistics.median(slow)
    figures.check("one partition: beyond the same notebook without, CPU time", computing, limit)


class MeasuredRuns(FakeRuns):
    """Runs without kernels; knows what carrying them out has computed, in seconds."""

    computed = 0.0

    def start(self, run_id, *, parallel, done):
        began = time.process_time()
        super().start(run_id, parallel=parallel, done=done)
        self.computed += time.process_time() - began


def test_what_drives_a_backfill_computes_little_for_each_of_its_runs(tmp_path, figures):
    """Of ten years, some days are computed, each in a run of its own: planned, recorded, and seen to its end."""
    write_notebook(tmp_path / "a.ipynb", ["%%asset days --partitions daily:2013-01-01..2023-12-31\ndays = 1"])
    (tmp_path / "nbpipe.toml").touch()
    last = date(2013, 1, 1) + timedelta(days=RUNS - 1)
    with Workspace.open(tmp_path) as workspace:
        wish = Wish(selection="days", asked=Asked(ranges=f"2013-01-01..{last.isoformat()}"))
        backfill, _ = record(workspace, wish)
        runs = MeasuredRuns(workspace.store, succeed)
        driver = BackfillDriver(workspace.store, SavedProject(workspace), runs, root=workspace.root, parallel=1)
        slow, began = slowness(time.process_time), time.process_time()
        found = driver.work(backfill.id)
        computed = time.process_time() - began - runs.computed
    assert (found.status, found.done, len(runs.runs)) == ("success", RUNS, RUNS)
    figures.check("a backfill: its own part in a run of one partition, CPU time", computed * 1000 / RUNS, 20 * slow)
