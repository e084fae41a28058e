"""Runs whose worker is gone are ended, and others left alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nbpipe.execution import liveness
from nbpipe.execution.reconcile import GONE, reconcile
from nbpipe.execution.workers import this_worker
from nbpipe.testing import InMemoryStateStore
from tests import stores

ELSEWHERE = msgspec.structs.replace(this_worker(), host="another machine")
DEAD = msgspec.structs.replace(this_worker(), started=1.0)


def with_run(worker=None, *, claimed: bool = True) -> InMemoryStateStore:
    store = InMemoryStateStore()
    store.create_run(stores.run(worker=None if claimed else worker), stores.steps(), stores.places(), b"")
    if claimed:
        store.claim_run("r1", worker, at=stores.NOON)
    return store


@pytest.mark.parametrize(
    ("worker", "claimed", "status"),
    [
        (this_worker(), True, "starting"),
        (DEAD, True, "failure"),
        (ELSEWHERE, True, "starting"),
        (None, False, "queued"),
        (this_worker(), False, "queued"),
        (DEAD, False, "failure"),
    ],
)
def test_a_run_ends_at_once_if_its_process_is_seen_to_be_gone(tmp_path: Path, worker, claimed, status):
    store = with_run(worker, claimed=claimed)
    ended = reconcile(store, tmp_path)
    assert store.run("r1").status == status
    assert ended == (["r1"] if status == "failure" else [])
    if ended:
        assert store.run("r1").error == GONE
        assert {step.status for step in store.steps("r1")} <= {"failure", "skipped"}


def test_a_run_elsewhere_ends_when_its_beats_have_stood_still(tmp_path: Path, monkeypatch):
    """Seen over several commands, by this machine's own clock."""
    now = 100.0
    monkeypatch.setattr(liveness.clock, "monotonic", lambda: now)
    store = with_run(ELSEWHERE)
    store.beat(ELSEWHERE, "run", at=stores.NOON)
    assert reconcile(store, tmp_path) == []
    now += 9
    assert reconcile(store, tmp_path) == []
    store.beat(ELSEWHERE, "run", at=stores.NOON)
    now += 9
    assert reconcile(store, tmp_path) == []
    now += 9
    assert reconcile(store, tmp_path) == []
    now += 2
    assert reconcile(store, tmp_path) == ["r1"]


def test_what_was_seen_before_the_machine_was_reset_does_not_count(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(liveness.clock, "monotonic", lambda: 100.0)
    store = with_run(ELSEWHERE)
    reconcile(store, tmp_path)
    monkeypatch.setattr(liveness, "_observer", lambda: "another boot")
    monkeypatch.setattr(liveness.clock, "monotonic", lambda: 500.0)
    assert reconcile(store, tmp_path) == []


def test_a_folder_that_cannot_be_written_or_a_damaged_file_is_no_error(tmp_path: Path):
    (tmp_path / ".nbpipe").mkdir()
    (tmp_path / ".nbpipe" / "sightings.json").write_text("damaged", encoding="utf-8")
    assert reconcile(with_run(ELSEWHERE), tmp_path) == []
    assert reconcile(with_run(ELSEWHERE), Path("/proc/nowhere")) == []


def test_a_backfill_whose_worker_is_gone_waits_to_be_resumed(tmp_path: Path):
    from nbpipe.core.backfills.records import Backfill

    store = InMemoryStateStore()
    for name, worker in (("dead", DEAD), ("alive", this_worker()), ("elsewhere", ELSEWHERE)):
        store.backfills.create(Backfill(id=name, env="default", created_at=stores.NOON), {}, b"")
        assert store.backfills.claim(name, worker, at=stores.NOON)
    reconcile(store, tmp_path, backfills=True)
    statuses = {found.id: found.status for found in store.backfills.backfills()}
    assert statuses == {"dead": "queued", "alive": "running", "elsewhere": "running"}
