"""What it costs to ask sensors: 200 of them in 20 notebooks, and how soon one that has something to say is heard."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.automation.evaluations import Evaluated, Evaluation, Program, programs_of
from nbpipe.execution.evaluators import MARK, SensorProcesses
from tests.benchmarks.figures import slowness
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(300)]

NOTEBOOKS, EACH, EVERY = 20, 10, 30.0
SETUP = "import os\nimport pandas as pd\nfolder = 'inbox'"
BODY = "new = sorted(os.listdir('.'))\ncursor = new[-1]\nSkipReason(f'{len(new)} files')"


def seconds(pid: int) -> float:
    """Return the CPU time of a process, of its children, and of those that have ended."""
    found = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            found += sum(process.cpu_times()[:4])
    return found


def memory() -> float:
    """Return the memory of all processes of evaluations in MB, shared memory divided among those that share it."""
    mark, found = f"{MARK}={os.getpid()}-".encode(), 0
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if mark in Path(f"/proc/{process.pid}/environ").read_bytes():
                found += process.memory_full_info().pss
    return found / 1e6


@pytest.fixture
def programs(tmp_path: Path) -> list[Program]:
    """What is executed to ask the sensors."""
    (tmp_path / "nbpipe.toml").touch()
    write_notebook(tmp_path / "a.ipynb", ["%%asset a\n1", "%job work a"])
    for number in range(NOTEBOOKS):
        cells = [f"%%sensor s{number}_{each} --job work\n{BODY}" for each in range(EACH)]
        write_notebook(tmp_path / f"n{number}.ipynb", ["%load_ext nbpipe", SETUP, *cells])
    found: list[Program] = []
    with Workspace.open(tmp_path) as workspace:
        definitions = workspace.definitions
        for path, notebook in definitions.notebooks.items():
            here = [each for each in definitions.sensors.values() if each.cell and each.cell.notebook == path]
            facts = workspace.project.facts_of(path)
            assert facts is not None
            found += programs_of(facts, notebook, here, root=str(tmp_path), env="default").values()
    assert len(found) == NOTEBOOKS * EACH
    return found


def test_two_hundred_sensors(figures, compiled, programs):
    heard: SimpleQueue[Evaluated] = SimpleQueue()
    before = slowness(time.process_time)
    processes = SensorProcesses(heard.put)
    try:
        alone, rounds = [], []
        for _ in range(4):
            used = seconds(processes.pids()[0]) if processes.pids() else 0.0
            for program in programs:
                processes.ask(Evaluation(id=clock.new_id(), program=program, timeout=60))
            answers = [heard.get(timeout=60) for _ in programs]
            assert {each.status for each in answers} == {"answered"}, answers[0]
            rounds.append(seconds(processes.pids()[0]) - used)
        for _ in range(20):
            begin = time.perf_counter()
            processes.ask(Evaluation(id=clock.new_id(), program=programs[-1], timeout=60))
            heard.get(timeout=60)
            alone.append((time.perf_counter() - begin) * 1000)
        size = memory()
    finally:
        processes.close()
    factor = max(before, slowness(time.process_time))
    took = statistics.median(rounds[1:])
    figures.note("200 sensors in 20 notebooks asked once: CPU per sensor", 1000 * took / len(programs))
    figures.check("the same every 30 s: share of a core", 100 * took / EVERY, 15 * factor, "%")
    figures.check("its processes: memory", size, 320, "MB")
    figures.check("one sensor that is asked, until it has answered", statistics.median(alone), 200 * factor)
