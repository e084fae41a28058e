"""What is left of schedules and sensors in a state store when daemons race for the lead, or die."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import msgspec
import pytest

from nbpipe.core.automation.records import Tick
from nbpipe.core.ports import CursorChange, NewRun
from nbpipe.errors import ConflictError
from nbpipe.storage.open import open_store
from tests.databases import fresh_schema, postgresql_programs, postgresql_server
from tests.stores import NOON, WORKER, later, places, run, steps

pytestmark = pytest.mark.faults

TICKS = 60
DAEMONS = 3
LEAST_KILLS = 4
RACES = 20

# leads if nobody does, or if the lease stands still; then does what is not settled
DAEMON = """
import sys, time
from pathlib import Path
import msgspec
from nbpipe.core.automation.records import Tick
from nbpipe.core.ports import CursorChange, NewRun
from nbpipe.errors import ConflictError
from nbpipe.storage.open import open_store
from tests.stores import NOON, WORKER, later, places, run, steps

store = open_store(sys.argv[1], root=Path(sys.argv[2]))
kept, count = store.automation, int(sys.argv[4])
worker = msgspec.structs.replace(WORKER, pid=int(sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()

def news(number):
    return [NewRun(run=run(number), steps=steps(number), assets=places(number), plan=b"plan", run_key=number)]

def work(lease):
    while True:
        states = kept.states("default")
        minute = (states["schedule", "s"].since - NOON).seconds // 60 + 1
        cursor = states["sensor", "s"].cursor
        if minute > count and cursor == str(count):
            return
        if minute <= count:
            tick = Tick(source="schedule", name="s", scheduled_at=later(minute), status="launched", at=later(minute))
            kept.tick(lease, tick, news(f"{worker.pid}-s{minute}"))
        if cursor != str(count):
            number = str(int(cursor or 0) + 1)
            tick = Tick(source="sensor", name="s", scheduled_at=NOON, status="launched", at=NOON)
            runs = [msgspec.structs.replace(new, run_key=number) for new in news(f"{worker.pid}-c{number}")]
            kept.tick(lease, tick, runs, cursor=CursorChange(old=cursor, new=number))
        lease = kept.renew(lease, at=NOON)
        print("tick", flush=True)

seen, since = None, 0.0
while True:
    found = kept.lease("default")
    if found != seen:
        seen, since = found, time.monotonic()
    if found is None or time.monotonic() - since > 0.15:
        lease = kept.lead("default", worker, at=NOON, instead_of=found)
        if lease is not None:
            print("leads", flush=True)
            try:
                work(lease)
            except ConflictError:
                continue
            kept.resign(lease, at=NOON)
            break
    states = kept.states("default")
    if states["schedule", "s"].since >= later(count) and states["sensor", "s"].cursor == str(count):
        break
    time.sleep(0.01)
store.close()
"""


WANTER = (
    DAEMON.split("def news", maxsplit=1)[0]
    + f"""
for _ in range({RACES}):
    lease = kept.lead("default", worker, at=NOON)
    print(int(lease is not None), flush=True)
    sys.stdin.readline()
    if lease is not None:
        kept.resign(lease, at=NOON)
    print("resigned", flush=True)
    sys.stdin.readline()
store.close()
"""
)


@pytest.fixture(params=["sqlite", *(["postgresql"] if postgresql_programs() else [])])
def url(request):
    if request.param == "sqlite":
        yield "sqlite:///state.db"
        return
    with postgresql_server() as server:
        yield fresh_schema(server, "crashes")


@pytest.fixture
def store(url, tmp_path):
    opened = open_store(url, root=tmp_path)
    lease = opened.automation.lead("default", WORKER, at=NOON)
    opened.automation.begin(lease, "schedule", "s", since=NOON)
    opened.automation.set_cursor("default", "s", None, at=NOON)
    opened.automation.resign(lease, at=NOON)
    yield opened
    opened.close()


def started(url, root, pid, errors=None, program=DAEMON):
    return subprocess.Popen(
        [sys.executable, "-c", program, url, str(root), str(pid), str(TICKS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def tell(processes):
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def go(process):
    assert process.stdout.readline() == "ready\n"
    tell([process])


def finished(kept):
    states = kept.states("default")
    return states["schedule", "s"].since == later(TICKS) and states["sensor", "s"].cursor == str(TICKS)


class Daemons:
    """Three daemons, of which each that dies is replaced."""

    def __init__(self, start):
        self.start = start
        self.living = {pid: start(pid) for pid in range(DAEMONS)}
        self.kills = 0
        for process in self.living.values():
            go(process)

    def kill(self, pid):
        process = self.living.pop(pid)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.kills += 1
        number = DAEMONS + self.kills
        self.living[number] = self.start(number)
        tell([self.living[number]])

    def end(self):
        for process in self.living.values():
            process.communicate(timeout=60)


def check(store):
    """Each tick was done exactly once, with its run."""
    kept, many = store.automation, 10 * TICKS
    ticks = kept.ticks("default", "schedule", "s", limit=many)
    assert [tick.scheduled_at for tick in ticks] == [later(minute) for minute in range(TICKS, 0, -1)]
    assert len(kept.ticks("default", "sensor", "s", limit=many)) == TICKS
    launched = [run_id for tick in (*ticks, *kept.ticks("default", "sensor", "s", limit=many)) for run_id in tick.runs]
    assert sorted(launched) == sorted(one.id for one in store.runs(limit=many))
    found = Counter(run_id.split("-")[1] for run_id in launched)
    assert found == dict.fromkeys([f"{kind}{number}" for number in range(1, TICKS + 1) for kind in "sc"], 1)
    taken = [event.data["token"] for event in store.events(limit=100_000) if event.kind == "lease_taken"]
    assert taken == list(range(1, len(taken) + 1))
    assert len(taken) > LEAST_KILLS


def test_of_daemons_that_are_killed_and_replaced_each_tick_is_done_exactly_once(tmp_path, url, store):
    chance, kept, deadline = random.Random(11), store.automation, time.monotonic() + 120
    with (tmp_path / "errors").open("w") as errors:
        daemons = Daemons(lambda pid: started(url, tmp_path, pid, errors))
        while not finished(kept):
            assert time.monotonic() < deadline
            found = kept.lease("default")
            if found is None or found.worker.pid not in daemons.living:
                store.wait_for_change(store.revision(), 0.05)
                continue
            leader = daemons.living[found.worker.pid].stdout
            for _ in range(chance.randrange(4, 12)):
                leader.readline()
            # sometimes one that waits dies, too
            for pid in {found.worker.pid, chance.choice([found.worker.pid, *daemons.living])}:
                daemons.kill(pid)
        daemons.end()
    assert daemons.kills > LEAST_KILLS
    assert (tmp_path / "errors").read_text() == ""
    check(store)
    if url.startswith("sqlite"):
        connection = sqlite3.connect(tmp_path / "state.db")
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_of_processes_that_want_the_lead_at_once_one_gets_it(tmp_path, url, store):
    processes = [started(url, tmp_path, pid, program=WANTER) for pid in range(DAEMONS)]
    for process in processes:
        go(process)
    for _ in range(RACES):
        assert sum(int(process.stdout.readline()) for process in processes) == 1
        tell(processes)
        assert [process.stdout.readline() for process in processes] == ["resigned\n"] * DAEMONS
        tell(processes)
    for process in processes:
        process.communicate(timeout=60)
    assert store.automation.lease("default") is None


def test_a_daemon_that_lost_the_lead_without_noticing_changes_nothing(tmp_path, url, store):
    kept, errors = store.automation, (tmp_path / "errors").open("w")
    held_up = DAEMON.replace('print("tick", flush=True)', 'print("tick", flush=True); sys.stdin.readline()')
    with errors, started(url, tmp_path, 1, errors, held_up) as process:
        go(process)
        while process.stdout.readline() != "tick\n":
            pass
        other = msgspec.structs.replace(WORKER, pid=99)
        taken = kept.lead("default", other, at=NOON, instead_of=kept.lease("default"))
        assert taken is not None
        revision, states = store.revision(), kept.states("default")
        tell([process])
        # what it was about to write is refused; then it waits until the lease stands still, and leads by the rules
        assert store.wait_for_change(revision, 60) > revision
        process.kill()
    assert store.events(after=revision)[0].kind == "lease_taken"
    assert (tmp_path / "errors").read_text() == ""
    assert states["schedule", "s"].since >= later(1)
    late = Tick(source="schedule", name="s", scheduled_at=later(TICKS), status="launched", at=NOON)
    held = (store.revision(), kept.states("default"))
    with pytest.raises(ConflictError):
        kept.tick(taken, late, [NewRun(run=run("late"), steps=steps("late"), assets=places("late"))])
    with pytest.raises(ConflictError):
        kept.tick(taken, msgspec.structs.replace(late, source="sensor"), cursor=CursorChange(old=None, new="x"))
    assert (store.revision(), kept.states("default"), store.run("late")) == (*held, None)
