"""What every state store promises about partitions."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import PartitionFacts, number_of
from nbpipe.core.partitions.layouts import keep_layout, kept_layout, layout_of
from nbpipe.core.partitions.registries import KeyRegistry
from nbpipe.core.partitions.sets import CHUNK
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.records import Details, Preview, RunAsset
from nbpipe.errors import ConflictError, DeclarationError, MissingValueError, RefusedError
from nbpipe.storage.open import open_store
from tests.partitions import at, chunk, recipe, skipped, some, value_of
from tests.stores import NOON, WORKER, later, new, run, steps, stored

ENV = "default"


@pytest.fixture
def partitions(store):
    return store.partitions


def start(store, run_id="r1", *keys):
    places = [RunAsset(run_id=run_id, asset="a", partition=key) for key in keys]
    store.create_run(run(run_id, assets=("a",)), steps(run_id), places, b"plan")
    assert store.claim_run(run_id, WORKER, at=NOON)
    assert store.advance_run(run_id, "running", at=NOON)


def paths(values):
    return [value.path for value in values]


def test_partitions_of_a_run_are_counted_and_ended(store, partitions):
    start(store, "r1", "1", "2", "3", "4", "5")
    partitions.start(ENV, "a", some(1), run_id="r1", at=NOON, label="1")
    partitions.start(ENV, "a", some(2, 3), run_id="r1", at=NOON, label="2..3")
    assert [p.outcome for p in store.run_assets("r1")] == ["running", "queued", "queued", "queued", "queued"]
    partitions.skip([skipped(at(1), run_id="r1", reason="empty")])
    assert store.outcome_counts("r1") == {"a": {"idle": 1, "queued": 4}}
    store.end_partitions("r1", "a", "failed", at=NOON, keys=["1", "3"], error="boom", label="3")
    assert store.events(run_id="r1")[-1].kind == "partitions_failed"
    store.end_partitions("r1", "a", "skipped", at=NOON, error="not reached")
    assert store.outcome_counts("r1") == {"a": {"idle": 1, "failed": 1, "skipped": 3}}
    assert [p.partition for p in store.run_assets("r1", outcomes=["failed", "success"])] == ["3"]
    assert [p.partition for p in store.run_assets("r1", assets=["a"], outcomes=["skipped"], limit=2)] == ["1", "2"]
    assert store.run_assets("r1", assets=["b"]) == []
    store.advance_run("r1", "success", at=NOON)
    revision = store.revision()
    store.end_partitions("r1", "a", "failed", at=NOON)
    assert store.revision() == revision


def test_partitions_that_a_dying_run_worked_on_have_failed(store, partitions):
    start(store, "r1", "1", "2")
    partitions.start(ENV, "a", some(1), run_id="r1", at=NOON, label="1")
    store.advance_run("r1", "failure", at=NOON, error="gone")
    assert next((p.outcome, p.error) for p in store.run_assets("r1")) == ("failed", "gone")
    assert store.states(ENV) == {}


def test_places_in_a_run_stay_in_order_however_they_are_mixed(store):
    keys = ["b", "a", "größe", 'quo"te', "x|y"]
    mixed = [
        RunAsset(run_id="r1", asset="a"),
        *(RunAsset(run_id="r1", asset="b", partition=key, step=1) for key in keys),
        *(RunAsset(run_id="r1", asset="b", partition=f"later {key}", step=2) for key in keys),
        RunAsset(run_id="r1", asset="c", partition="1", outcome="success", version=3),
        RunAsset(run_id="r1", asset="c", partition="2", outcome="failed", error="boom"),
        *(RunAsset(run_id="r1", asset="a", partition=key) for key in keys),
    ]
    store.create_run(run("r1"), steps("r1"), mixed, b"plan")
    assert store.run_assets("r1") == mixed


@pytest.mark.parametrize("count", [3, 300])
def test_many_partitions_change_together_in_their_run(store, partitions, count):
    keys = [str(number) for number in range(count)]
    start(store, "r1", *keys)
    every, some_of = {(): BitMap(range(count))}, {(): BitMap(range(1, count))}
    partitions.start(ENV, "a", every, run_id="r1", at=NOON, label="all", keys=keys)
    assert store.outcome_counts("r1") == {"a": {"running": count}}
    partitions.stop(ENV, "a", every, run_id="r1", at=NOON, label="all", keys=keys)
    assert store.outcome_counts("r1") == {"a": {"queued": count}}
    assert chunk(partitions.facts(ENV, "a")).running == BitMap()
    partitions.commit([value_of(at(0))])
    made = partitions.commit([value_of(at(number), run_id="r1") for number in range(count)])
    assert [one.version for one in made] == [2] + [1] * (count - 1)
    assert [(p.outcome, p.version) for p in store.run_assets("r1")] == [("success", one.version) for one in made]
    partitions.fail(ENV, "a", some_of, "boom", at=NOON, label="1..", keys=keys[1:], run_id="r1")
    found = [(p.outcome, p.version, p.error) for p in store.run_assets("r1")]
    assert found == [("success", 2, None), *[("failed", 1, "boom")] * (count - 1)]
    assert [event.partition for event in store.events(run_id="r1")][-2:] == [f"0..{count - 1}", "1.."]


def test_what_becomes_of_a_whole_asset_leaves_its_partitions_alone(store):
    places = [RunAsset(run_id="r1", asset="a", partition=key) for key in ("", "1", "2")]
    store.create_run(run("r1", assets=("a",)), steps("r1"), places, b"plan")
    store.update_run_assets("r1", ["a"], "running", at=NOON)
    assert [p.outcome for p in store.run_assets("r1")] == ["running", "queued", "queued"]
    assert store.states(ENV)["a"].activity == "running"
    store.update_run_assets("r1", ["a"], "failed", at=NOON, error="boom")
    assert [p.outcome for p in store.run_assets("r1")] == ["failed", "queued", "queued"]
    assert "a" not in store.states(ENV)
    assert [event.kind for event in store.events(run_id="r1")] == ["run_queued", "asset_started", "asset_failed"]


# --- commits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "default/a/2024-01-01/0123.parquet",
        "default/a/2024-01-01%7Ceu/0123.tar.gz",
        "no-folder",
        "a/b",
        "a//b/",
        "s3/x/y/z/w.with many dots.longextension1234",
        "/lead/ing/slash.json",
        "",
    ],
)
def test_a_commit_returns_and_keeps_everything_but_the_bulk(store, partitions, path):
    metadata = {"rows": 3, "share": 0.5, "columns": ["x"], "sorted": True, "big": 2**80, "none": None}
    value = value_of(
        at(7),
        partition="2024-01-01",
        stored=stored(
            path, data_version="0af1", metadata=metadata, opaque=True, type="t", preview=Preview(kind="text", text="x")
        ),
        code=(("body", "h1"), ("helper:clean", "h2")),
        sources={"h1": "x = 1"},
        inputs={"up": "00ff", "other": "v1", "ODD": "0F"},
        input_versions={"up": 4, "down": 2**40},
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
    (made,) = partitions.commit([value])
    assert (made.version, made.asset, made.env, made.partition, made.created_at) == (1, "a", ENV, "2024-01-01", NOON)
    assert made.stored == stored(path, data_version="0af1", metadata=metadata, opaque=True, type="t")
    for name in (
        *("code", "code_version", "inputs", "input_versions", "files", "parameters", "parameter_defaults"),
        *("notebook", "cell_id", "duration", "peak_memory", "metadata"),
    ):
        assert getattr(made, name) == getattr(value.value, name)
    assert partitions.materialization(ENV, "a", "2024-01-01", at(7)) == made
    assert store.details(made.id) == Details()
    assert store.sources(["h1"]) == {"h1": "x = 1"}


def test_facts_say_what_was_committed(partitions):
    partitions.commit(
        [value_of(at(3), fingerprint=2**64 - 1), value_of(at(CHUNK + 1, 5), fingerprint=9, code_version="c2")]
    )
    facts = partitions.facts(ENV, "a")
    assert set(facts.chunks) == {((), 0), ((5,), 1)}
    one, other = chunk(facts), chunk(facts, 1, 5)
    assert (one.materialized, other.materialized) == (BitMap([3]), BitMap([1]))
    assert one.versions.get(3) == number_of("d:default/a/3/x.json")
    assert (one.inputs.get(3), other.inputs.get(1)) == (2**64 - 1, 9)
    assert one.codes == ((recipe("c1").number, BitMap([3])),)
    assert other.codes == ((recipe("c2").number, BitMap([1])),)


def test_versions_count_from_one_per_partition_asset_and_environment(partitions):
    values = [value_of(at(1)), value_of(at(2)), value_of(at(1), asset="b"), value_of(at(1), env="prod")]
    assert [made.version for made in partitions.commit(values)] == [1, 1, 1, 1]
    assert [made.version for made in partitions.commit([values[3], values[0]])] == [2, 2]
    assert partitions.commit([values[0]])[0].version == 3
    assert [made.version for made in partitions.history(ENV, "a", "1", at(1))] == [3, 2, 1]
    assert [made.version for made in partitions.history(ENV, "a", "1", at(1), limit=1)] == [3]
    assert partitions.materialization(ENV, "a", "1", at(1), version=2).version == 2
    assert partitions.materialization(ENV, "a", "1", at(1), version=9) is None
    assert partitions.materialization(ENV, "a", "9", at(9)) is None
    assert partitions.materialization(ENV, "nobody", "1", at(1)) is None
    assert partitions.history(ENV, "nobody", "1", at(1)) == []
    assert partitions.facts(ENV, "nobody") == PartitionFacts({})


def test_a_value_is_that_of_its_own_commit_whatever_else_the_batch_holds(partitions):
    values = [
        value_of(at(n), created_at=later(n), duration=n / 2, code_version=f"c{n % 2}", fingerprint=n) for n in range(5)
    ]
    made = partitions.commit(values)
    for n, one in enumerate(made):
        assert one == partitions.materialization(ENV, "a", str(n), at(n))
        assert (one.created_at, one.duration, one.code_version) == (later(n), n / 2, f"c{n % 2}")


def test_many_partitions_are_one_event(store, partitions):
    partitions.commit([value_of(at(n), run_id="r0") for n in range(10)])
    partitions.commit([value_of(at(3))])
    partitions.fail(ENV, "a", some(1, CHUNK + 1), "boom", at=NOON, label="1..4097")
    told = [(event.kind, event.partition, event.data.get("partitions")) for event in store.events(asset="a")]
    assert told == [
        ("partitions_materialized", "0..9", 10),
        ("partitions_materialized", "3", None),
        ("partitions_failed", "1..4097", 2),
    ]
    assert store.events(run_id="r0")[0].partition == "0..9"


def test_a_commit_that_can_not_be_written_changes_nothing(store, partitions):
    partitions.commit([value_of(at(1))])
    revision, facts = store.revision(), partitions.facts(ENV, "a")
    with pytest.raises((TypeError, AttributeError)):
        partitions.commit([value_of(at(2)), value_of(at(3), created_at=None)])
    assert store.revision() == revision
    assert partitions.facts(ENV, "a") is facts
    assert partitions.commit([]) == ()
    assert store.revision() == revision


def test_partitions_leave_unpartitioned_assets_alone(store, partitions):
    partitions.commit([value_of(at(1))])
    assert store.states(ENV) == {}
    store.commit([new("b")])
    assert partitions.facts(ENV, "b") == PartitionFacts({})


def test_an_outcome_of_one_partition_is_noted_in_its_run(store, partitions):
    start(store, "r1", "1", "2", "3", "4")
    partitions.commit([value_of(at(1), run_id="r1")])
    partitions.fail(ENV, "a", some(2), "boom", at=NOON, label="2", run_id="r1")
    partitions.skip([skipped(at(3), run_id="r1", reason="empty")])
    found = {p.partition: (p.outcome, p.version, p.error) for p in store.run_assets("r1")}
    assert found == {
        "1": ("success", 1, None),
        "2": ("failed", None, "boom"),
        "3": ("skipped", 0, "empty"),
        "4": ("queued", None, None),
    }
    assert [p.partition for p in store.run_assets("r1") if p.done] == ["1", "3"]
    store.advance_run("r1", "success", at=NOON)
    partitions.fail(ENV, "a", some(1), "boom", at=NOON, label="1", run_id="r1")
    assert store.run_assets("r1")[0].outcome == "success"


# --- recipes ------------------------------------------------------------------------------------


def test_recipes_are_what_the_facts_name(partitions):
    parts = {"files": {"x.csv": "f1"}, "parameters": {"n": "20"}, "parameter_defaults": {"n": "10"}}
    partitions.commit([value_of(at(1)), value_of(at(2), **parts), value_of(at(3), **parts), value_of(at(4), asset="b")])
    partitions.skip([skipped(at(5), recipe=recipe("c2", parameters={"n": "1"}))])
    expected = [recipe(), recipe(**parts), recipe("c2", parameters={"n": "1"})]
    assert dict(partitions.recipes(ENV, "a")) == {one.number: one for one in expected}
    assert len({one.number for one in expected}) == 3
    found = {number: set(bitmap) for number, bitmap in chunk(partitions.facts(ENV, "a")).codes}
    assert found == dict(zip((one.number for one in expected), ({1}, {2, 3}, {5}), strict=True))
    assert list(partitions.recipes(ENV, "b")) == [recipe().number]
    assert partitions.recipes(ENV, "nobody") == partitions.recipes("prod", "a") == {}


def test_unchanged_recipes_are_the_same_object(partitions):
    partitions.commit([value_of(at(1))])
    found = partitions.recipes(ENV, "a")
    partitions.commit([value_of(at(1)), value_of(at(2), asset="b", code_version="c2")])
    partitions.skip([skipped(at(2))])
    assert partitions.recipes(ENV, "a") is found
    for number in range(20):  # some of their numbers have the highest of 64 bits
        partitions.commit([value_of(at(1), parameters={"n": str(number)})])
    assert set(partitions.recipes(ENV, "a")) == {
        recipe().number,
        *(recipe(parameters={"n": str(number)}).number for number in range(20)),
    }
    assert len(found) == 1


def test_recipes_stay_after_a_wipe_and_move_with_a_rename(store, partitions):
    partitions.commit([value_of(at(1))])
    partitions.skip([skipped(at(1), asset="b", recipe=recipe("c2"))])
    assert list(partitions.recipes(ENV, "b")) == [recipe("c2").number]
    partitions.wipe(ENV, "a", at=NOON)
    assert list(partitions.recipes(ENV, "a")) == [recipe().number]
    store.rename(ENV, "a", "b", at=NOON)
    assert list(partitions.recipes(ENV, "b")) == [recipe().number]
    assert partitions.recipes(ENV, "a") == {}
    partitions.commit([value_of(at(1), asset="a", code_version="c3")])
    assert list(partitions.recipes(ENV, "a")) == [recipe("c3").number]


def test_what_no_database_can_hold_is_no_reason_to_lose_a_value(partitions):
    (made,) = partitions.commit([value_of(at(1), files={"\udcff": "f"})])
    assert [found.files for found in partitions.recipes(ENV, "a").values()] == [made.files] == [{"?": "f"}]


# --- reading ------------------------------------------------------------------------------------


def test_unchanged_facts_are_the_same_object_and_others_chunks_are_kept(store, partitions):
    partitions.commit([value_of(at(1)), value_of(at(CHUNK)), value_of(at(1), asset="b")])
    facts = partitions.facts(ENV, "a")
    partitions.commit([value_of(at(1), asset="b")])
    store.commit([new("c")])
    assert partitions.facts(ENV, "a") is facts
    partitions.commit([value_of(at(2))])
    assert chunk(partitions.facts(ENV, "a")).materialized == BitMap([1, 2])
    assert chunk(partitions.facts(ENV, "a"), 1).materialized == BitMap([0])
    assert chunk(facts).materialized == BitMap([1])


# --- failures and skips -------------------------------------------------------------------------


def test_a_failure_leaves_the_value_and_is_cleared_by_a_commit(partitions):
    (made,) = partitions.commit([value_of(at(1))])
    partitions.fail(ENV, "a", some(1, 2), "boom\x00", at=later(1), label="1..2", run_id="r0")
    one, two = partitions.detail(ENV, "a", "1", at(1)), partitions.detail(ENV, "a", "2", at(2))
    assert (one.current, one.failed_at, one.error, one.failed_run) == (made, later(1), "boom\ufffd", "r0")
    assert (two.current, two.error) == (None, "boom\ufffd")
    assert chunk(partitions.facts(ENV, "a")).failed == BitMap([1, 2])
    partitions.commit([value_of(at(1))])
    assert partitions.detail(ENV, "a", "1", at(1)).failed_at is None
    assert chunk(partitions.facts(ENV, "a")).failed == BitMap([2])


def test_a_skip_keeps_its_reason_and_the_value(partitions):
    partitions.commit([value_of(at(1))])
    partitions.skip([skipped(at(1), reason="no data", inputs=5, at=later(1)), skipped(at(2), reason="a holiday")])
    one, two = partitions.detail(ENV, "a", "1", at(1)), partitions.detail(ENV, "a", "2", at(2))
    assert (one.current.version, one.skipped_at, one.reason) == (1, later(1), "no data")
    assert (two.current, two.reason, two.failed_at) == (None, "a holiday", None)
    facts = chunk(partitions.facts(ENV, "a"))
    assert (facts.skipped, facts.inputs.get(1)) == (BitMap([1, 2]), 5)
    partitions.fail(ENV, "a", some(2), "boom", at=later(2))
    assert partitions.detail(ENV, "a", "2", at(2)).error == "boom"


def test_nothing_is_known_of_a_partition_that_was_never_touched(partitions):
    partitions.commit([value_of(at(1))])
    for key, position in (("2", at(2)), ("9", at(9 * CHUNK)), ("x", at(1, 1))):
        detail = partitions.detail(ENV, "a", key, position)
        assert (detail.partition, detail.current, detail.failed_at, detail.skipped_at) == (key, None, None, None)
        assert (detail.held, detail.running) == (False, ())


# --- running ------------------------------------------------------------------------------------


def test_marks_of_a_run_end_with_the_outcome_of_the_partition(store, partitions):
    start(store)
    partitions.start(ENV, "a", some(1, 2, 3, 4, CHUNK), run_id="r1", at=NOON, label="1..")
    partitions.commit([value_of(at(1), run_id="r1")])
    partitions.fail(ENV, "a", some(2), "boom", at=NOON, run_id="r1")
    partitions.skip([skipped(at(3), run_id="r1")])
    partitions.stop(ENV, "a", some(4), run_id="r1", at=NOON)
    facts = partitions.facts(ENV, "a")
    assert (chunk(facts).running, chunk(facts, 1).running) == (BitMap(), BitMap([0]))
    assert partitions.detail(ENV, "a", "x", at(CHUNK)).running == ("r1",)
    assert partitions.facts(ENV, "a") is facts


@pytest.mark.parametrize(("status", "failed"), [("success", []), ("canceled", []), ("failure", [2])])
def test_no_mark_outlives_its_run(store, partitions, status, failed):
    start(store)
    partitions.start(ENV, "a", some(1, 2), run_id="r1", at=NOON)
    partitions.commit([value_of(at(1), run_id="r1")])
    store.advance_run("r1", status, at=later(1), error="the kernel died")
    facts = chunk(partitions.facts(ENV, "a"))
    assert (facts.running, facts.failed, facts.materialized) == (BitMap(), BitMap(failed), BitMap([1]))
    detail = partitions.detail(ENV, "a", "2", at(2))
    assert detail.running == ()
    assert (detail.error, detail.failed_run) == (("the kernel died", "r1") if failed else (None, None))


def test_marks_of_other_runs_stay(store, partitions):
    for run_id in ("r1", "r2"):
        start(store, run_id)
        partitions.start(ENV, "a", some(1), run_id=run_id, at=NOON)
    partitions.commit([value_of(at(1), run_id="r1")])
    store.advance_run("r1", "success", at=NOON)
    assert partitions.detail(ENV, "a", "1", at(1)).running == ("r2",)
    assert chunk(partitions.facts(ENV, "a")).running == BitMap([1])


def test_a_run_that_has_ended_marks_nothing(store, partitions):
    start(store)
    store.advance_run("r1", "success", at=NOON)
    for run_id in ("r1", "nobody"):
        partitions.start(ENV, "a", some(1), run_id=run_id, at=NOON)
    assert chunk(partitions.facts(ENV, "a")).running == BitMap()


# --- rollback, wipe, expiry, rename -------------------------------------------------------------


def test_a_rolled_back_partition_is_held_until_the_next_commit(partitions):
    (first,) = partitions.commit([value_of(at(1), "a/1"), value_of(at(2))])[:1]
    partitions.commit([value_of(at(1), "a/2")])
    partitions.fail(ENV, "a", some(1), "boom", at=NOON)
    assert partitions.rollback(ENV, "a", "1", at(1), version=1, at=NOON) == first
    detail, facts = partitions.detail(ENV, "a", "1", at(1)), chunk(partitions.facts(ENV, "a"))
    assert (detail.current, detail.held, detail.failed_at) == (first, True, None)
    assert (facts.held, facts.failed, facts.versions.get(1)) == (BitMap([1]), BitMap(), number_of("d:a/1"))
    assert partitions.commit([value_of(at(1), "a/3")])[0].version == 3
    assert not partitions.detail(ENV, "a", "1", at(1)).held


@pytest.mark.parametrize(("asset", "version"), [("a", 3), ("a", 1), ("a", 0), ("nobody", 1)])
def test_rollback_to_what_is_not_there_is_refused(store, partitions, asset, version):
    partitions.commit([value_of(at(1), "a/1")])
    partitions.commit([value_of(at(1), "a/2")])
    assert paths(partitions.expire(ENV, 1, at=NOON)) == ["a/1"]
    with pytest.raises(MissingValueError):
        partitions.rollback(ENV, asset, "1", at(1), version=version, at=NOON)
    assert partitions.materialization(ENV, "a", "1", at(1)).version == 2


def test_wiping_forgets_some_values_and_versions_go_on_counting(store, partitions):
    partitions.commit([value_of(at(n), f"a/{n}") for n in (1, 2, 3, CHUNK)])
    partitions.commit([value_of(at(2), "a/2b")])
    partitions.fail(ENV, "a", some(4), "boom", at=NOON)
    start(store)
    partitions.start(ENV, "a", some(3), run_id="r1", at=NOON)
    wiped = partitions.wipe(ENV, "a", some(2, 4, CHUNK, 9 * CHUNK), at=NOON, label="2..")
    assert paths(wiped) == ["a/2", "a/2b", f"a/{CHUNK}"]
    facts = partitions.facts(ENV, "a")
    assert (chunk(facts).materialized, chunk(facts, 1).materialized) == (BitMap([1, 3]), BitMap())
    assert (chunk(facts).failed, chunk(facts).running) == (BitMap(), BitMap([3]))
    assert (chunk(facts).versions.get(2), [len(bitmap) for _, bitmap in chunk(facts).codes]) == (0, [2])
    assert partitions.materialization(ENV, "a", "2", at(2)) is None
    assert [made.expired for made in partitions.history(ENV, "a", "2", at(2))] == [True, True]
    assert partitions.commit([value_of(at(2))])[0].version == 3
    assert set(paths(partitions.wipe(ENV, "a", at=NOON))) == {"a/1", "a/3", "default/a/2/x.json"}
    assert partitions.facts(ENV, "a").materialized == {}
    assert partitions.wipe(ENV, "a", at=NOON) == partitions.wipe(ENV, "nobody", at=NOON) == ()


def test_expiry_keeps_the_newest_values_and_the_current_one_of_each_partition(store, partitions):
    for version in range(1, 6):
        partitions.commit([value_of(at(1), f"a/1/{version}")])
    partitions.commit([value_of(at(2), "a/2/1")])
    partitions.commit([value_of(at(1), "prod/1", env="prod")])
    partitions.rollback(ENV, "a", "1", at(1), version=2, at=NOON)
    assert paths(partitions.expire(ENV, 2, at=NOON)) == ["a/1/1", "a/1/3"]
    assert partitions.expire(ENV, 2, at=NOON) == ()
    partitions.commit([value_of(at(1), "a/1/6")])
    assert paths(partitions.expire(ENV, 2, at=NOON)) == ["a/1/2", "a/1/4"]
    assert {path for _, path in store.kept_paths()} == {"a/1/5", "a/1/6", "a/2/1", "prod/1"}


def test_expiry_spares_what_was_current_since_the_oldest_active_run_was_created(store, partitions):
    partitions.commit([value_of(at(1), "a/1")])
    partitions.commit([value_of(at(1), "a/2")])
    start(store)
    partitions.commit([value_of(at(1), "a/3")])
    partitions.commit([value_of(at(1), "a/4")])
    assert paths(partitions.expire(ENV, 1, at=NOON)) == ["a/1"]
    store.advance_run("r1", "success", at=NOON)
    assert paths(partitions.expire(ENV, 1, at=NOON)) == ["a/2", "a/3"]


def test_the_time_of_the_newest_commit_is_known(store, partitions):
    assert partitions.committed_at(ENV, "a") is None
    for minute, place in enumerate((5, 3)):
        partitions.commit([value_of(at(place), created_at=later(minute))])
    partitions.commit([value_of(at(1), asset="b")])
    partitions.fail(ENV, "a", some(7), "boom", at=later(9), label="7")
    assert partitions.committed_at(ENV, "a") == later(1)
    assert partitions.committed_at("prod", "a") is None
    partitions.wipe(ENV, "a", at=later(9))
    assert partitions.committed_at(ENV, "a") == later(1)
    store.rename(ENV, "a", "c", at=later(9))
    assert partitions.committed_at(ENV, "c") == later(1)


def test_partitions_and_keys_move_with_a_rename(store, partitions):
    partitions.commit([value_of(at(1), "a/1")])
    partitions.add_keys(ENV, "region", ["eu"], at=NOON, asset="a")
    partitions.fail(ENV, "b", some(1), "boom", at=NOON)
    partitions.add_keys(ENV, "region", ["us"], at=NOON, asset="b")
    assert partitions.facts(ENV, "b").chunks
    store.rename(ENV, "a", "b", at=NOON)
    assert partitions.facts(ENV, "a") == PartitionFacts({})
    assert chunk(partitions.facts(ENV, "b")).materialized == BitMap([1])
    assert chunk(partitions.facts(ENV, "b")).failed == BitMap()
    assert partitions.materialization(ENV, "b", "1", at(1)).asset == "b"
    assert partitions.keys(ENV, "region", asset="b").keys == ("eu",)
    partitions.commit([value_of(at(1), asset="c")])
    with pytest.raises(ConflictError):
        store.rename(ENV, "b", "c", at=NOON)


# --- keys ---------------------------------------------------------------------------------------


def test_keys_are_appended_and_keep_their_ordinals(partitions):
    odd = ["a/b", "x|y", "with space", "größe", "'quoted'"]
    assert partitions.keys(ENV, "customers") == KeyRegistry()
    assert partitions.add_keys(ENV, "customers", ["b", "a", "b"], at=NOON) == ("b", "a")
    assert partitions.add_keys(ENV, "customers", ["a", *odd], at=NOON) == tuple(odd)
    assert partitions.keys(ENV, "customers") == KeyRegistry(("b", "a", *odd))
    assert partitions.remove_keys(ENV, "customers", ["b", "nobody", "b"], at=NOON) == ("b",)
    assert partitions.remove_keys(ENV, "customers", ["b"], at=NOON) == ()
    assert partitions.keys(ENV, "customers") == KeyRegistry(("b", "a", *odd), frozenset({"b"}))
    assert partitions.add_keys(ENV, "customers", ["new", "b"], at=NOON) == ("new", "b")
    found = partitions.keys(ENV, "customers")
    assert found == KeyRegistry(("b", "a", *odd, "new"))
    assert partitions.keys(ENV, "customers") is found


def test_registries_are_apart_by_environment_name_and_asset(partitions):
    partitions.add_keys(ENV, "region", ["shared"], at=NOON)
    partitions.add_keys(ENV, "region", ["of-a"], at=NOON, asset="a")
    partitions.add_keys("prod", "region", ["of-prod"], at=NOON)
    partitions.add_keys(ENV, "other", ["of-other"], at=NOON)
    assert partitions.keys(ENV, "region").keys == ("shared",)
    assert partitions.keys(ENV, "region", asset="a").keys == ("of-a",)
    assert partitions.keys(ENV, "region", asset="b").keys == ()
    assert partitions.keys("prod", "region").keys == ("of-prod",)


@pytest.mark.parametrize("key", ["", " x", "x ", "a\nb", "\x00", "\ud800"])
def test_a_key_that_nobody_could_read_is_refused_and_none_is_added(store, partitions, key):
    with pytest.raises(DeclarationError):
        partitions.add_keys(ENV, "customers", ["fine", key], at=NOON)
    assert partitions.keys(ENV, "customers") == KeyRegistry()
    assert store.revision() == 0


def test_a_key_takes_the_place_of_the_expected_one_while_nothing_is_known(store, partitions):
    def choose(key, instead_of):
        return partitions.choose_key(ENV, "layout", key, instead_of=instead_of, at=NOON, asset="a")

    def there():
        registry = partitions.keys(ENV, "layout", asset="a")
        return [key for key in registry.keys if key in registry]

    assert choose("days", None) == "days"
    revision = store.revision()
    assert choose("days", None) == "days"
    assert choose("hours", None) == "days"
    assert choose("hours", "weeks") == "days"
    assert store.revision() == revision
    assert choose("hours", "days") == "hours"
    assert there() == ["hours"]
    assert choose("days", "hours") == "days"
    assert there() == ["days"]
    assert partitions.keys(ENV, "layout", asset="a").keys == ("days", "hours")
    partitions.fail(ENV, "a", some(7), "boom", at=NOON, label="7")
    assert choose("hours", "days") == "days"
    partitions.wipe(ENV, "a", at=NOON)
    start(store, "r1", "7")
    partitions.start(ENV, "a", some(7), run_id="r1", at=NOON, label="7")
    assert choose("hours", "days") == "days"
    store.advance_run("r1", "canceled", at=NOON)
    assert choose("hours", "days") == "hours"
    with pytest.raises(DeclarationError):
        choose(" x", "hours")


def test_of_many_that_begin_with_other_partitions_at_once_one_is_kept(state_url, store, tmp_path):
    sets = [parse_partitions(text) for text in ("daily:2024-01-01", "hourly:2024-01-01T00", "weekly:2024-01-01")]
    ready = Barrier(6)

    def keep(number):
        of = sets[number % 3]
        with contextlib.ExitStack() as closing:
            opened = store
            if state_url is not None:  # a connection of its own, as another process has
                opened = closing.enter_context(contextlib.closing(open_store(state_url, root=tmp_path)))
            ready.wait(60)
            try:
                keep_layout(opened.partitions, ENV, "a", of, at=NOON)
            except RefusedError:
                return None
        return layout_of(of)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(keep, range(6)))
    registry = store.partitions.keys(ENV, "positions stand for", asset="a")
    (winner,) = (key for key in registry.keys if key in registry)
    assert kept_layout(store.partitions, ENV, "a") == winner
    assert winner in found


# --- all together -------------------------------------------------------------------------------


class Model:
    """Does the same to a store and to dictionaries that know of each partition one by one."""

    def __init__(self, partitions):
        self.partitions = partitions
        self.versions, self.current, self.marks, self.inputs, self.code = {}, {}, {}, {}, {}
        self.held = set()

    def commit(self, chosen, number):
        values = []
        for place in chosen:
            version = self.current[place] = self.versions[place] = self.versions.get(place, 0) + 1
            self.inputs[place], self.code[place] = number, f"c{number % 2}"
            values.append(value_of(at(place), f"{place}/{version}", fingerprint=number, code_version=f"c{number % 2}"))
            self.marks.pop(place, None)
            self.held.discard(place)
        self.partitions.commit(values)

    def fail(self, chosen, number):
        self.partitions.fail(ENV, "a", some(*chosen), f"boom {number}", at=NOON)
        for place in chosen:
            self.marks[place] = self.marks.get(place, set()) | {"failed"}

    def skip(self, chosen, number):
        self.partitions.skip([skipped(at(place), inputs=number, recipe=recipe("z")) for place in chosen])
        for place in chosen:
            self.marks[place], self.inputs[place], self.code[place] = {"skipped"}, number, "z"
            self.held.discard(place)

    def wipe(self, chosen, number):
        self.partitions.wipe(ENV, "a", some(*chosen), at=NOON, label=str(number))
        for place in chosen:
            for known in (self.current, self.marks, self.inputs, self.code):
                known.pop(place, None)
            self.held.discard(place)

    def rollback(self, chosen, number):
        for place in chosen[:1]:
            made = self.partitions.history(ENV, "a", "", at(place), limit=number)
            for oldest in [each.version for each in made if not each.expired][-1:]:
                self.partitions.rollback(ENV, "a", "", at(place), version=oldest, at=NOON)
                self.current[place] = oldest
                self.marks.pop(place, None)
                self.held.add(place)

    def facts(self, place):
        version = self.current.get(place)
        return (
            version,
            number_of(f"d:{place}/{version}") if version else 0,
            self.inputs.get(place, 0),
            self.marks.get(place, set()) | ({"held"} if place in self.held else set()),
            [recipe(self.code[place]).number] if place in self.code else [],
        )


@pytest.mark.parametrize("seed", range(3))
def test_after_any_sequence_of_changes_facts_are_those_of_a_plain_model(partitions, seed):
    chance, model = random.Random(seed), Model(partitions)
    places = [CHUNK - 3, CHUNK - 2, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK]
    for number in range(1, 61):
        change = chance.choice([model.commit, model.commit, model.fail, model.skip, model.wipe, model.rollback])
        change(chance.sample(places, chance.randrange(1, 4)), number)
    facts = partitions.facts(ENV, "a")
    for place in places:
        found, offset = chunk(facts, place // CHUNK), place % CHUNK
        made = partitions.materialization(ENV, "a", "", at(place))
        assert model.facts(place) == (
            made.version if made else None,
            found.versions.get(offset),
            found.inputs.get(offset),
            {name for name in ("failed", "skipped", "held", "running") if offset in getattr(found, name)},
            [code for code, bitmap in found.codes if offset in bitmap],
        )


def test_threads_that_commit_to_one_chunk_lose_nothing(partitions):
    def commit(first):
        for number in range(first, 40, 4):
            partitions.commit([value_of(at(number)), value_of(at(100))])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(commit, range(4)))
    assert chunk(partitions.facts(ENV, "a")).materialized == BitMap([*range(40), 100])
    assert partitions.materialization(ENV, "a", "100", at(100)).version == 40
