"""Workers that can't be seen from here are judged by their beats and our own clock."""

from __future__ import annotations

import msgspec
import pytest

from nbpipe.core.records import WorkerId, WorkerState
from nbpipe.execution import liveness
from nbpipe.execution.liveness import PATIENCE, Sightings

FAR = WorkerId(host="far", boot_id="b", pid_namespace="n", pid=1, started=1.0)


@pytest.fixture
def moment(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(liveness.clock, "monotonic", lambda: now[0])
    return now


def state(worker, beats):
    return WorkerState(worker=worker, kind="run", beats=beats)


def test_a_counter_that_stands_still_for_long_means_that_the_worker_is_gone(tmp_path, moment):
    sightings = Sightings(tmp_path / "seen.json")
    assert not sightings.expired(FAR, [state(FAR, 1)])
    moment[0] += PATIENCE - 1
    assert not sightings.expired(FAR, [state(FAR, 2)])
    moment[0] += PATIENCE - 1
    assert not Sightings(tmp_path / "seen.json").expired(FAR, [state(FAR, 2)])
    moment[0] += 2
    assert Sightings(tmp_path / "seen.json").expired(FAR, [state(FAR, 2)])


def test_workers_of_long_ago_are_forgotten(tmp_path, moment):
    file = tmp_path / "seen.json"
    for number in range(50):
        worker = msgspec.structs.replace(FAR, pid=number)
        assert not Sightings(file).expired(worker, [state(worker, 1)])
        moment[0] += 600
    assert len(msgspec.json.decode(file.read_bytes())["workers"]) < 10
