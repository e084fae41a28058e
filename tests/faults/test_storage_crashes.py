"""What is left of a state store when processes are many, or die."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys

import pytest

from nbpipe.storage.open import open_store

pytestmark = pytest.mark.faults

URL = "sqlite:///.nbpipe/state.db"

COMMITTER = """
import sys
from pathlib import Path
from nbpipe.storage.open import open_store
from tests.stores import new

root, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = open_store("sqlite:///.nbpipe/state.db", root=root)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    shared, own = store.commit([new("shared", sources={f"h{number}": "x"}), new(name, displays=({"n": number},))])
    print(shared.version, own.version, flush=True)
store.close()
"""


def committer(root, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", COMMITTER, root, name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def sound(root):
    connection = sqlite3.connect(root / ".nbpipe" / "state.db")
    found = (
        connection.execute("PRAGMA integrity_check").fetchall(),
        connection.execute("PRAGMA foreign_key_check").fetchall(),
    )
    connection.close()
    return found == ([("ok",)], [])


def test_four_processes_that_commit_at_once_lose_nothing(tmp_path):
    """They also race to make the store."""
    count = 50
    processes = [committer(tmp_path, f"own{number}", count) for number in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    versions = [line.split() for output in outputs for line in output.splitlines()]
    assert sorted(int(shared) for shared, _ in versions) == list(range(1, 4 * count + 1))
    store = open_store(URL, root=tmp_path)
    states = store.states("default")
    assert {name: state.current.version for name, state in states.items()} == {
        "shared": 4 * count,
        **{f"own{number}": count for number in range(4)},
    }
    assert [made.version for made in store.history("default", "shared", limit=1000)] == list(range(4 * count, 0, -1))
    events = store.events(limit=10_000)
    assert [event.id for event in events] == list(range(1, 8 * count + 1))
    store.close()
    assert sound(tmp_path)


def test_killed_in_the_middle_of_commits_every_committed_value_is_readable(tmp_path):
    chance = random.Random(7)
    told = {"shared": 0, "own": 0}
    for _ in range(6):
        with committer(tmp_path, "own", 1_000_000) as process:
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("go\n")
            process.stdin.flush()
            for _ in range(chance.randrange(1, 60)):
                told["shared"], told["own"] = map(int, process.stdout.readline().split())
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().splitlines(keepends=True)
            for line in rest:
                if line.endswith("\n"):
                    told["shared"], told["own"] = map(int, line.split())
        store = open_store(URL, root=tmp_path)
        states = store.states("default")
        shared, own = states["shared"].current, states["own"].current
        assert shared.version == own.version >= told["shared"]  # both or none; what was told is there
        assert [made.version for made in store.history("default", "own", limit=10**6)] == list(
            range(own.version, 0, -1)
        )
        assert store.details(own.id).displays
        assert len(store.events(limit=10**6)) == 2 * own.version == store.revision()
        store.close()
    assert sound(tmp_path)
