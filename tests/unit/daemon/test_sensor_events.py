"""What sensors on assets see: each partition that was materialized counts once, however its run commits it."""

from __future__ import annotations

import pytest

from nbpipe.core.automation.definitions import JobDef, SensorDef
from nbpipe.core.automation.records import Tick
from nbpipe.core.definitions import Definitions
from nbpipe.core.ports import CursorChange, NewRun
from nbpipe.core.records import RunAsset
from nbpipe.daemon import sensor_events
from nbpipe.daemon.sensor_events import look
from nbpipe.execution.workers import this_worker
from nbpipe.storage.memory import InMemoryStateStore
from tests.partitions import value_of
from tests.stores import NOON, run
from tests.unit.core.backfills.models import asset

DAILY = "daily:2024-01-01"
DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]
SENSOR = SensorDef(name="inbox", kind="asset", job="work", assets=("a",))
DEFINITIONS = Definitions(
    jobs={"work": JobDef(name="work", selection="b")},
    assets={spec.key: spec for spec in (asset("a", partitions=DAILY), asset("b", "a", partitions=DAILY))},
)


class Sight:
    """A store, and a sensor that keeps what a daemon would keep of it."""

    def __init__(self) -> None:
        self.store = InMemoryStateStore()
        self.after = 0
        self.number = 0
        lease = self.store.automation.lead("default", this_worker(), at=NOON)
        assert lease is not None
        self.lease = lease

    def begin(self, run_id: str) -> None:
        rows = [RunAsset(run_id=run_id, asset="a", partition=key, step=0) for key in DAYS]
        self.store.create_run(run(run_id), [], rows, b"")
        assert self.store.claim_run(run_id, this_worker(), at=NOON)

    def commit(self, run_id: str | None, *days: int) -> None:
        self.store.partitions.commit(
            [value_of(((), day), partition=DAYS[day], run_id=run_id, path=f"{run_id}/{day}") for day in days]
        )

    def launched(self) -> list[str | None]:
        """Look until there is no more, and record what is asked for; return the partitions."""
        found = []
        place = None
        while True:
            seen = look(self.store, DEFINITIONS, "default", SENSOR, self.after, place)
            runs = []
            for request in seen.answer.runs:
                self.number += 1
                runs.append(NewRun(run=run(f"launched{self.number}"), run_key=request.run_key))
                found.append(request.partition_key)
            tick = Tick(source="sensor", name="inbox", scheduled_at=NOON, status="launched", at=NOON)
            change = CursorChange(old=None, new=None)
            kept = self.store.automation.tick(self.lease, tick, runs, cursor=change) if runs else None
            assert kept is None or len(kept.runs) == len(runs)
            self.after, place = seen.upto, seen.place
            if not seen.more:
                return found


@pytest.fixture
def sight():
    return Sight()


def test_a_run_that_commits_again_and_again_launches_each_partition_once(sight):
    sight.begin("r1")
    sight.commit("r1", 0, 1, 2)
    assert sight.launched() == DAYS[:3]
    sight.commit("r1", 3)
    sight.commit("r1", 4, 5)
    assert sight.launched() == DAYS[3:6]
    assert sight.launched() == []
    sight.begin("r2")
    sight.commit("r2", 1, 2)
    assert sight.launched() == DAYS[1:3]


@pytest.mark.parametrize("rows", [1, 3, 4, 6, 10, 12])
def test_a_large_run_is_gone_through_a_piece_at_a_time(sight, monkeypatch, rows):
    monkeypatch.setattr(sensor_events, "ROWS", rows)
    read = []
    run_assets = sight.store.run_assets
    monkeypatch.setattr(
        sight.store, "run_assets", lambda *given, **about: read.append(run_assets(*given, **about)) or read[-1]
    )
    sight.begin("r1")
    sight.begin("r2")
    sight.commit("r1", *range(6))
    sight.commit("r2", *range(4))
    sight.commit("r1", *range(6, 9))
    assert sight.launched() == [*DAYS[:9], *DAYS[:4]]
    assert max(map(len, read)) <= rows
    assert sight.launched() == []


def test_what_is_committed_while_a_run_is_gone_through_is_not_passed_over(sight, monkeypatch):
    monkeypatch.setattr(sensor_events, "ROWS", 2)
    sight.begin("r1")
    sight.commit("r1", 4, 5, 6, 7)
    first = look(sight.store, DEFINITIONS, "default", SENSOR, 0)
    assert (first.upto, first.more) == (0, True)
    sight.commit("r1", 0, 1)  # before the place
    found = {request.partition_key for request in first.answer.runs}
    seen = first
    while seen.more:
        seen = look(sight.store, DEFINITIONS, "default", SENSOR, seen.upto, seen.place)
        found |= {request.partition_key for request in seen.answer.runs}
    assert found == {DAYS[day] for day in (0, 1, 4, 5, 6, 7)}


def test_partitions_that_no_run_made_launch_too(sight):
    sight.commit(None, 0)
    assert sight.launched() == [DAYS[0]]
    sight.commit(None, 0)
    assert sight.launched() == [DAYS[0]]
    sight.commit(None, 1, 2)  # which ones is not known
    assert sight.launched() == [None]
