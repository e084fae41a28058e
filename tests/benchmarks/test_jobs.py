"""What a job costs, beside plain papermill on the same cells: as whole commands, and within one process."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.benchmarks.figures import alternate, slowness
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

FEW, MANY = 1, 41

#: Alternates jobs and papermill in one process, where all that both import is imported already.
_WITHIN = """
import json, statistics, sys, time, warnings
from pathlib import Path
import papermill
from nbpipe.commands.materialize import carry_out, prepare
from nbpipe.commands.workspace import Workspace

root, times = Path(sys.argv[1]), int(sys.argv[2])

def job():
    with Workspace.open(root) as workspace:
        assert carry_out(workspace, prepare(workspace, "*")).status == "success"

def plain():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        papermill.execute_notebook(root.parent / "plain.ipynb", root.parent / "out.ipynb", progress_bar=False)

taken = {job: [], plain: []}
for _ in range(times + 1):
    for work, durations in taken.items():
        begin = time.perf_counter()
        work()
        durations.append((time.perf_counter() - begin) * 1000)
print(json.dumps([statistics.median(durations[1:]) for durations in taken.values()]))
"""


@pytest.fixture
def folders(tmp_path):
    """Projects of few and many trivial assets, and notebooks with the same cells for papermill alone."""
    for count in (FEW, MANY):
        root = tmp_path / f"of{count}" / "project"
        write_notebook(root.parent / "plain.ipynb", ["x = 1", *(f"a{n} = x + {n}" for n in range(count))])
        write_notebook(root / "notebook.ipynb", ["x = 1", *(f"%%asset a{n}\na{n} = x + {n}" for n in range(count))])
        (root / "nbpipe.toml").touch()
    return tmp_path


def test_a_job_as_a_command(figures, environ, programs, folders):
    def command(folder, *words):
        words = (str(programs / words[0]), *words[1:])
        return lambda: subprocess.run(words, cwd=folders / folder, env=environ, check=True, capture_output=True)

    works = {
        "few": command("of1/project", "nbpipe", "materialize", "*"),
        "many": command("of41/project", "nbpipe", "materialize", "*"),
        "whole": command("of41", "nbpipe", "run", "plain.ipynb"),
        "papermill few": command("of1", "papermill", "plain.ipynb", "out.ipynb"),
        "papermill many": command("of41", "papermill", "plain.ipynb", "out.ipynb"),
    }
    alternate(works, times=1)
    found, slow = alternate(works, times=5), slowness()
    extra = 300 * slow
    figures.check("job: 1 asset, as a command, against papermill + 0.3 s", found["few"], found["papermill few"] + extra)
    limit = found["papermill many"] + extra
    figures.check("job: any notebook, as a command, against papermill + 0.3 s", found["whole"], limit)
    figures.note("job: papermill, 41 cells, as a command", found["papermill many"])
    each = (found["many"] - found["few"]) / (MANY - FEW)
    figures.check("job: a trivial asset cell beyond the first", each, 25 * slow)


def test_a_job_within_a_process(figures, environ, folders):
    words = [sys.executable, "-c", _WITHIN, str(folders / "of1" / "project"), "7"]
    done = subprocess.run(words, env=environ, check=True, capture_output=True, text=True)
    job, plain = json.loads(done.stdout.splitlines()[-1])
    figures.check("job: 1 asset, within a process, against papermill + 0.3 s", job, plain + 300 * slowness())


def test_a_job_with_nothing_to_do_starts_no_kernel(figures, environ, programs, folders):
    words = [programs / "nbpipe", "materialize", "*"]
    root = folders / "of41" / "project"
    subprocess.run(words, cwd=root, env=environ, check=True, capture_output=True)

    def again():
        subprocess.run([*words, "--stale"], cwd=root, env=environ, check=True, capture_output=True)

    def imports():
        subprocess.run([sys.executable, "-c", "import click, sqlalchemy"], env=environ, check=True)

    found = alternate({"again": again, "imports": imports}, times=7, clock=time.perf_counter)
    figures.check("job: nothing to do, against 3x import click, sqlalchemy", found["again"], 3 * found["imports"])
