"""What a daemon costs, and how soon it acts: whole ones in processes of their own, with all that they start."""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from nbpipe import clock
from nbpipe.core.ports import NewRun, StateStore
from nbpipe.core.records import ACTIVE_RUN, Run
from nbpipe.core.runs.plans import RunPlan
from nbpipe.execution.submit import Origin, submit
from tests.benchmarks.figures import slowness
from tests.notebooks import write_notebook
from tests.runs import eventually, opened, submitted, whole
from tests.stores import WORKER

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(600)]

NOTEBOOKS, EACH, EVERY = 20, 10, 30.0
SETUP = "import os\nimport pandas as pd\nfolder = 'inbox'"
BODY = "new = sorted(os.listdir('.'))\ncursor = new[-1]\nSkipReason(f'{len(new)} files')"
#: Says when its first line is executed, in a file of its run. (A literal that is its name would make it an input.)
FIRST = "import os, time\nopen('at' + os.environ['NBPIPE_RUN_ID'], 'w').write(str(time.time()))"
#: Goes on until it is let go.
WAITS = "import os, time\nwhile not os.path.exists('go' + 'on'):\n    time.sleep(0.1)"
TEN = [f"x{number} = {number}" for number in range(10)]
TICKS, REQUESTS, MANY, QUEUED = 12, 6, 100, 10_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of nothing."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "nbpipe.toml").touch()
    return root


@pytest.fixture
def large(folder: Path) -> Path:
    """A project with many schedules and sensors that have nothing to do."""
    write_notebook(folder / "a.ipynb", ["%%asset a\n1", "%job work a"])
    for number in range(NOTEBOOKS):
        names = [f"{number}_{each}" for each in range(EACH)]
        sensors = [f"%%sensor s{name} --job work --every {EVERY:g}\n{BODY}" for name in names]
        schedules = [f"%schedule c{name} {minute} 3 1 1 * --job work" for minute, name in enumerate(names)]
        write_notebook(folder / f"n{number}.ipynb", ["%load_ext nbpipe", SETUP, *sensors, *schedules])
    return folder


class Daemon:
    """A daemon that works."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return what it has said of one kind."""
        lines = [line for line in self.log.read_text().splitlines() if f'"event":"{event}"' in line]
        return list(map(json.loads, lines))

    def sensors(self) -> list[psutil.Process]:
        """Return the processes in which its sensors are asked."""
        return self.part("nbpipe.kernel.sensors.trunk")

    def part(self, module: str) -> list[psutil.Process]:
        """Return a process that it has started, with all that it has started in turn."""
        for child in psutil.Process(self.process.pid).children():
            if any(word.endswith(module) for word in child.cmdline()):
                return [child, *child.children(recursive=True)]
        return []


@contextmanager
def working(root: Path, environ: dict[str, str], programs: Path, *words: str) -> Iterator[Daemon]:
    """Run a daemon whose warm processes are its own; it is stopped at the end."""
    with tempfile.TemporaryDirectory() as private, (root / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [programs / "nbpipe", "daemon", "--json", *words],
            cwd=root,
            env={**environ, "XDG_RUNTIME_DIR": private},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield Daemon(process, root / "log.txt")
        finally:
            if process.poll() is None:
                process.terminate()
            assert process.wait(60) == 0, (root / "log.txt").read_text()[-2000:]
    assert '"level":"info"' in (said := (root / "log.txt").read_text())
    assert '"level":"warning"' not in said, said[:2000]
    assert '"level":"error"' not in said, said[:2000]


def used(processes: list[psutil.Process]) -> float:
    """Return the CPU time of processes and of what they had started and has ended, in seconds."""
    found = 0.0
    for process in processes:
        try:
            found += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return found


def memory(processes: list[psutil.Process]) -> float:
    """Return their memory in MB, shared memory divided among those that share it."""
    found = 0
    for process in processes:
        try:
            found += process.memory_full_info().pss
        except psutil.Error:
            continue
    return found / 1e6


def at(said: dict[str, Any]) -> float:
    """Return when a daemon said something."""
    return datetime.fromisoformat(said["at"]).timestamp()


def moments(root: Path, run_ids: list[str]) -> list[float]:
    """Return when the first lines of runs were executed; wait for those that were not yet."""
    files = [root / f"at{run_id}" for run_id in run_ids]
    return [float(eventually(lambda file=file: file.exists() and file.read_text())) for file in files]


def warmed_up(root: Path) -> None:
    """Wait until a daemon carries out runs as it will from now on."""
    with opened(root) as store:
        for _ in range(2):
            run = submitted(store, root, whole("first.ipynb"))
            eventually(lambda run=run: store.run(run.id).status == "success")


def test_how_soon_it_acts(figures, environ, programs, folder):
    write_notebook(folder / "first.ipynb", [FIRST])
    (folder / "nbpipe.toml").write_text('[jobs.first]\nnotebook = "first.ipynb"\n')
    slow = slowness()
    with working(folder, environ, programs) as daemon:
        warmed_up(folder)
        requested = []
        with opened(folder) as store:
            for _ in range(REQUESTS):
                begin, run = time.time(), submitted(store, folder, whole("first.ipynb"))
                requested += [at - begin for at in moments(folder, [run.id])]
                eventually(lambda run=run: store.run(run.id).status == "success")
        write_notebook(folder / "s.ipynb", ["%schedule often */3 * * * * * --job first"])
        eventually(lambda: len(daemon.said("tick")) > TICKS, within=300)
        (folder / "s.ipynb").unlink()
        said = daemon.said("tick")[1:]
        with opened(folder) as store:
            found = {tick.runs[0]: tick for tick in store.automation.ticks("default", "schedule", "often")}
        ticks = {each["message"].split()[-1]: at(each) for each in said}
        recorded = [at - found[run_id].scheduled_at.timestamp() for run_id, at in ticks.items()]
        begun = dict(zip(ticks, moments(folder, list(ticks)), strict=True))
        executed = [at - found[run_id].scheduled_at.timestamp() for run_id, at in begun.items()]
    slow = max(slow, slowness())
    check = figures.check
    check("daemon: from a tick's time to its run recorded", 1000 * statistics.median(recorded), 50 * slow)
    figures.note("the same, the slowest", 1000 * max(recorded))
    check("daemon: from a tick's time to its run's first line", 1000 * statistics.median(executed), 500 * slow)
    check("daemon: from a run's request to its first line", 1000 * statistics.median(requested), 500 * slow)


def test_how_soon_a_sensor_is_heard(figures, environ, programs, folder):
    chance, every, slow = random.Random(4), 1.0, slowness()
    write_notebook(folder / "first.ipynb", [FIRST])
    (folder / "nbpipe.toml").write_text('[jobs.first]\nnotebook = "first.ipynb"\n')
    sensor = "[RunRequest(run_key=name) for name in sorted(os.listdir('inbox'))]"
    write_notebook(folder / "s.ipynb", ["import os", f"%%sensor files --job first --every {every:g}\n{sensor}"])
    (folder / "inbox").mkdir()
    late = []
    with working(folder, environ, programs) as daemon, opened(folder) as store:
        warmed_up(folder)
        eventually(lambda: store.automation.ticks("default", "sensor", "files"))
        for number in range(REQUESTS):
            time.sleep(chance.random() * every)
            (folder / "inbox" / f"file{number}").touch()
            begin = time.time()
            said = eventually(lambda number=number: daemon.said("tick")[number:])
            late.append(at(said[0]) - begin)
    beyond = 1000 * (max(late) - every)
    figures.check(
        "daemon: from a file to its sensor's run beyond its interval, the slowest", beyond, 200 * max(slow, slowness())
    )


def test_a_hundred_trivial_notebooks(figures, environ, programs, folder):
    write_notebook(folder / "ten.ipynb", TEN)
    (folder / "nbpipe.toml").write_text("[limits]\nruns = 2\n")

    def carried_out(number: int) -> float:
        with opened(folder) as store:
            runs = [submitted(store, folder, whole("ten.ipynb")).id for _ in range(number)]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            with working(folder, environ, programs, "--until-idle") as daemon:
                daemon.process.wait(500)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert {store.run(run_id).status for run_id in runs} == {"success"}
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    slow = slowness(time.process_time)
    few = carried_out(4)
    begin = time.perf_counter()
    many = carried_out(MANY + 4)
    took = time.perf_counter() - begin
    slow = max(slow, slowness(time.process_time))
    figures.check("daemon: computing time of a trivial job, 2 at once", (many - few) / MANY, 0.5 * slow, "s")
    figures.note("daemon: 104 trivial jobs, 2 at once, with its start and end", took, "s")
    figures.note("daemon: computing time of its start and end, and of 4 jobs", few, "s")


def settled(root: Path, daemon: Daemon) -> None:
    """Wait until each sensor was asked once."""
    with opened(root) as store:

        def asked() -> bool:
            names = [f"s{number}_{each}" for number in range(NOTEBOOKS) for each in range(EACH)]
            return all(store.automation.ticks("default", "sensor", name, limit=1) for name in names)

        eventually(lambda: daemon.said("leading"))
        eventually(asked, within=120)


def test_with_hundreds_of_schedules_and_sensors(figures, environ, programs, large):
    slow = slowness(time.process_time)
    with working(large, environ, programs) as daemon:
        own = [psutil.Process(daemon.process.pid)]
        settled(large, daemon)
        before, begin = (sum(own[0].cpu_times()[:2]), used(daemon.sensors())), time.perf_counter()
        sizes = []
        while (left := begin + EVERY - time.perf_counter()) > 0:
            sizes.append(memory([*own, *daemon.sensors()]))
            time.sleep(min(3.0, left))
        took = time.perf_counter() - begin
        alone = 100 * (sum(own[0].cpu_times()[:2]) - before[0]) / took
        together = alone + 100 * (used(daemon.sensors()) - before[1]) / took
        figures.check("daemon: 200 schedules and sensors, alone: memory", memory(own), 120, "MB")
        warm = memory(daemon.part("nbpipe.execution.warm.process"))
        figures.note("daemon: the warm process of its runs: memory", warm, "MB")
    slow = max(slow, slowness(time.process_time))
    figures.check("daemon: the same, with the processes of its sensors: memory", max(sizes), 400, "MB")
    figures.check("daemon: 200 schedules and sensors, alone: share of a core", alone, 5 * slow, "%")
    figures.check("daemon: the same, with the processes of its sensors: share of a core", together, 15 * slow, "%")


def test_with_ten_thousand_runs_in_the_queue(figures, environ, programs, large):
    (large / "nbpipe.toml").write_text('[limits.tags]\n"team=one" = 1\n')
    write_notebook(large / "waits.ipynb", [WAITS])
    with opened(large) as store:
        first = submit(
            store,
            RunPlan(env="default", selection="", steps=(whole("waits.ipynb"),)),
            root=large,
            run_id=clock.new_id(),
            at=clock.now(),
            origin=Origin(tags={"team": "one"}),
        )
        lease = store.automation.lead("default", WORKER, at=clock.now())
        others = [like(store, first) for _ in range(QUEUED)]
        begin = time.perf_counter()
        store.automation.enqueue(lease, others)
        figures.check("daemon: queueing 10,000 runs", time.perf_counter() - begin, 5 * slowness(), "s")
        store.automation.resign(lease, at=clock.now())
        with working(large, environ, programs) as daemon:
            eventually(lambda: store.run(first.id).status == "running")
            settled(large, daemon)
            own = psutil.Process(daemon.process.pid)
            before, begin = sum(own.cpu_times()[:2]), time.perf_counter()
            time.sleep(EVERY / 3)
            share = 100 * (sum(own.cpu_times()[:2]) - before) / (time.perf_counter() - begin)
            figures.check("daemon: 10,000 runs in the queue: memory", memory([own]), 200, "MB")
            figures.note("the same, the most that it ever had", highest(own), "MB")
            figures.note("the same: share of a core", share, "%")
        (large / "goon").touch()
        eventually(lambda: store.run(first.id).status not in ACTIVE_RUN)


def like(store: StateStore, run: Run) -> NewRun:
    """Return another run of the same kind; nobody carries it out, so that its folder is not missed."""
    run_id = clock.new_id()
    return NewRun(
        run=msgspec.structs.replace(run, id=run_id),
        steps=[msgspec.structs.replace(step, run_id=run_id) for step in store.steps(run.id)],
        plan=store.plan(run.id) or b"",
    )


def highest(process: psutil.Process) -> float:
    """Return the most memory that a process ever had in MB."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
