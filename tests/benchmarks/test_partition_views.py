"""What looking at a million partitions costs: as data, as a picture, and in the widget of a notebook."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import CHUNK, ChunkFacts, PartitionFacts
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.state import AssetPartitions, assess_partitions
from nbpipe.kernel.partition_panel.heat import cells_html, names
from nbpipe.views.partitions import Look, partitions_overview, partitions_view
from nbpipe.views.partitions_svg import partitions_svg
from tests.benchmarks.figures import milliseconds, slowness

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(300)]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIZES = {"a thousand": "hourly:1900-01-01T00..1900-02-11T15", "a million": "hourly:1900-01-01T00..2014-01-29T15"}


def state(spec):
    """Return the state of hours of which most are fresh, some failed and some stale."""
    of = parse_partitions(spec)
    whole = of.dimensions[0].members(NOW)
    chunks = {}
    for block in range(whole.min() // CHUNK, whole.max() // CHUNK + 1):
        there = BitMap(n - block * CHUNK for n in whole if n // CHUNK == block) if len(whole) < CHUNK else BitMap(
            range(max(whole.min() - block * CHUNK, 0), min(whole.max() + 1 - block * CHUNK, CHUNK))
        )  # fmt: skip
        old = BitMap(range(0, CHUNK, 50)) & there
        failed = BitMap(range(7, CHUNK, 70)) & there
        codes = ((1, old), (2, there - old))
        chunks[(), block] = ChunkFacts(materialized=there, failed=failed, codes=codes)
    asset = AssetPartitions(asset="a", of=of, facts=PartitionFacts(chunks), drift={1: ("code changed",), 2: ()})
    return assess_partitions([asset], NOW)["a"]


@pytest.fixture(scope="module")
def states():
    return {name: state(spec) for name, spec in SIZES.items()}


def test_a_million_partitions_draw_as_fast_as_a_thousand(states, figures):
    assert states["a million"].counts.total == 1_000_000
    limit = 100 * slowness(time.process_time)
    for what, draw in {
        "bucketed view": partitions_view,
        "view of 1,000 pixels": lambda each: partitions_view(each, width=1000),
        "overview in a lineage": partitions_overview,
        "cells and names of the widget": lambda each: (cells_html(partitions_view(each)), names(partitions_view(each))),
        "picture": lambda each: partitions_svg(partitions_view(each)),
    }.items():
        found = {
            name: milliseconds(lambda each=each, draw=draw: draw(each), times=9, clock=time.process_time)
            for name, each in states.items()
        }
        figures.note(f"partitions: {what}, a thousand (CPU)", found["a thousand"])
        figures.check(f"partitions: {what}, a million (CPU)", found["a million"], limit)


def test_a_grid_of_three_dimensions_is_drawn_at_once(figures):
    regions, kinds = (",".join(f"{letter}{n:03}" for n in range(40)) for letter in "rk")
    found = state_of_grid(f"date=daily:2000-01-01..2023-12-31 x region=static:{regions} x kind=static:{kinds}")
    assert found.counts.total > 10_000_000
    limit = 500 * slowness(time.process_time)
    for what, look in {"one kind": Look(), "all kinds together": Look(fixed={"kind": ""})}.items():
        took = milliseconds(lambda look=look: partitions_view(found, look), times=5, clock=time.process_time)
        figures.check(f"partitions: grid of 40 x 60 cells of 14 million, {what} (CPU)", took, limit)


def state_of_grid(spec):
    of = parse_partitions(spec)
    days = of.dimensions[0].members(NOW)
    chunks = {}
    for region in range(40):
        for kind in range(40):
            for block in range(days.min() // CHUNK, days.max() // CHUNK + 1):
                low, high = max(days.min() - block * CHUNK, 0), min(days.max() + 1 - block * CHUNK, CHUNK)
                there = BitMap(range(low, high, 2))
                chunks[(region, kind), block] = ChunkFacts(materialized=there, codes=((2, there),))
    asset = AssetPartitions(asset="a", of=of, facts=PartitionFacts(chunks), drift={2: ()})
    return assess_partitions([asset], NOW)["a"]
