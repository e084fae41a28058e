from __future__ import annotations

import pytest

from nbpipe.core.records import RunAsset
from nbpipe.errors import RefusedError
from nbpipe.execution.retries import assets_to_retry
from nbpipe.testing import InMemoryStateStore
from tests import stores


def ended(*outcomes: str, status: str = "failure") -> InMemoryStateStore:
    store = InMemoryStateStore()
    names = [f"a{i}" for i in range(len(outcomes))]
    places = [RunAsset(run_id="r1", asset=name) for name in names]
    store.create_run(stores.run(assets=tuple(names)), stores.steps(), places, b"")
    store.claim_run("r1", stores.WORKER, at=stores.NOON)
    for name, outcome in zip(names, outcomes, strict=True):
        store.update_run_assets("r1", [name], outcome, at=stores.NOON)
    if status:
        store.update_step("r1", 0, "success", at=stores.NOON)
        store.advance_run("r1", status, at=stores.NOON)
    return store


def test_what_did_not_succeed_is_left():
    store = ended("success", "unchanged", "failed", "skipped", "canceled")
    run = store.run("r1")
    assert assets_to_retry(store, run, from_failure=True) == ("a2", "a3", "a4")
    assert assets_to_retry(store, run, from_failure=False) == ("a0", "a1", "a2", "a3", "a4")


@pytest.mark.parametrize(("status", "words"), [("", "still starting"), ("success", "all assets of run r1 succeeded")])
def test_a_run_that_has_not_ended_or_that_succeeded_is_refused(status, words):
    store = ended("success", "success", status=status)
    with pytest.raises(RefusedError, match=words):
        assets_to_retry(store, store.run("r1"), from_failure=True)
