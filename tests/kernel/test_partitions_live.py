"""Partitions in a person's notebook: the current one, what a body sees, what is loaded and what is executed."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from nbpipe import clock
from tests.live import person
from tests.notebooks import code

DAYS = "daily:2024-01-01..2024-01-05"
RAW = f"%%asset raw --partitions {DAYS}\nraw = partition.start.day"
CLEAN = f"%%asset clean --partitions {DAYS}\nclean = raw * 10"


def chosen(me, key, *cells):
    me.type(f"%partition {key}").ok()
    return [me.run(cell).ok() for cell in cells]


def test_a_cell_executes_the_latest_complete_partition_and_loads_it_the_next_time(project):
    with person(project, [RAW, CLEAN]) as me:
        assert me.run(0).ok().out.strip() == "raw@2024-01-05: materialized (never materialized)"
        assert me.run(1).executed
        assert (me.names["raw"], me.names["clean"]) == (5, 50)
        assert me.executed() == []
        assert me.run(0).out.strip() == "raw@2024-01-05: up to date, loaded; %force raw runs it again"
        me.restart()
        assert me.executed() == []
        assert me.names["clean"] == 50


def test_the_current_partition_can_be_chosen_and_names_follow_it(project):
    with person(project, [RAW, CLEAN, "raw + clean"]) as me:
        me.run_all()
        assert "raw, clean: 2024-01-02" in me.type("%partition 2024-01-02").ok().out
        assert "raw" not in me.names
        shown = me.run(2)
        assert "raw@2024-01-02 has no value: `%materialize raw --partitions 2024-01-02` makes it" in shown.err
        assert [me.run(cell).executed for cell in (0, 1)] == [True, True]
        assert me.run(2).result.result == 22
        me.type("%partition '2024-01-05'").ok()
        assert me.run(2).result.result == 55
        assert [me.run(cell).executed for cell in (0, 1)] == [False, False]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("2024-01-06", "the last one is 2024-01-05"),
        ("2024-1-1", "a day is written as 2024-01-31"),
        ("uss", "did you mean 'us'?"),
    ],
)
def test_an_unknown_key_is_refused_with_what_is_near(project, key, words):
    cells = [RAW, "%%asset sales --partitions static:eu,us\nsales = 1"]
    with person(project, cells if key == "uss" else cells[:1]) as me:
        me.run_all()
        assert words in me.type(f"%partition {key}").said


def test_sets_of_other_windows_and_dimensions_follow(project):
    cells = [
        f"%%asset raw --partitions {DAYS}\nraw = partition.key",
        "%%asset month --partitions monthly:2023-01-01\nmonth = partition.key",
        "%%asset hour --partitions hourly:2024-01-01T00\nhour = partition.key",
        "%%asset both --partitions 'date=daily:2024-01-01 x region=static:eu,us'\nboth = partition.key",
        "%%asset sales --partitions region=static:eu,us\nsales = partition['region']",
    ]
    with person(project, cells) as me:
        me.run_all()
        assert me.names["raw"] == "2024-01-05"
        chosen(me, "2024-01-02", 0, 1, 2, 3, 4)
        found = [me.names[name] for name in ("raw", "month", "hour", "both", "sales")]
        assert found == ["2024-01-02", "2024-01-01", "2024-01-02T00", "2024-01-02|us", "us"]
        chosen(me, "eu", 3, 4)
        assert (me.names["both"], me.names["sales"]) == ("2024-01-02|eu", "eu")
        chosen(me, "2024-01-03|us", 0, 3, 4)
        assert [me.names[name] for name in ("raw", "both", "sales")] == ["2024-01-03", "2024-01-03|us", "us"]


def test_what_a_body_sees_as_partition(project):
    body = (
        "%%asset a --partitions 'date=daily:2024-01-01..2024-01-05@Europe/Berlin x region=static:eu,us'\n"
        "a = (partition.key, partition.keys, partition['date'], partition['region'], partition.start.isoformat(),\n"
        "     partition.end.isoformat(), str(partition), [one.key for one in partition])\nprint(repr(partition))"
    )
    with person(project, [body]) as me:
        shown = me.run(0).ok()
        key = "2024-01-05|us"
        ends = ("2024-01-05T00:00:00+01:00", "2024-01-06T00:00:00+01:00")
        assert me.names["a"] == (key, (key,), "2024-01-05", "us", *ends, key, [key])
        assert "<partition 2024-01-05|us (date=2024-01-05, region=us), 2024-01-05 00:00:00+01:00 to" in shown.out


def test_a_dimension_that_is_none_is_refused_with_the_nearest(project):
    body = "%%asset a --partitions 'date=daily:2024-01-01 x region=static:eu,us'\na = partition['regoin']"
    with person(project, [body]) as me:
        assert "did you mean 'region'?" in me.run(0).said


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25)])
def test_days_on_which_clocks_change_have_their_hours(project, day, hours):
    hour = "%%asset hour --partitions hourly:2024-03-01T00@Europe/Berlin\nhour = partition.end.timestamp()"
    whole = (
        "%%asset day --partitions daily:2024-03-01@Europe/Berlin --map hour=window\n"
        "day = (len(hour), sum(hour.values()), (partition.end.timestamp()"
    )
    cells = [
        f"{hour} - partition.start.timestamp()",
        f"{whole} - partition.start.timestamp()) / 3600)",
    ]
    with person(project, cells) as me:
        chosen(me, day)
        of = me.session.seen().book.of("hour")
        start = of.position(f"{day}T00")[1]
        for offset in range(hours):
            chosen(me, of.key(((), start + offset)), 0)
        chosen(me, day, 1)
        assert me.names["day"] == (hours, hours * 3600, hours)


def test_an_edit_an_upstream_and_a_parameter_make_a_partition_out_of_date(project):
    cells = [
        code("n = 1", tags=["parameters"]),
        RAW,
        "%%asset b --partitions daily:2024-01-01..2024-01-05\nb = raw + n",
    ]
    with person(project, cells) as me:
        me.run_all()
        me.edit(1, RAW.replace("start.day", "start.day + 1"))
        assert "raw@2024-01-05: materialized (code changed)" in me.run(1).ok().out
        assert "b@2024-01-05: materialized (upstream raw has newer data)" in me.run(2).ok().out
        me.edit(0, "n = 2")
        me.run(0)
        assert "(parameter n: 1 -> 2)" in me.run(2).ok().out
        assert me.names["b"] == 8
        assert "up to date" in me.run(2).ok().out


def test_force_executes_the_current_partition_again(project):
    with person(project, [RAW]) as me:
        me.run_all()
        me.type("%force raw")
        assert "raw@2024-01-05: materialized (forced)" in me.run(0).ok().out
        assert "up to date" in me.run(0).ok().out


def test_a_failure_is_recorded_for_the_partition(project):
    with person(project, [RAW.replace("partition.start.day", "1 // 0")]) as me:
        assert "ZeroDivisionError" in me.run(0).said
        state = me.session.seen().partition_states()["raw"]
        assert state.status_of("2024-01-05") == "failed"
        assert state.status_of("2024-01-04") == "missing"
        me.edit(0, RAW)
        assert "the latest attempt failed: ZeroDivisionError" in me.run(0).ok().out


def test_a_skip_is_told_and_not_repeated(project):
    body = RAW.replace("raw =", "context.skip('holiday')\nraw =")
    with person(project, [body, CLEAN.replace("raw * 10", "raw is None")]) as me:
        assert me.run(0).ok().out.strip() == "raw@2024-01-05: skipped (holiday)"
        assert me.names["raw"] is None
        me.run(1).ok()
        assert me.names["clean"] is True
        assert "up to date, skipped (holiday); %force raw runs it again" in me.run(0).ok().out


def test_only_partitions_can_be_skipped(project):
    with person(project, ["%%asset a\ncontext.skip('no')\na = 1"]) as me:
        assert "context.skip is for partitions, and asset a has none" in me.run(0).said


def test_what_is_missing_upstream_is_named_with_the_command_that_makes_it(project):
    cells = [RAW, CLEAN, "%%asset month --partitions monthly:2024-01-01\nmonth = sum(raw.values())"]
    with person(project, cells) as me:
        shown = me.run(1)
        assert "raw@2024-01-05, which clean@2024-01-05 reads, has no value: " in shown.said
        assert "`%materialize raw --partitions 2024-01-05` makes it" in shown.said
        me.type("%partition 2024-01-02").ok()
        me.run(0).ok()
        shown = me.run(2)
        assert "raw@2024-01-01 (and 3 more), which month@2024-01-01 reads, have no value" in shown.said


def test_what_lacks_its_inputs_was_not_executed_and_has_not_failed(project):
    cells = [f"%%asset own --partitions {DAYS} --map own=offset(-1)\nown = 1 if own is None else own + 1", RAW, CLEAN]
    with person(project, cells) as me:
        for cell, name in ((0, "own"), (2, "clean")):
            assert "MissingValueError" in me.run(cell).said
            state = me.session.seen().partition_states()[name]
            assert (state.counts.failed, state.status_of("2024-01-05")) == (0, "missing")


def test_assets_without_partitions_read_them_and_notice_new_ones(project):
    cells = [
        RAW,
        "%%asset total\ntotal = dict(raw)",
        "%%asset newest --map raw=latest\nnewest = raw",
        "total, newest",
    ]
    with person(project, cells) as me:
        chosen(me, "2024-01-02", 0)
        me.run(1).ok()
        assert me.names["total"] == {"2024-01-02": 2}
        assert "raw@2024-01-05, which newest reads, has no value" in me.run(2).said.replace("asset newest", "newest")
        chosen(me, "2024-01-05", 0)
        assert "total: materialized (upstream raw has newer data)" in me.run(1).ok().out
        assert me.names["total"] == {"2024-01-02": 2, "2024-01-05": 5}
        me.run(2).ok()
        assert me.names["newest"] == 5
        assert me.executed() == []


def test_a_value_of_any_partition_and_version_can_be_loaded(project):
    with person(project, [RAW]) as me:
        chosen(me, "2024-01-02", 0)
        me.type("%force raw")
        chosen(me, "2024-01-02", 0)
        chosen(me, "2024-01-03", 0)
        assert me.type("%asset raw").result.result == 3
        assert me.type("%asset raw@2024-01-02").result.result == 2
        assert me.type("%asset raw@2024-01-02#1").result.result == 2
        assert "raw@2024-01-02 has no version 9: it has 2, 1" in me.type("%asset raw@2024-01-02#9").said
        assert "has no version 1: it was never materialized" in me.type("%asset raw@2024-01-04#1").said
        assert "no partition '2024-02-02'" in me.type("%asset raw@2024-02-02").said
        assert "has no value" in me.type("%asset raw@2024-01-01").said


def test_keys_of_any_form_can_be_chosen(project):
    keys = ["a/b", "a|b", "New York", "ü", "%2F"]
    spec = "static:" + ",".join(f'"{key}"' for key in keys)
    with person(project, [f"%%asset a --partitions '{spec}'\na = partition.key"]) as me:
        for key in keys:
            chosen(me, key, 0)
            assert me.names["a"] == key
        assert [me.type(f"%asset a@{key}").result.result for key in keys] == keys
        assert [me.type(f"%asset 'a@{key}'").result.result for key in keys] == keys
        assert me.type("%asset 'a@New York'#1").error is not None
        assert me.type('%asset a@"New York"#1').result.result == "New York"
        assert me.run(0).ok().executed is False


def test_a_dynamic_set_without_keys_says_how_to_add_some(project):
    with person(project, ["%%asset a --partitions dynamic:customers\na = partition.key"]) as me:
        assert "add keys: %partitions add customers KEY" in me.run(0).said
        me.session.workspace.store.partitions.add_keys("default", "customers", ["ann"], at=clock.now())
        me.run(0).ok()
        assert me.names["a"] == "ann"


def test_a_window_that_has_not_ended_can_be_chosen(project):
    today = clock.now().date()
    with person(project, ["%%asset a --partitions daily:2024-01-01\na = partition.key"]) as me:
        me.run(0).ok()
        assert me.names["a"] == str(today - timedelta(days=1))
        chosen(me, str(today), 0)
        assert me.names["a"] == str(today)


def test_partition_shows_the_current_one(project):
    with person(project, [RAW, "%%asset month --partitions monthly:2024-01-01..2024-03-01\nmonth = 1"]) as me:
        me.run_all()
        lines = me.type("%partition").ok().out.splitlines()
        assert lines == [f"raw: 2024-01-05 ({DAYS})", "month: 2024-03-01 (monthly:2024-01-01..2024-03-01)"]
        assert "Make KEY the current partition" in me.type("%partition --help").ok().out
        me.type("import nbpipe\nnbpipe.partition('2024-01-02')").ok()
        assert me.type("%partition").out.splitlines()[0].startswith("raw: 2024-01-02")


def test_a_notebook_without_partitions_has_no_current_one(project):
    with person(project, ["%%asset a\na = 1"]) as me:
        me.run_all()
        assert "no asset of this notebook has partitions" in me.type("%partition").said


def test_a_ranged_cell_gives_and_reads_dicts_of_one(project):
    body = f"%%asset b --partitions {DAYS}\nb = {{key: raw[key] + 1 for key in partition.keys}}"
    with person(project, [RAW, body, "b"]) as me:
        me.run_all()
        assert me.names["b"] == 6


def test_no_unpartitioned_cell_loads_the_algebra_of_partitions(project):
    script = (
        "import sys\nfrom pathlib import Path\nfrom tests.live import person\n"
        "with person(Path.cwd(), ['%%asset a\\na = 1', '%%asset b\\nb = a', 'b']) as me:\n"
        "    me.run_all(); me.run_all()\n"
        "print([name for name in sys.modules if name in ('pyroaring', 'nbpipe.kernel.partitions')])"
    )
    root = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=project, env=environ, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr
