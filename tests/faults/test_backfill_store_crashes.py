"""What is left of a backfill in a state store when processes race for it, or die."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest
from pyroaring import BitMap

from nbpipe.core.backfills.records import Backfill, Portion
from nbpipe.storage.open import open_store
from tests.databases import fresh_schema, postgresql_programs, postgresql_server
from tests.stores import NOON

pytestmark = pytest.mark.faults

COUNT = 120
RACES = 10

CLAIMER = """
import sys
from pathlib import Path
import msgspec
from nbpipe.storage.open import open_store
from tests.stores import NOON, WORKER

store = open_store(sys.argv[1], root=Path(sys.argv[2]))
worker = msgspec.structs.replace(WORKER, pid=int(sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[4])):
    print(int(store.backfills.claim(f"b{number}", worker, at=NOON)), flush=True)
store.close()
"""

# works on a backfill from where it stands, one partition per run
DRIVER = """
import sys
from pathlib import Path
import msgspec
from pyroaring import BitMap
from nbpipe.core.backfills.records import Portion
from nbpipe.core.records import RunAsset
from nbpipe.storage.open import open_store
from tests.stores import NOON, WORKER, run, steps

store = open_store(sys.argv[1], root=Path(sys.argv[2]))
kept, worker = store.backfills, msgspec.structs.replace(WORKER, pid=int(sys.argv[3]))
assert kept.claim("b0", worker, at=NOON, instead_of=kept.backfill("b0").worker)
print("ready", flush=True)
sys.stdin.readline()

def settle(run_id):
    found = BitMap(int(place.partition) for place in store.run_assets(run_id))
    kept.settle("b0", worker, run_id, {"a": Portion(requested={}, done={(): found})}, at=NOON)

for run_id in kept.open_runs("b0"):
    settle(run_id)
portion = kept.portions("b0")["a"]
for number in portion.requested[()] - portion.done.get((), BitMap()):
    run_id = f"{worker.pid}-{number}"
    places = [RunAsset(run_id=run_id, asset="a", partition=str(number))]
    kept.launch("b0", worker, run(run_id, assets=("a",)), steps(run_id), places, b"")
    settle(run_id)
    print(number, flush=True)
kept.advance("b0", "success", at=NOON, worker=worker)
store.close()
"""


def started(program, url, root, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, url, str(root), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(*processes):
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


@pytest.fixture(params=["sqlite", *(["postgresql"] if postgresql_programs() else [])])
def url(request):
    if request.param == "sqlite":
        yield "sqlite:///state.db"
        return
    with postgresql_server() as server:
        yield fresh_schema(server, "crashes")


def create(url, root, count):
    store = open_store(url, root=root)
    for number in range(count):
        backfill = Backfill(id=f"b{number}", env="default", assets=("a",), created_at=NOON)
        store.backfills.create(backfill, {"a": Portion(requested={(): BitMap(range(COUNT))})}, b"plan")
    store.close()


def test_of_four_processes_that_claim_a_backfill_one_wins(tmp_path, url):
    create(url, tmp_path, RACES)
    processes = [started(CLAIMER, url, tmp_path, pid, RACES) for pid in range(4)]
    go(*processes)
    won = [list(map(int, process.communicate(timeout=120)[0].split())) for process in processes]
    assert [sum(column) for column in zip(*won, strict=True)] == [1] * RACES
    store = open_store(url, root=tmp_path)
    for number in range(RACES):
        assert won[store.backfills.backfill(f"b{number}").worker.pid][number] == 1
    store.close()


def test_killed_again_and_again_a_backfill_starts_every_partition_exactly_once(tmp_path, url):
    create(url, tmp_path, 1)
    chance, kills = random.Random(5), 0
    for pid in range(100):
        with started(DRIVER, url, tmp_path, pid) as process:
            go(process)
            lines = [process.stdout.readline() for _ in range(chance.randrange(1, 25))]
            if lines[-1]:
                process.send_signal(signal.SIGKILL)
                kills += 1
        store = open_store(url, root=tmp_path)
        found, portion = store.backfills.backfill("b0"), store.backfills.portions("b0")["a"]
        assert found.done == len(portion.done.get((), ()))
        assert len(store.backfills.runs("b0", limit=1000)) == found.done + len(store.backfills.open_runs("b0"))
        store.close()
        if found.status == "success":
            break
    assert kills > 2
    store = open_store(url, root=tmp_path)
    assert store.backfills.portions("b0")["a"].done == {(): BitMap(range(COUNT))}
    assert store.backfills.open_runs("b0") == []
    launched = Counter(
        int(place.partition) for one in store.backfills.runs("b0", limit=1000) for place in store.run_assets(one.id)
    )
    assert launched == dict.fromkeys(range(COUNT), 1)
    events = [event.id for event in store.events(limit=10_000)]
    assert events == sorted(set(events))  # with gaps on PostgreSQL, whose sequences don't go back with a transaction
    assert events[-1] == store.revision()
    store.close()
    if url.startswith("sqlite"):
        connection = sqlite3.connect(tmp_path / "state.db")
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
