"""Assets with partitions for tests of backfills."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from nbpipe.core.backfills.backlog import Backlog
from nbpipe.core.backfills.blocks import blocks_of
from nbpipe.core.backfills.records import Portion
from nbpipe.core.definitions import AssetOptions
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.ranges import parse_ranges
from nbpipe.core.partitions.subsets import PartitionSubset, nothing, single
from tests.unit.core.assets import spec

NOW = datetime(2024, 1, 15, tzinfo=UTC)


def asset(key, upstream="", partitions=None, *, rules=(), backfill=None, notebook=None, own=False, index=0):
    """Write an asset, by default in a notebook of its own; a mapping is given as `UPSTREAM=RULE`."""
    if own:
        rules = (*rules, f"{key}=offset(-1)")
    options = AssetOptions(partitions=partitions, map=tuple(tuple(r.split("=", 1)) for r in rules), backfill=backfill)
    found = spec(key, upstream, options=options, notebook=notebook or f"{key}.ipynb", index=index)
    if own:
        found = msgspec.structs.replace(found, inputs=tuple(sorted((*found.inputs, key))))
    return found


def book_of(specs):
    return PartitionBook({one.key: one.options.partitions for one in specs if one.options.partitions}, None, "default")


def subset(book, key, wanted):
    """Return partitions of an asset: ranges apart by spaces, or a set of (asset, key)."""
    of = book.of(key)
    if isinstance(wanted, str):
        return single(WHOLE, "") if of is None else parse_ranges(of, wanted.split(), NOW)
    found = nothing(of or WHOLE)
    for name, one in wanted:
        if name == key:
            found = found | single(of or WHOLE, one)
    return found


def backlog(specs, requested, there=(), *, single_run=False, ended=()):
    """Return the backlog of a backfill, its blocks and its book.

    Args:
        specs: its assets.
        requested: ranges by asset, apart by spaces.
        there: the same, of what has a value before.
        single_run: as for blocks.
        ended: `done`, `failed`, `skipped` and `lost` before, as (asset, key).
    """
    book = book_of(specs)
    blocks, edges = blocks_of(specs, book, single_run=single_run)
    before = {
        one.key: {side: subset(book, one.key, found).families for side, found in dict(ended).items()} for one in specs
    }
    portions = {
        one.key: Portion(requested=subset(book, one.key, requested[one.key]).families, **before[one.key])
        for one in specs
    }
    stored = {key: subset(book, key, texts).families for key, texts in dict(there).items()}
    return Backlog(blocks, edges, portions, there=stored, now=NOW), blocks, book


def keys_of(book, partitions):
    """Return (asset, key) of each partition, in order."""
    return [
        (key, one) for key, families in partitions.items() for one in PartitionSubset(book.of(key) or WHOLE, families)
    ]
