"""Changing many partitions of a chunk at once is changing one after the other."""

from __future__ import annotations

import pytest
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import ChunkFacts, Column


def filled(column, offsets, number):
    for offset in offsets:
        column = column.put(offset, number)
    return [column.get(offset) for offset in range(20)]


@pytest.mark.parametrize("column", [Column(), Column(5, bytes(range(1, 33)))], ids=["empty", "5 to 8"])
@pytest.mark.parametrize("offsets", [[], [0], [6], [5, 6, 7, 8], [3, 4, 5, 9, 12], [19]], ids=str)
@pytest.mark.parametrize("number", [0, 7, 2**64 - 1])
def test_a_filled_column_has_one_number_at_many_offsets(column, offsets, number):
    found = column.fill(BitMap(offsets), number)
    assert [found.get(offset) for offset in range(20)] == filled(column, offsets, number)


def test_a_column_filled_with_nothing_is_not_longer():
    column = Column(5, bytes(32))
    assert column.fill(BitMap([0, 4000]), 0) is column


@pytest.fixture
def chunk():
    facts = ChunkFacts()
    for offset in range(6):
        facts = facts.materialize(offset, version=offset + 1, inputs=9, code=offset % 2)
    return facts.skip(6, inputs=3, code=5).fail(1).start(2).start(3).hold(4, version=8)


@pytest.mark.parametrize("change", ["wipe", "fail"])
@pytest.mark.parametrize("offsets", [[], [2], [0, 1, 2, 4, 6, 9], list(range(8))], ids=str)
def test_many_are_changed_as_one_after_the_other(chunk, change, offsets):
    expected = chunk
    for offset in offsets:
        expected = getattr(expected, change)(offset)
    found = getattr(chunk, f"{change}_all")(BitMap(offsets))
    columns = [
        [getattr(facts, name).get(n) for n in range(10)]
        for facts in (found, expected)
        for name in ("versions", "inputs")
    ]
    assert columns[:2] == columns[2:]
    for name in ("materialized", "failed", "skipped", "running", "held", "codes"):
        assert getattr(found, name) == getattr(expected, name)
