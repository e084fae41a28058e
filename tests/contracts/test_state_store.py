"""What every state store promises."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nbpipe.core.records import AssetState, Details, Preview, WorkerState
from nbpipe.errors import ConflictError, MissingValueError, StateError, UnknownNameError
from tests.stores import NOON, WORKER, later, new, places, run, steps, stored

ENV = "default"
FINAL = ["success", "failure", "canceled"]


def outcomes(store, run_id="r1"):
    return {place.asset: place.outcome for place in store.run_assets(run_id)}


def start(store, run_id="r1", *assets, **changes):
    store.create_run(run(run_id, **changes), steps(run_id), places(run_id, *assets), b"plan")
    assert store.claim_run(run_id, WORKER, at=NOON)
    assert store.advance_run(run_id, "running", at=NOON)


# --- commits ------------------------------------------------------------------------------------


def test_a_commit_returns_and_keeps_everything_but_the_bulk(store):
    preview = Preview(kind="image", image=b"\x89PNG\x00", columns=("x",), rows=(("1",),), text="<b>")
    value = new(
        stored=stored("a/1", preview=preview, metadata={"rows": 3, "dtypes": ["int64"]}, opaque=True, type="t"),
        code=(("body", "h1"), ("helper:clean", "h2")),
        sources={"h1": "x = 1", "h2": "def clean(): ...\n# ä\x00"},
        inputs={"up": "d9"},
        input_versions={"up": 4},
        files={"data/x.csv": "f1", "gone.csv": ""},
        parameters={"n": "20"},
        parameter_defaults={"n": "10"},
        notebook="nb.ipynb",
        cell_id="c",
        duration=1.5,
        peak_memory=2**40,
        metadata={"note": "ok", "nested": {"a": [1, None]}},
        displays=({"text/plain": "hi"},),
    )
    (made,) = store.commit([value])
    assert (made.version, made.asset, made.env, made.created_at) == (1, "a", ENV, NOON)
    assert made.stored == stored("a/1", metadata={"rows": 3, "dtypes": ["int64"]}, opaque=True, type="t")
    for name in (
        *("code", "code_version", "inputs", "input_versions", "files", "parameters", "parameter_defaults"),
        *("notebook", "cell_id", "duration", "peak_memory", "metadata"),
    ):
        assert getattr(made, name) == getattr(value, name)
    assert store.materialization(ENV, "a") == made
    assert store.details(made.id) == Details(preview=preview, displays=({"text/plain": "hi"},))
    assert store.sources(["h1", "h2", "h3"]) == {"h1": "x = 1", "h2": "def clean(): ...\n# ä\ufffd"}


def test_versions_count_from_one_per_asset_partition_and_environment(store):
    values = [new("a"), new("a"), new("b"), new("a", partition="2024-01-01"), new("a", env="prod"), new("a")]
    assert [made.version for made in store.commit(values)] == [1, 2, 1, 1, 1, 3]
    assert [made.version for made in store.history(ENV, "a")] == [3, 2, 1]
    assert [made.version for made in store.history(ENV, "a", limit=1)] == [3]
    assert store.materialization(ENV, "a", partition="2024-01-01").version == 1
    assert store.materialization("prod", "a").env == "prod"
    assert store.materialization(ENV, "a", version=2).version == 2
    assert store.materialization(ENV, "a", version=9) is None
    assert store.materialization(ENV, "nobody") is None
    assert store.history(ENV, "nobody") == []


def test_an_old_commit_keeps_its_own_code(store):
    store.commit([new(code=(("body", "old"),), code_version="c-old")])
    store.commit([new(code=(("body", "new"),), code_version="c-new")])
    assert [made.code for made in store.history(ENV, "a")] == [(("body", "new"),), (("body", "old"),)]


class Awkward:
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        ((1, 2), [1, 2]),
        (NOON, "2024-05-01T12:00:00.123456Z"),
        (2**80, 2**80),
        ("\ud800", "?"),
        (1 + 2j, "(1+2j)"),
        ({(1, 2): "x"}, {"(1, 2)": "x"}),
        (Awkward(), "<Awkward>"),
        (float("nan"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_metadata_that_json_does_not_know_never_costs_the_value(store, given, kept):
    (made,) = store.commit([new(metadata={"m": given})])
    assert made.metadata == {"m": kept}
    assert store.materialization(ENV, "a") == made


def test_metadata_that_holds_itself_never_costs_the_value(store):
    circle: dict[str, object] = {}
    circle["self"] = circle
    (made,) = store.commit([new(metadata=circle)])
    assert "self" in made.metadata


def test_a_commit_that_can_not_be_written_changes_nothing(store):
    store.commit([new("a")])
    revision = store.revision()
    with pytest.raises((TypeError, AttributeError)):
        store.commit([new("a"), new("b", created_at=None)])
    assert store.materialization(ENV, "a").version == 1
    assert set(store.states(ENV)) == {"a"}
    assert store.revision() == revision


def test_an_empty_commit_is_no_change(store):
    revision = store.revision()
    assert store.commit([]) == ()
    assert store.revision() == revision


# --- states -------------------------------------------------------------------------------------


def test_states_are_those_of_one_environment_sorted_by_name(store):
    store.commit([new("b"), new("a"), new("c", env="prod"), new("d", partition="k")])
    assert list(store.states(ENV)) == ["a", "b"]
    assert list(store.states("prod")) == ["c"]
    assert store.states("nowhere") == {}


def test_named_states_are_all_there_even_if_nothing_is_known(store):
    (a, _) = store.commit([new("a"), new("b")])
    assert store.states(ENV, ["z", "a"]) == {"a": AssetState(asset="a", current=a), "z": AssetState(asset="z")}
    assert store.states(ENV, []) == {}


def test_a_failure_leaves_the_current_value_and_is_cleared_by_a_commit(store):
    (made,) = store.commit([new("a")])
    store.record_failure(ENV, ["a", "b"], "boom\x00", at=later(1), run_id="r0")
    failed = store.states(ENV)
    assert failed["a"] == AssetState(asset="a", current=made, failed_at=later(1), error="boom\ufffd", failed_run="r0")
    assert failed["b"].current is None
    assert failed["b"].error == "boom\ufffd"
    store.commit([new("a"), new("b")])
    assert [state.failed_at for state in store.states(ENV).values()] == [None, None]
    assert store.materialization(ENV, "b").version == 1


def test_the_latest_failure_counts(store):
    store.record_failure(ENV, ["a"], "one", at=later(1))
    store.record_failure(ENV, ["a"], "two", at=later(2))
    assert store.states(ENV)["a"].error == "two"


def test_found_unchanged_clears_a_failure_and_names_the_version(store):
    store.commit([new("a")])
    store.record_failure(ENV, ["a"], "boom", at=later(1))
    start(store)
    store.record_unchanged(ENV, ["a"], at=later(2), run_id="r1")
    assert store.states(ENV)["a"].failed_at is None
    place = store.run_assets("r1")[0]
    assert (place.asset, place.outcome, place.version) == ("a", "unchanged", 1)


# --- rollback, wipe, rename, expiry -----------------------------------------------------------------


def test_a_rolled_back_asset_is_held_until_the_next_commit(store):
    store.commit([new("a", "a/1")])
    store.commit([new("a", "a/2")])
    store.record_failure(ENV, ["a"], "boom", at=later(1))
    assert store.rollback(ENV, "a", 1, at=later(2)).version == 1
    state = store.states(ENV)["a"]
    assert (state.current.stored.path, state.held, state.failed_at) == ("a/1", True, None)
    assert store.commit([new("a", "a/3")])[0].version == 3
    assert not store.states(ENV)["a"].held


@pytest.mark.parametrize(("asset", "version"), [("a", 3), ("a", 1), ("nobody", 1)])
def test_rollback_to_what_is_not_there_is_refused(store, asset, version):
    store.commit([new("a", "a/1")])
    store.commit([new("a", "a/2")])
    store.expire(ENV, 1, at=later(1))
    with pytest.raises(MissingValueError):
        store.rollback(ENV, asset, version, at=later(2))
    assert store.materialization(ENV, "a").version == 2


def test_versions_go_on_counting_after_a_wipe(store):
    store.commit([new("a", "a/1"), new("a", "a/2"), new("a", "a/k", partition="k")])
    store.record_failure(ENV, ["a"], "boom", at=later(1))
    removed = store.wipe(ENV, "a", at=later(2))
    assert sorted(value.path for value in removed) == ["a/1", "a/2", "a/k"]
    assert store.states(ENV) == {}
    assert store.materialization(ENV, "a") is None
    assert [made.expired for made in store.history(ENV, "a")] == [True, True]
    assert store.commit([new("a", "a/3")])[0].version == 3
    assert list(store.kept_paths()) == [("files", "a/3")]


def test_one_partition_can_be_wiped(store):
    store.commit([new("a", "a/k", partition="k"), new("a", "a/l", partition="l")])
    assert [value.path for value in store.wipe(ENV, "a", at=NOON, partition="k")] == ["a/k"]
    assert store.materialization(ENV, "a", partition="k") is None
    assert store.materialization(ENV, "a", partition="l").version == 1


def test_wiping_what_is_not_there_does_nothing(store):
    revision = store.revision()
    assert store.wipe(ENV, "nobody", at=NOON) == ()
    assert store.revision() == revision


def test_a_rename_takes_everything_along(store):
    store.commit([new("old", "o/1"), new("old", "o/2"), new("old", "o/k", partition="k"), new("old", env="prod")])
    store.create_run(run(), steps(), places("r1", "old"), b"")
    store.rename(ENV, "old", "fresh", at=later(1))
    assert list(store.states(ENV)) == ["fresh"]
    assert store.states(ENV)["fresh"].activity == "queued"
    assert [(made.asset, made.version) for made in store.history(ENV, "fresh")] == [("fresh", 2), ("fresh", 1)]
    assert store.materialization(ENV, "fresh", partition="k").version == 1
    assert store.materialization(ENV, "old") is None
    assert list(store.states("prod")) == ["old"]
    assert [event.kind for event in store.events(asset="fresh")] == ["asset_materialized"] * 3 + ["asset_renamed"]
    assert store.run_assets("r1")[0].asset == "fresh"
    assert store.commit([new("old")])[0].version == 1


def test_a_rename_to_a_name_with_history_is_refused(store):
    store.commit([new("old"), new("taken")])
    store.wipe(ENV, "taken", at=NOON)
    with pytest.raises(ConflictError, match="taken"):
        store.rename(ENV, "old", "taken", at=NOON)
    assert store.materialization(ENV, "old").version == 1


def test_a_rename_to_a_name_that_only_failed_is_fine(store):
    store.commit([new("old")])
    store.record_failure(ENV, ["fresh"], "boom", at=NOON)
    store.rename(ENV, "old", "fresh", at=NOON)
    assert store.states(ENV)["fresh"].failed_at is None
    assert store.materialization(ENV, "fresh").version == 1


def test_a_rename_to_itself_is_no_change(store):
    store.commit([new("a")])
    revision = store.revision()
    store.rename(ENV, "a", "a", at=NOON)
    assert store.revision() == revision


def test_expiry_keeps_the_newest_of_each_asset_and_partition(store):
    for number in range(1, 6):
        store.commit([new("a", f"a/{number}", displays=({"text/plain": "x"},)), new("a", f"k/{number}", partition="k")])
    store.commit([new("a", "p/1", env="prod"), new("a", "p/2", env="prod"), new("a", "p/3", env="prod")])
    removed = store.expire(ENV, 2, at=later(1))
    assert sorted(value.path for value in removed) == ["a/1", "a/2", "a/3", "k/1", "k/2", "k/3"]
    assert store.expire(ENV, 2, at=later(1)) == ()
    assert [made.expired for made in store.history(ENV, "a")] == [False, False, True, True, True]
    assert store.details(store.materialization(ENV, "a", version=1).id) == Details()
    assert sorted(path for _, path in store.kept_paths()) == ["a/4", "a/5", "k/4", "k/5", "p/1", "p/2", "p/3"]


def test_expiry_spares_what_a_person_rolled_back_to(store):
    for number in range(1, 5):
        store.commit([new("a", f"a/{number}")])
    store.rollback(ENV, "a", 1, at=NOON)
    assert [value.path for value in store.expire(ENV, 1, at=NOON)] == ["a/2", "a/3"]
    assert store.materialization(ENV, "a").stored.path == "a/1"


@pytest.mark.parametrize("status", ["queued", "running"])
def test_expiry_spares_what_was_current_since_the_oldest_active_run_began(store, status):
    store.commit([new("a", "a/1")])
    store.commit([new("a", "a/2")])
    if status == "queued":
        store.create_run(run(), steps(), places(), b"")
    else:
        start(store)
    store.commit([new("a", "a/3")])
    store.commit([new("a", "a/4")])
    assert [value.path for value in store.expire(ENV, 1, at=NOON)] == ["a/1"]
    store.advance_run("r1", "success", at=NOON)
    assert [value.path for value in store.expire(ENV, 1, at=NOON)] == ["a/2", "a/3"]


# --- runs ---------------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_made(store):
    made = run(
        job="nightly",
        trigger="schedule:s",
        selection="+a",
        partition="2024-01-01",
        parameters={"n": 3, "s": "ü", "l": [1.5]},
        tags={"k": "v"},
        parent="r0",
    )
    planned = steps(count=12)
    store.create_run(made, planned, places("r1", "b", "a"), b"\x00plan")
    assert store.run("r1") == made
    assert store.steps("r1") == planned
    assert store.run_assets("r1") == places("r1", "b", "a")
    assert store.run_assets("r1", skip=1) == places("r1", "b", "a")[1:]
    assert store.run_assets("r1", outcomes=["queued"], skip=1, limit=5) == places("r1", "b", "a")[1:]
    assert store.run_assets("r1", assets=["a"], skip=1, limit=1) == []
    assert store.plan("r1") == b"\x00plan"
    with pytest.raises(ConflictError):
        store.create_run(made, planned, (), b"")


def test_unknown_runs(store):
    assert store.run("r9") is None
    assert store.run("") is None
    assert store.plan("r9") is None
    assert store.steps("r9") == []
    assert store.run_assets("r9") == []
    assert not store.claim_run("r9", WORKER, at=NOON)
    for call in (
        lambda: store.advance_run("r9", "running", at=NOON),
        lambda: store.request_cancel("r9", at=NOON),
        lambda: store.update_step("r9", 0, "running", at=NOON),
        lambda: store.update_run_assets("r9", ["a"], "running", at=NOON),
    ):
        with pytest.raises(UnknownNameError, match="r9"):
            call()


def test_a_run_is_found_by_an_unambiguous_prefix(store):
    for run_id in ("abc1", "abc2", "abd", "ABC3", "a%"):
        store.create_run(run(run_id), (), (), b"")
    assert store.run("abd").id == "abd"
    assert store.run("abc1").id == "abc1"
    assert store.run("AB").id == "ABC3"
    assert store.run("a%").id == "a%"
    with pytest.raises(UnknownNameError, match="abc1, abc2"):
        store.run("abc")


def test_a_whole_identifier_wins_over_longer_ones(store):
    for run_id in ("ab", "abc"):
        store.create_run(run(run_id), (), (), b"")
    assert store.run("ab").id == "ab"


def test_runs_are_listed_newest_first_and_page_by_page(store):
    for number in range(6):
        env = "prod" if number % 2 else ENV
        store.create_run(run(f"r{number}", created_at=later(number // 2), env=env), (), (), b"")
    assert [found.id for found in store.runs()] == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert [found.id for found in store.runs(env=ENV)] == ["r4", "r2", "r0"]
    assert [found.id for found in store.runs(limit=2)] == ["r5", "r4"]
    assert [found.id for found in store.runs(limit=2, before="r4")] == ["r3", "r2"]
    assert [found.id for found in store.runs(before="r0")] == []
    assert [found.id for found in store.runs(before="unknown")] == []


def test_runs_that_a_process_has_are_listed_without_those_that_wait(store):
    for number, worker in (("r1", None), ("r2", WORKER), ("r3", None)):
        store.create_run(run(number, worker=worker), (), (), b"")
    store.claim_run("r3", WORKER, at=NOON)
    assert {each.id for each in store.runs(taken=True)} == {"r2", "r3"}
    assert [each.id for each in store.runs(statuses=("queued",), taken=True)] == ["r2"]
    assert len(store.runs()) == 3


def test_runs_are_listed_by_status(store):
    for run_id in ("q", "s", "ok"):
        store.create_run(run(run_id), (), (), b"")
    store.claim_run("s", WORKER, at=NOON)
    store.advance_run("ok", "success", at=NOON)
    assert {found.id for found in store.runs(statuses=["queued", "starting", "running"])} == {"q", "s"}
    assert {found.id for found in store.runs(statuses=["success", "queued"])} == {"q", "ok"}
    assert {found.id for found in store.runs(statuses=["starting"])} == {"s"}


def test_a_run_is_claimed_once(store):
    store.create_run(run(), steps(), places(), b"")
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: store.claim_run("r1", WORKER, at=NOON), range(8)))
    assert claims.count(True) == 1
    claimed = store.run("r1")
    assert (claimed.status, claimed.worker) == ("starting", WORKER)


def test_a_status_changes_only_from_what_is_expected(store):
    store.create_run(run(), steps(), places(), b"")
    assert not store.advance_run("r1", "running", at=NOON, expect=["starting"])
    assert store.run("r1").status == "queued"
    assert store.advance_run("r1", "running", at=later(1), expect=["queued", "starting"])
    assert store.advance_run("r1", "running", at=later(2))
    assert store.run("r1").started_at == later(1)
    assert store.advance_run("r1", "failure", at=later(3), error="boom")
    ended = store.run("r1")
    assert (ended.status, ended.error, ended.started_at, ended.ended_at) == ("failure", "boom", later(1), later(3))
    assert not store.advance_run("r1", "success", at=later(4))
    assert store.run("r1").status == "failure"


@pytest.mark.parametrize(
    ("status", "step_ends", "asset_ends"),
    [
        ("success", ["success", "skipped"], ["success", "skipped", "skipped"]),
        ("failure", ["failure", "skipped"], ["success", "failed", "skipped"]),
        ("canceled", ["canceled", "canceled"], ["success", "canceled", "canceled"]),
    ],
)
def test_the_end_of_a_run_ends_its_steps_and_assets(store, status, step_ends, asset_ends):
    start(store, "r1", "a", "b", "c")
    store.commit([new("a", run_id="r1")])
    store.update_run_assets("r1", ["b"], "running", at=NOON)
    store.update_step("r1", 0, "running", at=NOON)
    assert {name: state.activity for name, state in store.states(ENV).items()} == {
        "a": "",
        "b": "running",
        "c": "queued",
    }
    store.advance_run("r1", status, at=later(1), error="gone")
    assert [step.status for step in store.steps("r1")] == step_ends
    assert [step.ended_at for step in store.steps("r1")] == [later(1)] * 2
    assert list(outcomes(store).values()) == asset_ends
    assert all(state.activity == "" for state in store.states(ENV).values())
    failed = {name for name, state in store.states(ENV).items() if state.failed_at}
    assert failed == ({"b"} if status == "failure" else set())


def test_a_step_changes_only_in_what_is_given(store):
    start(store)
    store.update_step("r1", 0, "running", at=later(1), kernel=WORKER)
    store.update_step("r1", 0, "running", at=later(2), executed=["a"])
    store.update_step("r1", 0, "failure", at=later(3), error="boom", record_hash="h")
    step, other = store.steps("r1")
    assert (step.status, step.started_at, step.ended_at, step.error) == ("failure", later(1), later(3), "boom")
    assert (step.executed, step.kernel, step.record_hash) == (("a",), WORKER, "h")
    assert other == steps()[1]
    with pytest.raises(UnknownNameError):
        store.update_step("r1", 7, "running", at=NOON)


def test_nothing_starts_in_a_run_that_has_ended(store):
    start(store)
    store.advance_run("r1", "failure", at=later(1))
    store.update_step("r1", 0, "running", at=later(2))
    store.update_run_assets("r1", ["a"], "running", at=later(2))
    assert store.steps("r1")[0].status == "skipped"
    assert outcomes(store) == {"a": "skipped", "b": "skipped"}
    assert store.states(ENV) == {}
    store.update_step("r1", 0, "skipped", at=later(2), record_hash="h")
    assert store.steps("r1")[0].record_hash == "h"


def test_a_late_commit_counts_but_does_not_change_an_ended_run(store):
    start(store)
    store.advance_run("r1", "canceled", at=later(1))
    store.commit([new("a", run_id="r1")])
    assert store.materialization(ENV, "a").run_id == "r1"
    assert outcomes(store)["a"] == "canceled"


def test_commits_and_failures_show_in_their_run(store):
    start(store)
    store.commit([new("a", run_id="r1")])
    store.record_failure(ENV, ["b"], "boom", at=NOON, run_id="r1")
    a, b = store.run_assets("r1")
    assert (a.outcome, a.version) == ("success", 1)
    assert (b.outcome, b.error) == ("failed", "boom")
    assert store.states(ENV)["b"].failed_run == "r1"


def test_of_two_runs_with_one_asset_the_running_one_shows(store):
    start(store, "r1", "a")
    store.create_run(run("r2"), steps("r2"), places("r2", "a"), b"")
    assert store.states(ENV, ["a"])["a"].activity == "queued"
    store.update_run_assets("r1", ["a"], "running", at=NOON)
    assert store.states(ENV)["a"].activity == "running"
    store.advance_run("r1", "success", at=NOON)
    assert store.states(ENV)["a"].activity == "queued"


def test_activity_is_of_one_environment_and_of_whole_assets(store):
    store.create_run(run(env="prod"), (), places("r1", "a"), b"")
    partition = [place.__class__(run_id="r2", asset="b", partition="k") for place in places("r2", "b")]
    store.create_run(run("r2"), (), partition, b"")
    assert store.states(ENV) == {}
    assert store.states("prod")["a"].activity == "queued"


def test_a_queued_run_is_canceled_at_once_and_a_running_one_is_asked(store):
    store.create_run(run("q"), steps("q"), places("q"), b"")
    start(store, "r1")
    assert store.request_cancel("q", at=later(1))
    assert store.request_cancel("r1", at=later(1))
    assert (store.run("q").status, store.run("q").ended_at) == ("canceled", later(1))
    assert set(outcomes(store, "q").values()) == {"canceled"}
    assert (store.run("r1").status, store.run("r1").cancel_requested) == ("running", True)
    assert not store.request_cancel("q", at=later(2))


# --- workers ------------------------------------------------------------------------------------


def test_workers_live_as_long_as_their_beats_move(store):
    store.beat(WORKER, "run", at=NOON)
    store.beat(WORKER, "run", at=NOON)
    assert store.workers() == [WorkerState(worker=WORKER, kind="run", beats=2)]
    store.forget_worker(WORKER)
    store.forget_worker(WORKER)
    assert store.workers() == []


# --- events and revision --------------------------------------------------------------------------


def test_events_tell_the_story_in_order(store):
    store.commit([new("a")])
    start(store, "r1", "a", "b")
    store.update_run_assets("r1", ["a", "b"], "running", at=later(1))
    store.commit([new("a", run_id="r1")])
    store.advance_run("r1", "failure", at=later(2), error="boom")
    kinds = [(event.kind, event.asset) for event in store.events(run_id="r1")]
    assert kinds == [
        ("run_queued", None),
        ("run_claimed", None),
        ("run_started", None),
        ("asset_started", "a"),
        ("asset_started", "b"),
        ("asset_materialized", "a"),
        ("run_failed", None),
        ("asset_failed", "b"),
    ]
    everything = store.events()
    assert [event.id for event in everything] == sorted(event.id for event in everything)
    assert everything[0].data == {"version": 1, "data_version": "d:a/x"}
    assert everything[0].at == NOON
    assert store.events(after=everything[2].id, limit=2) == everything[3:5]
    assert [event.kind for event in store.events(asset="a")] == [
        "asset_materialized",
        "asset_started",
        "asset_materialized",
    ]
    assert [event.asset for event in store.events(run_id="r1", asset="b")] == ["b", "b"]
    assert store.events(env="prod") == []
    assert store.events(asset="a", env="prod") == []
    assert store.events(after=10**6) == []


def test_the_revision_grows_with_every_change_but_not_with_beats(store):
    seen = [store.revision()]

    def changed():
        seen.append(store.revision())
        return seen[-1] > seen[-2]

    store.commit([new("a")])
    assert changed()
    store.record_failure(ENV, ["a"], "x", at=NOON)
    assert changed()
    store.create_run(run(), steps(), places(), b"")
    assert changed()
    store.claim_run("r1", WORKER, at=NOON)
    assert changed()
    store.update_step("r1", 0, "running", at=NOON)
    assert changed()
    store.update_run_assets("r1", ["a"], "running", at=NOON)
    assert changed()
    store.request_cancel("r1", at=NOON)
    assert changed()
    store.wipe(ENV, "a", at=NOON)
    assert changed()
    store.beat(WORKER, "run", at=NOON)
    assert not changed()


def test_waiting_returns_at_once_if_something_changed_already(store):
    since = store.revision()
    store.commit([new("a")])
    assert store.wait_for_change(since, 60) == store.revision() > since


def test_waiting_ends_when_the_time_is_up(store):
    since = store.revision()
    assert store.wait_for_change(since, 0.05) == since
    assert store.wait_for_change(since, 0) == since


def test_a_change_wakes_all_who_wait(store):
    since = store.revision()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(store.wait_for_change, since, 60) for _ in range(3)]
        store.beat(WORKER, "run", at=NOON)
        store.commit([new("a")])
        assert [future.result(timeout=30) > since for future in waiting] == [True] * 3


def test_closing_ends_the_waiting(store):
    since = store.revision()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait_for_change, since, 60)
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline and not waiting.done():
            store.revision()
        store.close()
        assert waiting.result(timeout=30) == since


def test_a_closed_store_says_so(store):
    store.close()
    store.close()
    with pytest.raises(StateError, match="closed"):
        store.states(ENV)
    with pytest.raises(StateError, match="closed"):
        store.commit([new("a")])


def test_several_threads_lose_nothing(store):
    ready = threading.Barrier(4)

    def work(number):
        ready.wait()
        return [store.commit([new("a"), new(f"b{number}")])[0].version for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        versions = sorted(version for made in pool.map(work, range(4)) for version in made)
    assert versions == list(range(1, 41))
    assert len(store.states(ENV)) == 5
    assert len(store.events(limit=1000)) == 80
