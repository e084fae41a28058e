"""Sensors that hang, raise, flood, fork and die, and processes that are killed: the rest goes on, nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.automation.evaluations import Evaluated, Evaluation, Program, programs_of
from nbpipe.execution.evaluators import MARK, SensorProcesses
from tests.daemons import daemon_process
from tests.notebooks import replace_in_cell, write_notebook
from tests.runs import eventually, opened

pytestmark = [pytest.mark.faults, pytest.mark.skipif(os.name != "posix", reason="forks")]

SENSORS = {
    "good": "cursor = str(int(cursor or 0) + 1)\nTrue",
    "hangs": "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass",
    "raises": "x = 1\n{}[x]",
    "nonsense": "{1: 2}",
    "floods": "[RunRequest(run_key=str(n)) for n in range(10_000)]",
    "endless": "import itertools\n(RunRequest(run_key=str(n)) for n in itertools.count())",
    "dies": "import os\nos.kill(os.getpid(), 9)",
    "leaves": "import os\nos._exit(0)",
    "exits": "import sys\nsys.exit(3)",
    "forks": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.fork()\n    time.sleep(600)\nTrue",
    "twice": "import os\nos.fork()\nTrue",
    "spawns": "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\nFalse",
    "arrays": "import numpy\nfloat(numpy.ones(3).sum()) == 3.0",
    "prints": "print('x' * 50_000_000)\nprint('the end')\nFalse",
    "setup": "count() and SkipReason(f'{size}')",
    "secret": "import os\nraise ValueError(os.environ['SENSOR_TOKEN'])",
}
#: What is expected of each: how it is recorded, how many requests, and words of its error, reason or output.
EXPECTED: Mapping[str, tuple[str, int, str]] = {
    "good": ("answered", 1, ""),
    "hangs": ("timeout", 0, "took longer than its timeout of 1 s"),
    "raises": ("failed", 0, "line 3: KeyError: 1"),
    "nonsense": ("failed", 0, "the sensor's value is {1: 2} (dict)"),
    "floods": ("answered", 10_000, ""),
    "endless": ("failed", 0, "asks for more than 20,000 runs at once"),
    "dies": ("failed", 0, "was ended by SIGKILL"),
    "leaves": ("failed", 0, "ended with exit status 0 before it answered"),
    "exits": ("failed", 0, "SystemExit: 3"),
    "forks": ("answered", 1, ""),
    "twice": ("answered", 1, ""),
    "spawns": ("answered", 0, "nothing to do"),
    "arrays": ("answered", 1, ""),
    "prints": ("answered", 0, "the end"),
    "setup": ("answered", 0, "7"),
    "secret": ("failed", 0, "ValueError: ***"),
}
SETUP = ["%load_ext nbpipe\nsize = 7", "def count():\n    return size"]


def cells(sensors: Mapping[str, str] = SENSORS) -> list[str]:
    return [
        *SETUP,
        *(f"%%sensor {name} --job work --timeout 1\n{body}" for name, body in sensors.items()),
        "%job work a",
    ]


def programs(root: Path) -> dict[str, Program]:
    with Workspace.open(root) as workspace:
        definitions = workspace.definitions
        found = {}
        for path, notebook in definitions.notebooks.items():
            facts = workspace.project.facts_of(path)
            assert facts is not None
            here = [each for each in definitions.sensors.values() if each.cell and each.cell.notebook == path]
            found.update(programs_of(facts, notebook, here, root=str(root), env="default"))
        return found


class Asker:
    """Asks sensors of a project, and waits for what they say."""

    def __init__(self, *, lasting: bool = True) -> None:
        self.heard: SimpleQueue[Evaluated] = SimpleQueue()
        self.processes = SensorProcesses(self.heard.put, lasting=lasting)

    def ask(self, program: Program, *, timeout: float = 1.0, cursor: str | None = "1") -> None:
        about = {"cursor": cursor, "timeout": timeout, "secrets": ("${SENSOR_TOKEN}",)}
        self.processes.ask(Evaluation(id=f"{program.sensor} {clock.new_id()}", program=program, **about))

    def answer(self) -> Evaluated:
        return self.heard.get(timeout=60)

    def once(self, program: Program, **about: float) -> Evaluated:
        self.ask(program, **about)
        return self.answer()


@contextmanager
def asker(**about: bool) -> Iterator[Asker]:
    found = Asker(**about)
    try:
        yield found
    finally:
        found.processes.close()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENSOR_TOKEN", "a-secret-word")


def started() -> list[psutil.Process]:
    """Return what evaluations of this process have left behind."""
    mark, found = f"{MARK}={os.getpid()}-".encode(), []
    for process in psutil.process_iter():
        try:
            if mark in Path(f"/proc/{process.pid}/environ").read_bytes() and process.status() != "zombie":
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def as_expected(found: Evaluated) -> None:
    status, requests, words = EXPECTED[found.id.split()[0]]
    assert (found.status, len(found.answer.runs)) == (status, requests), found
    assert words in f"{found.error} {found.answer.reason} {found.output}", found
    assert len(found.output) < 5_000
    assert "a-secret-word" not in str(found)


def test_each_kind_of_trouble_is_its_own(project):
    write_notebook(project / "s.ipynb", [*cells(), "%%asset a\n1"])
    with asker() as asking:
        known = programs(project)
        for _ in range(2):
            for program in known.values():
                asking.ask(program)
            answers = [asking.answer() for _ in known]
            assert {found.id.split()[0] for found in answers} == set(SENSORS)
            for found in answers:
                as_expected(found)
        eventually(lambda: len(started()) <= 2)  # the trunk, and the branch of the notebook
    assert started() == []


@pytest.mark.parametrize("name", ["good", "raises", "dies", "forks", "spawns", "prints", "secret", "twice"])
def test_where_nothing_lasts_it_is_the_same(project, name):
    write_notebook(project / "s.ipynb", [*cells({name: SENSORS[name]}), "%%asset a\n1"])
    with asker(lasting=False) as asking:
        found = asking.once(programs(project)[name])
    if name == "dies":
        assert found.status == "failed"
    else:
        as_expected(found)
    assert started() == []


@pytest.mark.parametrize(
    ("setup", "status", "words"),
    [
        ("x = 1\n1/0", "failed", "s.ipynb, cell 1, line 2: ZeroDivisionError: division by zero"),
        ("def f(:", "failed", "s.ipynb, cell 1: SyntaxError"),
        ("import time\ntime.sleep(600)", "timeout", "the cells above took longer than the sensor's timeout"),
        ("import os\nos.kill(os.getpid(), 11)", "failed", "was ended by SIGSEGV (in a cell above)"),
        ("import sys\nsys.exit()", "failed", "cell 1, line 2: SystemExit"),
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
            "answered",
            "",
        ),
        ("import subprocess\nchild = subprocess.Popen(['sleep', '600'])", "answered", ""),
        ("import os\nos.chdir('/')\nx = 5", "answered", ""),
    ],
)
def test_trouble_in_a_setup_cell(project, setup, status, words):
    write_notebook(project / "s.ipynb", [setup, "%%sensor it --job work\nTrue", "%%asset a\n1", "%job work a"])
    program = programs(project)["it"] if "(:" not in setup else broken(project)
    with asker() as asking:
        for _ in range(3):  # it is not remembered, and hurts nobody
            found = asking.once(program)
            assert (found.status, words in found.error) == (status, True), found
    assert started() == []


def test_packages_that_were_replaced_count_from_the_next_notebook_on(project, monkeypatch, tmp_path):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(packages))
    (packages / "rates.py").write_text("VALUE = 'one'")
    work = ["%%asset a\n1", "%job work a"]
    for name in ("s", "t", "u"):
        cells = ["import rates", f"%%sensor {name} --job work\nSkipReason(rates.VALUE)"]
        write_notebook(project / f"{name}.ipynb", [*cells, *(work if name == "s" else ())])
    known = programs(project)
    with asker() as asking:
        assert asking.once(known["s"]).answer.reason == "one"
        (first,) = asking.processes.pids()
        (packages / "rates.py").write_text("VALUE = 'two'  # and longer")
        (packages / "new.py").touch()
        for name in ("t", "u"):
            asking.ask(known[name])
        assert [asking.answer().answer.reason for _ in range(2)] == ["two", "two"]
        assert asking.once(known["s"]).answer.reason == "two"
        assert asking.processes.pids() == [first]
        eventually(lambda: len(started()) == 4)  # the process that asks, and one of each notebook
    assert started() == []


def broken(project: Path) -> Program:
    """A program whose setup cell can't be read; such a notebook's sensors count only if it was saved meanwhile."""
    replace_in_cell(project / "s.ipynb", 0, "def f(:", "pass")
    found = programs(project)["it"]
    import msgspec

    setup = tuple(msgspec.structs.replace(cell, source="def f(:") for cell in found.setup)
    return msgspec.structs.replace(found, setup=setup)


def test_a_module_of_the_project_that_changes_is_imported_anew(project):
    (project / "mine.py").write_text("answer = 'one'\n")
    text = "%%sensor it --job work\nSkipReason(answer)"
    write_notebook(project / "s.ipynb", ["from mine import answer", text, "%%asset a\n1", "%job work a"])
    program = programs(project)["it"]
    with asker() as asking:
        assert asking.once(program).answer.reason == "one"
        (project / "mine.py").write_text("answer = 'two, and longer'\n")
        assert asking.once(program).answer.reason == "two, and longer"


def test_processes_of_many_notebooks_take_turns(project):
    for number in range(7):
        text = f"%%sensor it{number} --job work\nimport os\nSkipReason(f'{{name}} {{os.path.basename(os.getcwd())}}')"
        write_notebook(project / f"d{number}" / "s.ipynb", [f"name = 'n{number}'", text])
    write_notebook(project / "a.ipynb", ["%%asset a\n1", "%job work a"])
    known = programs(project)
    with asker() as asking:
        for _ in range(3):
            for program in known.values():
                asking.ask(program, timeout=30)
            said = {found.id.split()[0]: found.answer.reason for found in (asking.answer() for _ in known)}
            assert said == {f"it{number}": f"n{number} d{number}" for number in range(7)}
            assert len(started()) <= 1 + 4 + 4


def test_a_trunk_that_is_killed_fails_what_it_was_asked_and_is_replaced(project):
    write_notebook(project / "s.ipynb", [*cells({"hangs": SENSORS["hangs"], "good": SENSORS["good"]}), "%%asset a\n1"])
    known = programs(project)
    with asker() as asking:
        assert asking.once(known["good"]).cursor == "2"
        asking.ask(known["hangs"], timeout=600)
        eventually(lambda: len(started()) == 3)
        (pid,) = asking.processes.pids()
        os.kill(pid, signal.SIGKILL)
        found = asking.answer()
        assert (found.status, "has ended (signal 9)" in found.error) == ("failed", True), found
        eventually(lambda: started() == [])
        assert asking.once(known["good"]).cursor == "2"
    assert started() == []


# --- with a daemon ---

COUNTING = (
    "%%sensor counts --job work --every 0.1\n"
    "known = int(cursor or 0)\n"
    "cursor = str(known + 1)\n"
    "RunRequest(tags={'number': str(known)})"
)


@contextmanager
def daemon(root: Path, mark: str) -> Iterator[subprocess.Popen[bytes]]:
    process = daemon_process(root, mark)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def numbers(root: Path) -> list[int]:
    with opened(root) as store:
        return sorted(int(run.tags["number"]) for run in store.runs(limit=10_000) if "number" in run.tags)


def cursor(root: Path) -> int:
    with opened(root) as store:
        state = store.automation.states("default").get(("sensor", "counts"))
    return int(state.cursor or 0) if state is not None else 0


def test_each_cursor_launches_once_whoever_is_killed(project, tmp_path):
    """Kill the daemon, or the process that asks sensors, at any moment; look whether each number has one run."""
    write_notebook(project / "s.ipynb", [COUNTING, "%%asset a\n1", "%job work a"])
    mark = f"sensors-{os.getpid()}"
    for turn in range(6):
        reached = cursor(project)
        with daemon(project, mark) as process:
            eventually(lambda reached=reached: cursor(project) >= reached + 3)
            if turn % 2:
                trunk = next(
                    each for each in psutil.Process(process.pid).children() if "trunk" in " ".join(each.cmdline())
                )
                trunk.kill()
                before = cursor(project)
                eventually(lambda before=before: cursor(project) > before)
            time.sleep(0.01 * turn)  # another moment each time
    found = numbers(project)
    assert found == list(range(len(found)))
    assert len(found) == cursor(project)
    with sqlite3.connect(project / ".nbpipe" / "state.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_sensor_goes_on_while_its_notebook_is_garbage(project):
    notebook = write_notebook(project / "s.ipynb", [COUNTING])
    write_notebook(project / "a.ipynb", ["%%asset a\n1", "%job work a"])
    with daemon(project, f"garbage-{os.getpid()}"):
        eventually(lambda: cursor(project) >= 2)
        notebook.write_text("{ this is no notebook")
        reached = cursor(project)
        eventually(lambda: "s.ipynb: " in (project / "daemon.log").read_text())
        eventually(lambda: cursor(project) > reached + 3)
