"""Partitions in the state store: what happens to the files under it."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import PartitionFacts
from nbpipe.core.partitions.registries import KeyRegistry
from nbpipe.errors import StateError
from nbpipe.storage.memory import InMemoryStateStore
from nbpipe.storage.open import open_store
from nbpipe.storage.partition_chunks import KeptChunk, kept_chunk
from tests.partitions import at, chunk, some, value_of
from tests.stores import NOON

ENV = "default"


def remove(folder):
    for path in folder.glob("state.db*"):
        path.unlink()


def test_facts_and_keys_of_a_database_that_is_replaced_are_not_those_of_the_old_one(tmp_path):
    store = open_store("sqlite:///state.db", root=tmp_path)
    partitions = store.partitions
    for n in range(3):
        partitions.commit([value_of(at(n))])
        partitions.add_keys(ENV, "customers", [f"old{n}"], at=NOON)
    assert len(chunk(partitions.facts(ENV, "a")).materialized) == len(partitions.keys(ENV, "customers").keys) == 3
    remove(tmp_path)
    assert partitions.facts(ENV, "a") == PartitionFacts({})
    assert partitions.keys(ENV, "customers") == KeyRegistry()
    partitions.add_keys(ENV, "customers", ["new"], at=NOON)
    partitions.commit([value_of(at(7))])
    assert chunk(partitions.facts(ENV, "a")).materialized == BitMap([7])
    assert partitions.keys(ENV, "customers") == KeyRegistry(("new",))
    store.close()


def test_recipes_of_a_database_that_is_replaced_are_not_those_of_the_old_one(tmp_path):
    store = open_store("sqlite:///state.db", root=tmp_path)
    for code in ("c1", "c2"):
        store.partitions.commit([value_of(at(1), code_version=code)])
        assert [one.code_version for one in store.partitions.recipes(ENV, "a").values()] == [code]
        remove(tmp_path)
    assert store.partitions.recipes(ENV, "a") == {}
    store.close()


def test_two_stores_of_one_database_see_what_the_other_did(tmp_path):
    one, other = (open_store("sqlite:///state.db", root=tmp_path) for _ in range(2))
    one.partitions.commit([value_of(at(1))])
    assert chunk(other.partitions.facts(ENV, "a")).materialized == BitMap([1])
    one.partitions.fail(ENV, "a", some(1, 2), "boom", at=NOON)
    assert chunk(other.partitions.facts(ENV, "a")).failed == BitMap([1, 2])
    for store in (one, other):
        store.close()


def test_a_closed_store_in_memory_tells_nothing_of_partitions():
    store = InMemoryStateStore()
    partitions = store.partitions
    store.close()
    with pytest.raises(StateError, match="closed"):
        partitions.facts(ENV, "a")


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (b"", "damaged"),
        (zlib.compress(b"\xff"), "damaged"),
        (zlib.compress(msgspec.msgpack.encode((9, (0, b""), (0, b""), (0, b"")))), "format 9.*update nbpipe"),
    ],
)
def test_places_that_are_none_of_ours_are_refused(places, message):
    facts = KeptChunk().facts.to_bytes()
    with pytest.raises(StateError, match=message):
        kept_chunk(facts, places)
