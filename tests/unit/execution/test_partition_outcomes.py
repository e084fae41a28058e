"""What is settled of the partitions of a run when a cell has ended, and what goes on below."""

from __future__ import annotations

import msgspec
import pytest

from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.records import SkippedPartition
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.subsets import single
from nbpipe.core.records import RunAsset
from nbpipe.core.runs.plans import CellPlan, StepPlan, StepRequest
from nbpipe.core.runs.tasks import StepTask
from nbpipe.execution.ledger import Ledger
from nbpipe.testing import InMemoryStateStore
from tests import stores
from tests.partitions import value_of
from tests.unit.core.runs.test_partition_choice import DAILY, MONTHLY, asset

ENV, RUN = "default", "r1"
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
SPECS = (
    asset("day", "", DAILY),
    asset("next", "day", DAILY),
    asset("month", "day", MONTHLY),
    asset("total", "day"),
    asset("first", "day", map=["day=keys(2024-01-01)"]),
    asset("plain", ""),
    asset("below", "plain", DAILY),
)
PARTITIONS = {"day": DAYS, "next": DAYS, "month": ("2024-01-01",), "below": DAYS}


class World:
    """A run of all these assets in one step."""

    def __init__(self, *, mode="all", specs=SPECS) -> None:
        self.store = InMemoryStateStore()
        keys = tuple(spec.key for spec in specs)
        places = [
            RunAsset(run_id=RUN, asset=key, partition=partition)
            for key in keys
            for partition in PARTITIONS.get(key, ("",))
        ]
        self.store.create_run(stores.run(RUN, assets=keys, partition="x"), stores.steps(RUN, 1), places, b"")
        self.store.claim_run(RUN, stores.WORKER, at=stores.NOON)
        self.store.advance_run(RUN, "running", at=stores.NOON)
        self.ledger = self.step(specs, mode=mode)

    def step(self, specs, *, mode="all"):
        """Return the ledger of a step that makes some of the assets."""
        keys = tuple(spec.key for spec in specs)
        cells = tuple(CellPlan(index=i, cell_id="", action="asset", assets=(key,)) for i, key in enumerate(keys))
        request = StepRequest(
            run_id=RUN,
            root="/",
            env=ENV,
            state="",
            storage="",
            notebook="a.ipynb",
            mode=mode,
            step=StepPlan(index=0, notebook="a.ipynb", assets=keys, cells=cells),
            assets=specs,
            partitions=PARTITIONS,
            sets={spec.key: spec.options.partitions for spec in SPECS if spec.options.partitions},
        )
        return Ledger(StepTask(request=request, output="a"), self.store, lambda text: text)

    def where(self, name, key):
        return parse_partitions(DAILY if name != "month" else MONTHLY).position(key)

    def commit(self, name, *keys):
        self.store.partitions.commit(
            [value_of(self.where(name, key), asset=name, partition=key, run_id=RUN) for key in keys]
        )

    def start(self, name, *keys):
        for key in keys:
            which = single(parse_partitions(DAILY), key).families
            self.store.partitions.start(ENV, name, which, run_id=RUN, at=stores.NOON, label=key)

    def fail(self, name, *keys):
        for key in keys:
            which = single(parse_partitions(DAILY), key).families
            self.store.partitions.fail(ENV, name, which, "ValueError: boom", at=stores.NOON, label=key, run_id=RUN)

    def skip(self, name, *keys):
        self.store.partitions.skip(
            [
                SkippedPartition(
                    env=ENV,
                    asset=name,
                    partition=key,
                    position=self.where(name, key),
                    recipe=Recipe(),
                    reason="nothing came",
                    run_id=RUN,
                    at=stores.NOON,
                )
                for key in keys
            ]
        )

    def became(self, name):
        return {row.partition: row.outcome for row in self.store.run_assets(RUN, assets=[name])}

    def lost(self, name):
        return self.ledger.lost_upstream((name,))


def test_what_a_cell_leaves_when_it_ends_well_lacked_something():
    world = World()
    world.commit("day", *DAYS[:2])
    world.ledger.settle(("day",))
    assert world.became("day") == dict(zip(DAYS, ("success", "success", "skipped"), strict=True))
    assert world.ledger.status(("day",)) == "skipped"
    assert world.lost("next") is None
    assert world.ledger.succeeded(("day",))
    outcome = world.ledger.close("success", None)
    assert (outcome.status, outcome.executed, outcome.partial) == ("failure", ("day",), ("day",))


@pytest.mark.parametrize(("mode", "expected"), [("stale", "unchanged"), ("verify", "unchanged"), ("all", "skipped")])
def test_what_is_left_means_by_the_mode(mode, expected):
    world = World(mode=mode, specs=SPECS[:1])
    world.ledger.settle(("day",))
    assert set(world.became("day").values()) == {expected}
    assert world.ledger.close("success", None).status == ("skipped" if mode == "all" else "success")


def test_failures_are_counted_and_the_first_one_is_told():
    world = World(specs=SPECS[:2])
    world.commit("day", DAYS[0])
    world.fail("day", DAYS[1], DAYS[2])
    told = world.ledger.fail(("day",), "PartitionsFailedError: 2 of 3 (a.ipynb, cell 1)", where="a.ipynb, cell 1")
    assert told == "2 of 3 partitions of day failed: 2024-01-02: ValueError: boom (a.ipynb, cell 1)"
    assert world.lost("next") is None
    outcome = world.ledger.close("success", None)
    assert (outcome.status, outcome.error) == ("failure", told)
    assert (outcome.executed, outcome.partial, outcome.outcomes) == (("day",), ("day",), {"day": "failed"})


def test_an_error_that_fails_no_partition_is_told_as_it_is():
    world = World(specs=SPECS[:1])
    world.commit("day", *DAYS)
    error = "DefinitionError: asset day gave a value for 'x' (a.ipynb, cell 1)"
    assert world.ledger.fail(("day",), error, where="a.ipynb, cell 1") == error
    outcome = world.ledger.close("success", None)
    assert (outcome.status, outcome.error, outcome.executed) == ("failure", error, ("day",))


def test_the_failure_of_the_only_partition_is_not_counted():
    world = World(specs=SPECS[2:3])
    told = world.ledger.fail(("month",), "ValueError: boom (a.ipynb, cell 1)", where="a.ipynb, cell 1")
    assert told == "month@2024-01-01 failed: ValueError: boom (a.ipynb, cell 1)"


def test_what_a_dead_kernel_worked_on_failed_and_the_rest_was_not_reached():
    world = World(specs=SPECS[:1])
    world.start("day", DAYS[0])
    world.commit("day", DAYS[0])
    world.start("day", DAYS[1])
    error = "a.ipynb, cell 1: the kernel died"
    told = world.ledger.fail(("day",), error, where="a.ipynb, cell 1")
    assert world.became("day") == dict(zip(DAYS, ("success", "failed", "skipped"), strict=True))
    assert told == f"1 of 3 partitions of day failed: 2024-01-02: {error}"
    facts = world.store.partitions.facts(ENV, "day")
    assert len(facts.families(lambda chunk: chunk.failed)[()]) == 1
    assert not facts.families(lambda chunk: chunk.running)
    assert world.ledger.close("failure", error).error == told


def test_a_cell_that_fails_before_any_partition_fails_all_that_are_left():
    world = World(specs=SPECS[:1])
    world.skip("day", DAYS[0])
    told = world.ledger.fail(("day",), "SyntaxError: invalid syntax (a.ipynb, cell 1)", where="a.ipynb, cell 1")
    assert world.became("day") == dict(zip(DAYS, ("skipped", "failed", "failed"), strict=True))
    assert "2 of 3 partitions of day failed: 2024-01-02: SyntaxError" in told


def test_a_failed_comparison_leaves_what_is_known():
    world = World(mode="verify", specs=SPECS[:1])
    world.ledger.fail(("day",), "ValueError: boom")
    assert set(world.became("day").values()) == {"failed"}
    assert not world.store.partitions.facts(ENV, "day").families(lambda chunk: chunk.failed)


@pytest.mark.parametrize(
    ("failed", "lost"),
    [
        ((DAYS[0],), {"month", "first"}),
        ((DAYS[2],), {"month"}),
        (DAYS, {"next", "month", "total", "first"}),
        ((), set()),
    ],
)
def test_below_goes_on_what_does_not_need_what_failed(failed, lost):
    world = World()
    world.fail("day", *failed)
    world.commit("day", *(key for key in DAYS if key not in failed))
    if failed:
        world.ledger.fail(("day",), "ValueError: boom")
    else:
        world.ledger.settle(("day",))
    assert {name for name in ("next", "month", "total", "first") if world.lost(name)} == lost


def test_an_upstream_without_partitions_stops_everything_below():
    world = World()
    world.ledger.fail(("plain",), "ValueError: boom")
    assert world.lost("below") == "plain"
    world.ledger.skip(("below",), "upstream plain did not succeed")
    assert set(world.became("below").values()) == {"skipped"}


def test_what_had_nothing_to_do_is_done():
    world = World(specs=SPECS[:2])
    world.skip("day", *DAYS)
    world.ledger.settle(("day",))
    assert world.ledger.status(("day",)) == "unchanged"
    assert world.ledger.ending(("day",)) == ("skipped", None)
    assert world.lost("next") is None
    assert not world.ledger.succeeded(("day",))


def test_the_reason_why_one_partition_had_nothing_to_do_is_told():
    world = World(specs=(SPECS[0], SPECS[2]))
    world.commit("day", *DAYS[:2])
    world.skip("day", DAYS[2])
    world.skip("month", "2024-01-01")
    world.ledger.settle(("day",))
    world.ledger.settle(("month",))
    assert world.ledger.ending(("day",)) == ("success", None)
    assert world.ledger.ending(("month",)) == ("skipped", "nothing came")


def test_a_canceled_step_keeps_what_was_done():
    world = World(specs=SPECS[:1])
    world.commit("day", DAYS[0])
    outcome = world.ledger.close("canceled", "the run was asked to stop")
    assert world.became("day") == dict(zip(DAYS, ("success", "canceled", "canceled"), strict=True))
    assert (outcome.status, outcome.executed) == ("canceled", ("day",))


@pytest.mark.parametrize(
    ("options", "ranged", "number"),
    [({}, False, 3), ({}, True, 1), ({"backfill": "single"}, True, 1), ({"backfill": "2"}, True, 2)],
)
def test_time_is_allowed_for_each_execution(options, ranged, number):
    spec = msgspec.structs.replace(asset("day", "", DAILY, **options), ranged=ranged)
    assert World(specs=(spec,)).ledger.executions(("day",)) == number


def test_a_later_step_learns_what_an_earlier_one_lost():
    world = World()
    world.fail("day", DAYS[0])
    world.commit("day", *DAYS[1:])
    later = world.step(SPECS[1:])
    later.load()
    assert later.status(("day",)) == "failed"
    assert [later.lost_upstream((name,)) for name in ("next", "month", "first")] == [None, "day", "day"]
