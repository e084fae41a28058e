"""What the state of a million partitions costs: unchanged, after one more commit, after a change of definitions."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from pyroaring import BitMap

from nbpipe.commands.status import status_rows
from nbpipe.commands.why import explain
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetOptions, ParameterDef
from nbpipe.core.graph import AssetGraph
from nbpipe.core.partitions.assessing import AssessedPartitions
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.chunks import ChunkFacts, Column, PartitionFacts, number_of
from nbpipe.core.partitions.explaining import partition_reasons
from nbpipe.core.partitions.inputs import Inputs
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.sets import CHUNK
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.staleness import assess
from tests.benchmarks.figures import milliseconds, slowness
from tests.benchmarks.test_partition_store import ASSET, ENV, HOURS, URL, fill
from tests.notebooks import write_notebook
from tests.partitions import some
from tests.unit.core.assets import changed, project, spec

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

MILLION = 1_000_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPECS = {"hours": "hourly:1911-12-03T08", "later": "hourly:1911-12-03T08", "days": "daily:1911-12-04", "all": None}
UPSTREAM = {"later": "hours", "days": "later", "all": "hours"}


class World:
    """A chain of assets with a million partitions and fewer, most of them stored, some failed and some stale."""

    def __init__(self):
        self.specs = {
            name: spec(name, UPSTREAM.get(name, ""), index=index, options=AssetOptions(partitions=of))
            for index, (name, of) in enumerate(SPECS.items())
        }
        self.specs["hours"] = changed(self.specs["hours"], parameters=("n",))
        self.n, self.found, self.known, self.memory = "1", {}, {}, {}
        for name, of in SPECS.items():
            if of is not None:
                self.found[name] = self.filled(name)

    def recipe(self, name):
        one = self.specs[name]
        values = dict.fromkeys(one.parameters, self.n)
        return Recipe(code=one.code, code_version=one.code_version, parameters=values, parameter_defaults=values)

    @property
    def book(self):
        return PartitionBook({name: of for name, of in SPECS.items() if of}, None, "default")

    def facts(self, asset):
        return self.found[asset]

    def recipes(self, asset):
        one = self.recipe(asset)
        old = Recipe(code=(("body", "older"),), code_version="older")
        return self.known.get(asset, {}) | {one.number: one, old.number: old}

    def filled(self, name):
        of = self.book.of(name)
        part = of.dimensions[0]
        members = part.members(NOW)
        members = members - BitMap(range(members.min(), members.max(), 100))
        links = self.book.links(self.specs[name])
        inputs = Inputs([(link, self.found[link.upstream]) for link in links], NOW)
        today, old = self.recipe(name).number, number_of("old")
        chunks = {}
        for block in range(members.min() // CHUNK, members.max() // CHUNK + 1):
            whole = BitMap(range(block * CHUNK, (block + 1) * CHUNK)) & members
            low, high = whole.min(), whole.max() + 1
            there = BitMap(ordinal - block * CHUNK for ordinal in whole)
            offsets = range(low - block * CHUNK, high - block * CHUNK)
            outdated = BitMap(offsets[::50]) & there
            chunks[(), block] = ChunkFacts(
                materialized=there,
                failed=BitMap(offsets[::70]),
                versions=Column(offsets[0], os.urandom(8 * len(offsets))),
                inputs=Column(offsets[0], inputs.column((), whole) if links else bytes(8 * len(offsets))),
                codes=tuple(sorted(((today, there - outdated), (old, outdated)), key=lambda item: item[0])),
            )
        return PartitionFacts(chunks)

    def assess(self):
        definitions = project(*self.specs.values(), parameters={"a.ipynb": (ParameterDef(name="n", default=self.n),)})
        partitions = AssessedPartitions(self.book, self, NOW, self.memory)
        found = assess(definitions, AssetGraph.of(definitions), {}, files=str, now=NOW, partitions=partitions)
        return found, partitions.states


@pytest.fixture(scope="module")
def world():
    return World()


def test_the_state_of_a_million_partitions(world, figures):
    first = milliseconds(world.assess)
    _, states = world.assess()
    counts = states["hours"].counts
    assert counts.total >= MILLION
    assert counts.materialized > 0.98 * MILLION
    assert counts.failed > 10_000
    assert counts.stale > 10_000
    assert states["days"].counts.total > 41_000
    figures.note("partitions: state of two assets of a million and one of 41,000, first", first)
    unchanged = milliseconds(lambda: world.assess()[1]["hours"].counts, times=9)
    figures.check("partitions: the same, unchanged", unchanged, 50 * slowness())

    recipe = world.recipe("hours")
    world.known = {"hours": {recipe.number: recipe}}

    before = world.specs["hours"]
    after = changed(before, code=(("body", "another"),))

    def define():
        world.specs["hours"] = after if world.specs["hours"] is before else before
        found, states = world.assess()
        assert (states["hours"].counts.stale > 0.9 * MILLION) == (world.specs["hours"] is after)
        assert found["hours"].status == "failed"

    figures.check("partitions: the same, after a change of code", milliseconds(define, times=6), 500 * slowness())


def test_one_more_commit(world, figures):
    numbers = iter(range(1, 1000))
    world.assess()

    def commit():
        facts = world.found["hours"]
        chunk_id = sorted(facts.chunks)[100]
        chunk = facts.chunks[chunk_id].materialize(
            next(numbers), version=next(numbers), inputs=0, code=world.recipe("hours").number
        )
        world.found["hours"] = facts.with_chunk(chunk_id, chunk)
        world.assess()

    figures.check("partitions: the same, after one more commit", milliseconds(commit, times=9), 50 * slowness())


def test_the_reasons_of_one_partition_do_not_depend_on_the_others(world, figures):
    state = world.assess()[1]["days"]
    key = next(iter(state.subset("stale")))
    assert partition_reasons(state, key)
    figures.check(
        "partitions: reasons of one", milliseconds(lambda: partition_reasons(state, key), times=9), 20 * slowness()
    )


def test_status_of_a_project_with_a_million_partitions(tmp_path, figures):
    write_notebook(tmp_path / "a.ipynb", (f"%%asset {ASSET} --partitions {HOURS}..2025-12-31T23\n{ASSET} = 1",))
    (tmp_path / "nbpipe.toml").write_text(f'state = "{URL}"\n', encoding="utf-8")
    first = parse_partitions(HOURS).dimensions[0].first
    fill(tmp_path, first, MILLION)
    with Workspace.open(tmp_path) as workspace:
        figures.note("partitions: status of a project, first", milliseconds(lambda: status_rows(workspace)))
        (row,) = status_rows(workspace)
        assert row.partitions.materialized > 0.98 * MILLION
        unchanged = milliseconds(lambda: status_rows(workspace), times=9)
        figures.check("partitions: status of a project, unchanged", unchanged, 50 * slowness())
        numbers = iter(range(100))

        def fail():
            workspace.store.partitions.fail(ENV, ASSET, some(first + next(numbers)), "boom", at=NOW)
            status_rows(workspace)

        figures.check(
            "partitions: status of a project, after one more failure", milliseconds(fail, times=9), 500 * slowness()
        )
        figures.note("partitions: why, with all ranges", milliseconds(lambda: explain(workspace, ASSET), times=3))
