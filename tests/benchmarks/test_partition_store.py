"""What a million partitions cost the state store: time, space, and whether a long history matters."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import ChunkFacts, Column, number_of
from nbpipe.core.partitions.sets import CHUNK
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.state import AssetPartitions, assess_partitions
from nbpipe.storage.open import open_store
from nbpipe.storage.partition_chunks import KeptChunk
from tests.benchmarks.figures import alternate, milliseconds, slowness
from tests.partitions import at, some, value_of
from tests.stores import later, stored

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

URL = "sqlite:///state.db"
ENV, ASSET = "default", "hourly_weather"
MILLION = 1_000_000
HOURS = "hourly:1900-01-01T00"
FEW = 10 * CHUNK
MEGABYTE = 1_000_000

MEMORY = """
import sys; from pathlib import Path; import psutil
import nbpipe.storage.sql_partitions
from nbpipe.storage.open import open_store
store = open_store("sqlite:///state.db", root=Path(sys.argv[1]))
store.partitions.facts("default", "nobody")
before = psutil.Process().memory_info().rss
facts = store.partitions.facts("default", sys.argv[2])
print(psutil.Process().memory_info().rss - before)
"""


def one(inner, commit=0):
    """The value of a partition, with all that is kept of one that has an upstream."""
    key = f"{2000 + inner % 30}-01-01T05"
    about = {"rows": 24, "columns": ["temperature", "wind"], "dtypes": ["float64", "float64"]}
    version = f"{number_of(f'{inner}/{commit}'):016x}" * 2
    path = f"{ENV}/{ASSET}/{key}/{inner:012x}{commit:08x}.parquet"
    return value_of(
        at(inner),
        fingerprint=number_of(f"in {inner}"),
        asset=ASSET,
        partition=key,
        stored=stored(path, data_version=version, size=34_567, type="pandas.DataFrame", metadata=about),
        code=(("body", "0123456789abcdef"),),
        inputs={"raw_weather": version},
        input_versions={"raw_weather": commit},
        notebook="notebooks/weather.ipynb",
        cell_id="c0ffee",
        run_id=f"{commit:020x}",
        duration=0.123,
        created_at=later(commit),
    )


def fill(folder, first, count):
    """Write the state of partitions directly: what matters is that it is there."""
    store = open_store(URL, root=folder)
    store.partitions.commit([one(first)])
    store.close()
    connection = sqlite3.connect(folder / "state.db")
    for block in range(first // CHUNK, (first + count - 1) // CHUNK + 1):
        low, high = max(first - block * CHUNK, 0), min(first + count - block * CHUNK, CHUNK)
        there = BitMap(range(low, high)) - BitMap(range(low, high, 100))
        old, new = (BitMap(range(low, high, 50)), there - BitMap(range(low, high, 50)))
        codes = sorted(((number_of("c0"), old & there), (number_of("c1"), new)), key=lambda code: code[0])
        facts = ChunkFacts(
            materialized=there,
            failed=BitMap(range(low, high, 70)),
            versions=Column(low, os.urandom(8 * (high - low))),
            inputs=Column(low, os.urandom(8 * (high - low))),
            codes=tuple(codes),
        )
        counts = Column(low, (1).to_bytes(8, "little") * (high - low))
        kept = KeptChunk(facts=facts, current=counts, last=counts)
        connection.execute(
            "INSERT INTO partition_chunks (asset_id, family, block, revision, facts, places) VALUES (1, '', ?, 1, ?, ?)"
            " ON CONFLICT DO UPDATE SET facts = excluded.facts, places = excluded.places",
            (block, facts.to_bytes(), kept.places()),
        )
    connection.commit()
    connection.close()


def add_history(folder, first, count):
    """Write one value for each partition directly."""
    connection = sqlite3.connect(folder / "state.db")
    chunks = dict(connection.execute("SELECT block, id FROM partition_chunks").fetchall())
    (own,) = connection.execute("SELECT own FROM partition_values").fetchone()
    rows = ((chunks[n // CHUNK], n % CHUNK, own) for n in range(first, first + count))
    connection.executemany(
        "INSERT OR IGNORE INTO partition_values (chunk_id, place, version, template_id, event_id, own) "
        "VALUES (?, ?, 1, 1, 1, ?)",
        rows,
    )
    connection.commit()
    connection.close()


def size(folder):
    connection = sqlite3.connect(folder / "state.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ((pages,),) = connection.execute("PRAGMA page_count")
    ((bytes_of_page,),) = connection.execute("PRAGMA page_size")
    connection.close()
    return pages * bytes_of_page


@pytest.fixture(scope="module")
def hours():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    of = parse_partitions(HOURS)
    return of, of.dimensions[0].first, now


@pytest.fixture(scope="module")
def folders(tmp_path_factory, hours):
    """Stores of a few and of a million partitions, with their history."""
    found = {}
    for name, count in (("few", FEW), ("many", MILLION)):
        found[name] = folder = tmp_path_factory.mktemp(name)
        fill(folder, hours[1], count)
        found[f"{name} bytes"] = size(folder)
        add_history(folder, hours[1], count)
    return found


@pytest.fixture
def stores(folders):
    found = {name: open_store(URL, root=folders[name]) for name in ("few", "many")}
    yield found
    for store in found.values():
        store.close()


def test_a_million_partitions_take_little_space(folders, figures):
    figures.check("partitions: database without history, a million", folders["many bytes"] / MEGABYTE, 25, "MB")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folders["many"]), ASSET], capture_output=True, text=True, check=True
    )
    figures.check("partitions: memory of facts, a million", int(done.stdout) / MEGABYTE, 25, "MB")


def test_one_more_commit_costs_little_and_leaves_little(tmp_path, folders, stores, hours, figures):
    bare = sqlite3.connect(tmp_path / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, content TEXT)")

    def transaction():
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO rows (content) VALUES (?)", ("x" * 500,))
        bare.execute("COMMIT")

    numbers = dict.fromkeys(stores, 0)

    def commit(name):
        numbers[name] += 1
        stores[name].partitions.commit([one(hours[1] + numbers[name] * 37 % FEW, numbers[name])])

    works = {"few": lambda: commit("few"), "many": lambda: commit("many"), "bare": transaction}
    for work in works.values():
        work()
    found = alternate(works, times=300)
    bare.close()
    before = size(folders["many"])
    for _ in range(1000):
        commit("many")
    grown = (size(folders["many"]) - before) / 1000
    limit = 5 * slowness()
    figures.check(
        "partitions: a commit among a million, beyond a durable transaction", found["many"] - found["bare"], limit
    )
    figures.check("partitions: a commit among a million, against 2x among few", found["many"], 2 * found["few"])
    figures.check("partitions: history of a commit", grown, 300, "bytes")


def test_many_partitions_are_committed_together(stores, hours, figures):
    numbers = iter(range(1_000, 10_000))

    def commit():
        number = next(numbers)
        stores["many"].partitions.commit([one(hours[1] + number * 100 + n, number) for n in range(100)])

    figures.check("partitions: each of 100 committed together", milliseconds(commit, times=9) / 100, 3 * slowness())


def test_facts_cost_what_has_changed(stores, hours, figures):
    of, first, now = hours
    partitions = stores["many"].partitions
    figures.note("partitions: facts of a million, first", milliseconds(lambda: partitions.facts(ENV, ASSET)))

    def counts():
        asset = AssetPartitions(asset=ASSET, of=of, facts=partitions.facts(ENV, ASSET), drift={number_of("c1"): ()})
        assert assess_partitions([asset], now)[ASSET].counts.materialized > MILLION / 2

    counts()
    unchanged = milliseconds(lambda: partitions.facts(ENV, ASSET), times=50)
    figures.check("partitions: facts of a million, unchanged", unchanged, 2 * slowness())
    figures.check(
        "partitions: facts and counts of a million, unchanged", milliseconds(counts, times=9), 50 * slowness()
    )

    def changed():
        partitions.fail(ENV, ASSET, some(first + 7), "boom", at=later(1))
        return partitions.facts(ENV, ASSET)

    figures.note("partitions: a failure, and the facts of a million after it", milliseconds(changed, times=20))


def test_reading_one_partition_does_not_depend_on_the_others(stores, hours, figures):
    works = {
        name: lambda store=store: store.partitions.detail(ENV, ASSET, "key", at(hours[1] + 30_001))
        for name, store in stores.items()
    }
    assert all(work().current is not None for work in works.values())
    found = alternate(works, times=50)
    figures.check("partitions: one of a million, against 3x one of few", found["many"], 3 * found["few"])


def test_wiping_and_expiring_cost_what_is_removed(stores, hours, figures):
    partitions = stores["many"].partitions
    nothing = milliseconds(lambda: partitions.expire(ENV, 3, at=later(1)), times=9)
    figures.check("partitions: retention with nothing to do, a million", nothing, 5 * slowness())
    numbers = iter(range(500_000, 600_000))

    def wipe():
        assert len(partitions.wipe(ENV, ASSET, some(hours[1] + next(numbers)), at=later(1))) == 1

    figures.note("partitions: wiping one of a million", milliseconds(wipe, times=20))
    many = {(): BitMap(range(hours[1] + 600_000, hours[1] + 610_000))}
    figures.note("partitions: wiping 10,000", milliseconds(lambda: partitions.wipe(ENV, ASSET, many, at=later(1))))
