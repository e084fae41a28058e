"""Partitions of a cell executed in a step: loops, batches, failures, skips, and what a record shows of them."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from nbpipe.errors import StoredValueError
from nbpipe.io.values import ValueIOManager
from nbpipe.kernel.partitions import commits
from nbpipe.storage.sql_partitions import SqlPartitions
from tests.notebooks import write_notebook
from tests.steps import in_step

DAYS = "daily:2024-01-01..2024-12-31"
FIRST = "2024-01-01..2024-01-05"
KEYS = [f"2024-01-0{day}" for day in range(1, 6)]


@pytest.fixture
def running(project):
    """Return a function that begins a run of some cells."""

    def begin(cells, selection="*", **wanted):
        return in_step(project, write_notebook(project / "work.ipynb", cells), selection, **wanted)

    return begin


def test_each_partition_is_executed_in_the_order_of_keys_and_committed_on_its_own(running):
    with running([f"%%asset a --partitions {DAYS}\na = partition.key"], partitions=FIRST) as job:
        shown = job.run(0).ok()
        assert [line.partition(":")[0] for line in shown.out.splitlines()] == [*KEYS, "5 partitions"]
        assert "5 partitions: 5 materialized" in shown.out
        assert job.outcomes("a") == dict.fromkeys(KEYS, "success")
        assert [job.value("a", key) for key in KEYS] == KEYS


def test_partitions_of_one_notebook_feed_each_other(running):
    cells = [
        f"%%asset a --partitions {DAYS}\na = partition.start.day",
        f"%%asset b --partitions {DAYS}\nb = a * 10",
        "%%asset month --partitions monthly:2024-01-01\nmonth = {key: value for key, value in b.items()}",
        "%%asset one --map month=keys(2024-01-01)\none = len(month)",
        "(a, b)",
    ]
    with running(cells, partitions="2024-01-01..2024-01-31") as job:
        for cell in range(len(cells)):
            shown = job.run(cell).ok()
        assert "(31, 310)" in shown.out  # a view cell sees the last one
        month = job.value("month", "2024-01-01")
        assert list(month) == [f"2024-01-{day:02}" for day in range(1, 32)]
        assert month["2024-01-31"] == 310
        found = job.workspace.store.materialization("default", "one")
        assert job.workspace.io.manager(found.stored.io).load(found.stored) == 31
        assert re.fullmatch("[0-9a-f]{16}", found.inputs["month"])


def test_a_failing_partition_stops_no_other_and_the_cell_fails_in_the_end(running):
    body = (
        f"%%asset a --partitions {DAYS}\nif partition.start.day in (2, 4):\n    raise ValueError(partition.key)\na = 1"
    )
    with running([body, f"%%asset b --partitions {DAYS}\nb = a"], partitions=FIRST) as job:
        shown = job.run(0)
        assert str(shown.error) == (
            "2 of 5 partitions failed: 2024-01-02: ValueError: 2024-01-02; 2024-01-04: ValueError: 2024-01-04"
        )
        assert "raise ValueError(partition.key)" in shown.out  # the traceback of the first
        assert job.outcomes("a") == dict(zip(KEYS, ["success", "failed", "success", "failed", "success"], strict=True))
        assert "5 partitions: 3 materialized, 2 not executed" in job.run(1).ok().out
        below = job.rows("b")
        assert [row.outcome for row in below.values()] == ["success", "skipped", "success", "skipped", "success"]
        assert below["2024-01-02"].error == "upstream a@2024-01-02 did not succeed"


def test_a_partition_that_reads_a_failed_one_of_its_own_is_not_executed(running):
    body = (
        "%%asset a --partitions daily:2024-01-01 --map a=offset(-1)\n"
        "if partition.start.day == 3:\n    raise ValueError\na = (a or 0) + 1"
    )
    with running([body], partitions=FIRST) as job:
        assert "1 of 5 partitions failed" in str(job.run(0).error)
        assert list(job.outcomes("a").values()) == ["success", "success", "failed", "skipped", "skipped"]
        assert [job.value("a", key) for key in KEYS[:2]] == [1, 2]


def test_a_running_total_reads_its_own_day_before(running):
    body = (
        "%%asset a --partitions daily:2024-01-01 --map a=offset(-1)\na = (0 if a is None else a) + partition.start.day"
    )
    with running([body], partitions=FIRST) as job:
        job.run(0).ok()
        assert [job.value("a", key) for key in KEYS] == [1, 3, 6, 10, 15]


def test_a_cell_for_one_partition_is_executed_for_each_however_many_a_run_of_a_backfill_takes(running):
    body = (
        f"%%asset a --partitions {DAYS} --backfill single\nif partition.start.day == 2:\n    1 / 0\na = partition.key"
    )
    with running([body], partitions=FIRST) as job:
        assert "1 of 5 partitions failed" in str(job.run(0).error)
        assert [job.value("a", key) for key in KEYS if key != KEYS[1]] == [KEYS[0], *KEYS[2:]]


RANGED = {
    "a dict": "a = {key: len(partition.keys) for key in partition.keys}",
    "a generator": "a = ((key, len(partition.keys)) for key in partition.keys)",
    "an expression": "{key: len(partition.keys) for key in reversed(partition.keys)}",
}


@pytest.mark.parametrize("body", RANGED.values(), ids=RANGED)
def test_a_range_run_gives_a_value_for_each_key(running, body):
    with running([f"%%asset a --partitions {DAYS}\n{body}"], partitions=FIRST) as job:
        job.run(0).ok()
        assert [job.value("a", key) for key in KEYS] == [5] * 5


def test_a_range_run_reads_dicts_and_takes_so_many_at_once(running):
    cells = [
        f"%%asset a --partitions {DAYS}\na = partition.start.day",
        "%%asset factor\nfactor = 3",
        f"%%asset b --partitions {DAYS} --backfill 2\nb = {{key: (a[key] * factor, len(a)) for key in partition.keys}}",
    ]
    with running(cells, partitions=FIRST) as job:
        for cell in range(3):
            job.run(cell).ok()
        assert [job.value("b", key) for key in KEYS] == [(3, 2), (6, 2), (9, 2), (12, 2), (15, 1)]


WRONG = {
    "a generator that fails": (
        (
            "def made():\n    for key in partition.keys:\n        if key > '2024-01-02':\n            1 // 0\n"
            "        yield key, 1\na = made()"
        ),
        2,
        "3 of 5 partitions failed: 2024-01-03: ZeroDivisionError",
    ),
    "an unknown key": (
        "partition.keys\na = iter([('2024-01-01', 1), ('2024-01-31', 1)])",
        1,
        "asset a gave a value for '2024-01-31', which is not among partition.keys: did you mean",
    ),
    "an unknown key after all others": (
        "a = {key: 1 for key in (*partition.keys, 'b')}",
        5,
        "DefinitionError: asset a gave a value for 'b', which is not among partition.keys",
    ),
    "a key twice": (
        "partition.keys\na = iter([('2024-01-01', 1)] * 2)",
        1,
        "asset a gave a second value for 2024-01-01",
    ),
    "missing keys": (
        "a = {key: 1 for key in partition.keys if key < '2024-01-03'}",
        2,
        "asset a gave no value for 2024-01-03, 2024-01-04, 2024-01-05",
    ),
    "one value": ("partition.keys\na = 1", 0, "asset a gave one int for 5 partitions"),
    "no pairs": ("a = iter(partition.keys)", 0, "asset a gave str for a batch: yield pairs of key and value"),
    "no key": ("a = {partition.key: 1 for _ in partition.keys}", 0, "this execution is for 5 partitions"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "kept", "words"), WRONG.values(), ids=WRONG)
def test_what_came_before_an_error_in_a_range_run_stays(running, body, kept, words):
    with running([f"%%asset a --partitions {DAYS} --backfill single\n{body}"], partitions=FIRST) as job:
        said = str(job.run(0).error)
        assert words in said
        assert ("partitions failed" in said) == (kept < 5)
        assert list(job.outcomes("a").values()) == ["success"] * kept + ["failed"] * (5 - kept)
        assert [job.value("a", key) for key in KEYS[:kept]] == [1] * kept


def test_a_range_run_is_tried_again_for_what_is_left(running):
    body = (
        f"%%asset a --partitions {DAYS} --retries 1\n"
        "def made():\n    seen.append(partition.keys)\n    for key in partition.keys:\n        yield key, len(seen)\n"
        "        if key == '2024-01-02' and len(seen) == 1:\n            raise OSError\na = made()"
    )
    with running(["seen = []", body], partitions=FIRST) as job:
        job.run(0).ok()
        job.run(1).ok()
        assert [job.value("a", key) for key in KEYS] == [1, 1, 2, 2, 2]


def test_a_skipped_partition_is_no_failure_and_is_left_out_downstream(running):
    cells = [
        f"%%asset a --partitions {DAYS} --retries 2\nif partition.start.day == 2:\n    context.skip('holiday')\na = 1",
        f"%%asset b --partitions {DAYS}\nb = str(a)",
        "%%asset month --partitions monthly:2024-01-01 --map a=window\nmonth = list(a)",
    ]
    with running(cells, partitions="2024-01-01..2024-01-31") as job:
        assert "2024-01-02: skipped (holiday)" in job.run(0).ok().out
        assert (job.rows("a")["2024-01-02"].outcome, job.rows("a")["2024-01-02"].done) == ("skipped", True)
        job.run(1).ok()
        job.run(2).ok()
        assert [job.value("b", key) for key in KEYS[:3]] == ["1", "None", "1"]
        assert "2024-01-02" not in job.value("month", "2024-01-01")
        assert len(job.value("month", "2024-01-01")) == 30


def test_single_keys_of_a_range_run_can_be_skipped(running):
    body = (
        f"%%asset a --partitions {DAYS}\n"
        "context.skip('holiday', key='2024-01-02')\na = {key: 1 for key in partition.keys if key != '2024-01-02'}"
    )
    with running([body], partitions=FIRST) as job:
        job.run(0).ok()
        assert list(job.outcomes("a").values()) == ["success", "skipped", "success", "success", "success"]


def test_keys_that_were_skipped_keep_their_reason_when_the_rest_of_a_range_run_is_skipped(running):
    body = f"%%asset a --partitions {DAYS}\ncontext.skip('rain', key=partition.keys[1])\ncontext.skip('sun')"
    with running([body], partitions=FIRST) as job:
        job.run(0).ok()
        assert [row.error for row in job.rows("a").values()] == ["sun", "rain", "sun", "sun", "sun"]


def test_an_interrupted_commit_is_not_repeated(running, monkeypatch):
    real = SqlPartitions.commit

    def commit(store, values):
        real(store, values)
        raise KeyboardInterrupt

    with running([f"%%asset a --partitions {DAYS}\na = 1"], partitions=FIRST) as job:
        with monkeypatch.context() as patch:
            patch.setattr(SqlPartitions, "commit", commit)
            assert isinstance(job.run(0).error, KeyboardInterrupt)
        place = job.workspace.book.of("a").position(KEYS[0])
        found = job.workspace.store.partitions.history("default", "a", KEYS[0], place, limit=5)
        assert [each.version for each in found] == [1]


def test_what_was_being_made_durable_when_somebody_interrupted_is_not_committed(running, monkeypatch):
    _bad_flush(monkeypatch, 3, KeyboardInterrupt())
    with running([f"%%asset a --partitions {DAYS}\na = 1"], partitions=FIRST) as job:
        assert isinstance(job.run(0).error, KeyboardInterrupt)
        assert len(job.workspace.store.partitions.facts("default", "a").materialized[()]) == 2
        assert list(job.outcomes("a").values()) == ["success", "success", "queued", "queued", "queued"]


def test_an_interrupt_lets_all_of_a_batch_wait_again(running):
    body = f"%%asset a --partitions {DAYS}\na = partition.keys\nraise KeyboardInterrupt"
    with running([body], partitions=FIRST) as job:
        assert isinstance(job.run(0).error, KeyboardInterrupt)
        assert job.outcomes("a") == dict.fromkeys(KEYS, "queued")


def test_what_failed_bodies_had_in_memory_is_let_go(running):
    body = (
        f"%%asset a --partitions {DAYS}\nimport gc\nclass Big:\n    pass\n"
        "big = Big()\ngc.collect()\n"
        "held = [each for each in gc.get_objects() if type(each).__name__ == 'Big']\n"
        "print('held', len(held))\nraise ValueError\na = 1"
    )
    with running([body], partitions="2024-01-01..2024-01-10") as job:
        shown = job.run(0)
        assert "10 of 10 partitions failed" in str(shown.error)
        assert max(int(line.split()[1]) for line in shown.out.splitlines() if line.startswith("held")) <= 3


def test_an_interrupt_fails_nothing_and_leaves_no_mark(running):
    body = f"%%asset a --partitions {DAYS}\nif partition.start.day == 3:\n    raise KeyboardInterrupt\na = 1"
    with running([body], partitions=FIRST) as job:
        assert isinstance(job.run(0).error, KeyboardInterrupt)
        kept = job.workspace.store.partitions.facts("default", "a")
        assert not kept.families(lambda chunk: chunk.running | chunk.failed)
        assert [row.outcome for row in job.rows("a").values()][:2] == ["success", "success"]
        assert "failed" not in job.outcomes("a").values()


def test_a_run_of_what_is_stale_leaves_what_proves_unchanged(running):
    cells = [f"%%asset a --partitions {DAYS}\na = partition.key[:7]", f"%%asset b --partitions {DAYS}\nb = a"]
    with running(cells, partitions=FIRST) as job:
        job.run(0).ok()
        job.run(1).ok()
    changed = [cells[0] + "  # 2\nx = 1", cells[1]]
    with running(changed, partitions=FIRST, stale=True) as job:
        assert "5 materialized" in job.run(0).ok().out
        assert "5 unchanged" in job.run(1).ok().out
        assert job.outcomes("b") == dict.fromkeys(KEYS, "unchanged")


def test_a_record_of_many_partitions_stays_short_but_shows_what_failed(running):
    body = (
        f"%%asset a --partitions {DAYS}\nprint('working on', partition.key)\n"
        "if partition.key == '2024-06-01':\n    print('about to fail')\n    raise ValueError\na = 1"
    )
    with running([body], partitions="2024-01-01..2024-12-31") as job:
        shown = job.run(0)
        assert "1 of 366 partitions failed" in str(shown.error)
        assert shown.out.count("working on") < 25
        assert "about to fail" in shown.out
        assert "366 partitions: 365 materialized, 1 failed" in shown.out


def test_keys_of_any_form_are_kept_apart(running):
    keys = ["a/b", "a|b", "a b", "ü", "..", "%2F", "a%2Fb", "_", 'say "x"']
    spec = "static:" + ",".join('"' + key.replace('"', '\\"') + '"' for key in keys)
    with running([f"%%asset a --partitions '{spec}'\na = partition.key"], partitions="*") as job:
        job.run(0).ok()
        assert [job.value("a", key) for key in keys] == keys


def test_one_table_of_many_partitions(running):
    cells = [
        f"%%asset a --partitions {DAYS}\nimport pandas as pd\na = pd.DataFrame({{'n': [partition.start.day] * 2}})",
        "%%asset month --partitions monthly:2024-01-01 --concat a=day\nmonth = a",
    ]
    with running(cells, partitions="2024-01-01..2024-01-31") as job:
        job.run(0).ok()
        job.run(1).ok()
        table = job.value("month", "2024-01-01")
        assert isinstance(table, pd.DataFrame)
        assert list(table.columns) == ["n", "day"]
        assert list(table.index) == list(range(62))
        assert table.loc[table.n == 31, "day"].unique().tolist() == ["2024-01-31"]


def test_two_dimensions_and_an_upstream_of_one(running):
    cells = [
        f"%%asset a --partitions {DAYS}\na = partition.start.day",
        (
            f"%%asset b --partitions 'date={DAYS} x region=static:eu,us'\n"
            "b = (a, partition['region'], partition['date'], partition.start.day)"
        ),
        "%%asset c --partitions region=static:eu,us\nc = len(b)",
    ]
    with running(cells[:2], partitions="2024-01-01..2024-01-02") as job:
        job.run(0).ok()
        job.run(1).ok()
        assert job.value("b", "2024-01-02|us") == (2, "us", "2024-01-02", 2)


def test_awaiting_bodies_run_for_each_partition(running):
    body = f"%%asset a --partitions {DAYS}\nimport asyncio\nawait asyncio.sleep(0)\na = partition.key"
    with running([body], partitions=FIRST) as job:
        job.run(0).ok()
        assert [job.value("a", key) for key in KEYS] == KEYS


def test_history_of_a_partition_is_short(running):
    cells = [f"%%asset a --partitions {DAYS}\na = 1", f"%%asset b --partitions {DAYS}\nb = a"]
    with running(cells, partitions=FIRST) as job:
        job.run(0).ok()
        job.run(1).ok()
        of = job.workspace.book.of("b")
        found = job.workspace.store.partitions.materialization("default", "b", KEYS[0], of.position(KEYS[0]))
        above = job.workspace.store.partitions.materialization("default", "a", KEYS[0], of.position(KEYS[0]))
        assert found.inputs == {"a": above.stored.data_version}
        assert found.input_versions == {"a": 1}


SAME = {
    "assigned": "grown = (grown or 1) + 0",
    "changed in place": "grown = [] if grown is None else grown\ngrown = grown",
    "in a loop": "for grown in [grown or 1]:\n    pass",
    "conditional": "if grown is None:\n    grown = 1",
    "by a helper": "def grow():\n    global grown\n    grown = (grown or 0) + 1\ngrow()",
    "expression": "(grown or 1) + 0",
}


@pytest.mark.parametrize("body", SAME.values(), ids=SAME)
def test_a_partition_may_get_the_very_value_of_the_one_before(running, body):
    with running([f"%%asset grown --partitions {DAYS} --map grown=offset(-1)\n{body}"], partitions=FIRST) as job:
        job.run(0).ok()
        assert job.outcomes("grown") == dict.fromkeys(KEYS, "success")


def test_values_are_durable_before_they_are_committed(running, monkeypatch):
    flushed, committed, real = set(), [], os.fsync

    def fsync(descriptor):
        flushed.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    def commit(store, values):
        for new in values:
            found = store_folder / new.value.stored.path
            assert {each.stat().st_ino for each in (found, found.parent, found.parent.parent)} <= flushed
            committed.append(new.value.partition)
        return real_commit(store, values)

    real_commit = SqlPartitions.commit
    with running([f"%%asset a --partitions {DAYS}\na = 1"], partitions=FIRST) as job:
        store_folder = Path(job.workspace.config.storage_url(job.workspace.root))
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(SqlPartitions, "commit", commit)
        job.run(0).ok()
    assert committed == KEYS


def _bad_flush(monkeypatch, turn, error=None):
    """Commit each value by itself, and let the files of one of them, counted from 1, not become durable."""
    real, turns = ValueIOManager.group, []

    def group(manager):
        made = real(manager)
        flush = made._files.flush

        def flushed():
            turns.append(1)
            if len(turns) == turn:
                raise error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            flush()

        monkeypatch.setattr(made._files, "flush", flushed)
        return made

    monkeypatch.setattr(ValueIOManager, "group", group)
    monkeypatch.setattr(commits, "_LONGEST", 0.0)


@pytest.mark.parametrize("option", ["", " --backfill single"])
def test_values_that_can_not_be_made_durable_are_lost_and_others_stay(running, monkeypatch, option):
    body = "a = 1" if not option else "a = ((key, 1) for key in partition.keys)"
    _bad_flush(monkeypatch, 2)
    with running([f"%%asset a --partitions {DAYS}{option}\n{body}"], partitions=FIRST) as job:
        shown = job.run(0)
        assert "1 of 5 partitions failed: 2024-01-02: StoredValueError" in str(shown.error)
        assert "No space left" in str(shown.error)
        assert "5 partitions: 4 materialized, 1 failed" in shown.out
        assert list(job.outcomes("a").values()) == ["success", "failed", "success", "success", "success"]
        assert job.value("a", KEYS[4]) == 1


def test_a_partition_that_loses_one_value_and_then_another_counts_once(running, monkeypatch):
    body = "a = 1\nb = (each for each in ()) if partition.start.day == 2 else 1"  # no format keeps a generator
    _bad_flush(monkeypatch, 3)
    with running([f"%%asset a b --partitions {DAYS}\n{body}"], partitions=FIRST) as job:
        shown = job.run(0)
        assert "1 of 5 partitions failed: 2024-01-02: StoredValueError" in str(shown.error)
        assert job.outcomes("a")[KEYS[1]] == job.outcomes("b")[KEYS[1]] == "failed"


def test_the_only_partition_of_a_run_that_can_not_be_made_durable_fails(running, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with running([f"%%asset a --partitions {DAYS}\na = 1"], partitions=KEYS[0]) as job:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            assert isinstance(job.run(0).error, StoredValueError)
        assert job.outcomes("a") == {KEYS[0]: "failed"}
        assert not job.workspace.store.partitions.facts("default", "a").families(lambda chunk: chunk.running)
