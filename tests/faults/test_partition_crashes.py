"""What is left of the partitions in a state store when processes are many, or die."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys

import pytest
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import number_of
from nbpipe.storage.open import open_store
from tests.databases import fresh_schema, postgresql_programs, postgresql_server
from tests.partitions import at, chunk

pytestmark = pytest.mark.faults

ENV = "default"
SHARED = 4000
COUNT = 40

COMMITTER = """
import sys
from pathlib import Path
from nbpipe.storage.open import open_store
from tests.partitions import at, value_of

url, root, first, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
store = open_store(url, root=root)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    place = first + number % 500
    own, shared = (value_of(at(n), f"{n}/{first}-{number}") for n in (place, 4000))
    made = store.partitions.commit([own, shared])
    print(place, made[0].version, made[1].version, flush=True)
store.close()
"""


def committer(url, root, first, count):
    return subprocess.Popen(
        [sys.executable, "-c", COMMITTER, url, str(root), str(first), str(count)],
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


def agreed(store, *places):
    """Facts, what is current and the history tell the same of these partitions."""
    partitions = store.partitions
    facts = chunk(partitions.facts(ENV, "a"))
    for place in places:
        made = partitions.materialization(ENV, "a", str(place), at(place))
        history = partitions.history(ENV, "a", str(place), at(place), limit=10**6)
        assert history[0] == made
        assert [one.version for one in history] == list(range(made.version, 0, -1))
        assert facts.versions.get(place) == number_of(made.stored.data_version)
    return True


def test_four_processes_that_commit_to_one_chunk_lose_nothing(tmp_path, url):
    """They also race to make the store."""
    processes = [committer(url, tmp_path, 500 * number, COUNT) for number in range(4)]
    go(*processes)
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    told = [tuple(map(int, line.split())) for output in outputs for line in output.splitlines()]
    assert sorted(shared for _, _, shared in told) == list(range(1, 4 * COUNT + 1))
    store = open_store(url, root=tmp_path)
    places = [500 * number + n for number in range(4) for n in range(COUNT)]
    assert chunk(store.partitions.facts(ENV, "a")).materialized == BitMap([*places, SHARED])
    assert store.partitions.materialization(ENV, "a", "", at(SHARED)).version == 4 * COUNT
    assert agreed(store, *places, SHARED)
    assert [event.id for event in store.events(limit=10_000)] == list(range(1, 4 * COUNT + 1))
    store.close()


def test_killed_in_the_middle_of_commits_every_committed_partition_is_current(tmp_path, url):
    chance = random.Random(11)
    told: dict[int, int] = {}
    for _ in range(5):
        with committer(url, tmp_path, 0, 1_000_000) as process:
            go(process)
            for _ in range(chance.randrange(1, 60)):
                place, own, shared = map(int, process.stdout.readline().split())
                told |= {place: own, SHARED: shared}
            process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    place, own, shared = map(int, line.split())
                    told |= {place: own, SHARED: shared}
        store = open_store(url, root=tmp_path)
        current = {place: store.partitions.materialization(ENV, "a", str(place), at(place)).version for place in told}
        assert all(current[place] >= version for place, version in told.items())
        there = chunk(store.partitions.facts(ENV, "a")).materialized
        assert current[SHARED] == len(store.events(limit=10**6))  # both values of a commit, or none
        assert len(there) - 1 <= current[SHARED]
        assert agreed(store, *there)
        store.close()
    if url.startswith("sqlite"):
        connection = sqlite3.connect(tmp_path / "state.db")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
