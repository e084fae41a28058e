"""A process is told apart from every other, also from a later one with its number."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from nbpipe.execution.workers import is_alive, this_worker, worker_of


def test_this_process_lives():
    assert is_alive(this_worker()) is True
    assert this_worker() == this_worker()


def test_a_process_that_ended_is_gone_also_while_nobody_has_waited_for_it():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = worker_of(process.pid)
    assert is_alive(worker) is True
    process.communicate(b"\n")
    assert is_alive(worker) is False
    with pytest.raises(ProcessLookupError):
        worker_of(process.pid)


@pytest.mark.parametrize(
    ("changes", "alive"),
    [
        ({"started": 1.0}, False),
        ({"boot_id": "another"}, False),
        ({"pid_namespace": "another"}, None),
        ({"host": "another"}, None),
        ({"host": "another", "boot_id": "another"}, None),
    ],
)
def test_only_what_can_be_seen_from_here_is_judged(changes, alive):
    assert is_alive(msgspec.structs.replace(this_worker(), **changes)) is alive
