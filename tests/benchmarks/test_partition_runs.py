"""What a range run costs beside a plain loop that writes the same files; a run of one partition, beside a notebook."""

from __future__ import annotations

import itertools
import statistics
import time
from datetime import date, timedelta

import pytest

from nbpipe.commands.materialize import carry_out, prepare
from nbpipe.commands.workspace import Workspace
from tests.benchmarks.figures import alternate, slowness
from tests.notebooks import write_notebook
from tests.steps import in_step

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

PARTITIONS = 1_000
PAIRS = 15

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
