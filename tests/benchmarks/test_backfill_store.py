"""What backfills and runs of very many partitions cost the state store."""

from __future__ import annotations

import random

import pytest
from pyroaring import BitMap

from nbpipe.core.backfills.records import Backfill, Portion
from nbpipe.core.records import RunAsset
from nbpipe.storage.open import open_store
from tests.benchmarks.figures import milliseconds, slowness
from tests.stores import NOON, WORKER, run, steps

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(300)]

MILLION = 1_000_000
MANY = 100_000
RUNS = 60


@pytest.fixture
def store(tmp_path):
    opened = open_store("sqlite:///state.db", root=tmp_path)
    yield opened
    opened.close()


def test_a_backfill_of_a_million_partitions_costs_what_changes(store, figures):
    chance = BitMap(random.Random(1).sample(range(MILLION), MANY))
    portions = {
        "hours": Portion(requested={(): BitMap(range(MILLION))}),
        "scattered": Portion(requested={(): chance}),
        "regions": Portion(requested={(region,): BitMap(range(1000)) for region in range(1000)}),
    }
    kept, numbers = store.backfills, iter(range(10**6))

    def create():
        kept.create(Backfill(id=f"b{next(numbers)}", env="default", created_at=NOON), portions, b"plan")

    figures.check("backfills: creating one of 2.1 million partitions", milliseconds(create, times=5), 200 * slowness())
    assert kept.claim("b0", WORKER, at=NOON)
    launched, settled = iter(range(10**6)), iter(range(10**6))

    def launch():
        number = f"r{next(launched)}"
        place = RunAsset(run_id=number, asset="hours", partition="2024-01-01")
        kept.launch("b0", WORKER, run(number), steps(number), [place], b"plan")

    def settle(asset, ended):
        number = next(settled)
        kept.settle("b0", WORKER, f"r{number}", {asset: Portion(requested={}, done=ended(number))}, at=NOON)

    figures.check("backfills: launching a run", milliseconds(launch, times=3 * RUNS), 20 * slowness())
    works = {
        "hours": lambda number: {(): BitMap([number])},
        "scattered": lambda number: {(): BitMap([chance[number * 500]])},
        "regions": lambda number: {(number,): BitMap([number])},
    }
    for asset, ended in works.items():
        took = milliseconds(lambda asset=asset, ended=ended: settle(asset, ended), times=RUNS)
        figures.check(f"backfills: settling a run, {asset}", took, 20 * slowness())
    figures.note("backfills: portions", milliseconds(lambda: kept.portions("b0"), times=9))


def test_a_run_of_100000_partitions(store, figures):
    numbers, keys = iter(range(10**6)), [f"2024-{number:06}" for number in range(MANY)]
    every = {(): BitMap(range(MANY))}

    def create():
        number = f"r{next(numbers)}"
        places = [RunAsset(run_id=number, asset="hours", partition=key) for key in keys]
        store.create_run(run(number, assets=("hours",)), steps(number), places, b"plan")

    figures.check("runs: creating one of 100,000 partitions", milliseconds(create), 2000 * slowness())
    assert store.claim_run("r0", WORKER, at=NOON)

    def start():
        store.partitions.start("default", "hours", every, run_id="r0", at=NOON, label="all", keys=keys)

    def end():
        assert store.advance_run("r0", "failure", at=NOON, error="gone")

    figures.check("runs: starting 100,000 partitions", milliseconds(start), 2000 * slowness())
    figures.check("runs: ending one of 100,000 partitions", milliseconds(end), 2000 * slowness())
    assert store.outcome_counts("r0") == {"hours": {"failed": MANY}}
