"""What starting costs: `import nbpipe`, `nbpipe --help` and `nbpipe list`, beside imports measured in turns."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

import pytest

from tests.benchmarks.figures import slowness
from tests.benchmarks.projects import write_project

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

PYTHON = (sys.executable, "-c")


def started(commands, *, times, environ, folder):
    """Return the median wall and CPU time of each command in milliseconds; they take turns."""
    taken = {name: [] for name in commands}
    for _ in range(times + 1):
        for name, command in commands.items():
            before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
            wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            taken[name].append((wall * 1000, cpu * 1000))
    # the first of each filled caches
    return {name: tuple(map(statistics.median, zip(*each[1:], strict=True))) for name, each in taken.items()}


def test_importing_nbpipe_costs_little(figures, environ, tmp_path):
    commands = {"bare": (*PYTHON, "pass"), "ours": (*PYTHON, "import nbpipe")}
    found = started(commands, times=15, environ=environ, folder=tmp_path)
    limit = 60 * slowness(time.process_time)
    figures.check("import nbpipe, beyond bare Python (CPU)", found["ours"][1] - found["bare"][1], limit)


def test_help_costs_at_most_thrice_the_import_of_click(figures, environ, programs, tmp_path):
    commands = {"click": (*PYTHON, "import click"), "help": (programs / "nbpipe", "--help")}
    found = started(commands, times=15, environ=environ, folder=tmp_path)
    figures.check("nbpipe --help, against 3x import click", found["help"][0], 3 * found["click"][0])


def test_listing_5000_known_assets_costs_at_most_thrice_the_import_of_click_and_sqlalchemy(
    figures, environ, programs, tmp_path
):
    write_project(tmp_path, notebooks=250, assets=20)
    commands = {
        "imports": (*PYTHON, "import click, sqlalchemy"),
        "list": (programs / "nbpipe", "list"),
        "json": (programs / "nbpipe", "list", "--json"),
    }
    found = started(commands, times=9, environ=environ, folder=tmp_path)
    limit = 3 * found["imports"][0]
    figures.check("nbpipe list, 5,000 assets, against 3x import click, sqlalchemy", found["list"][0], limit)
    figures.check("nbpipe list --json, the same", found["json"][0], limit)
