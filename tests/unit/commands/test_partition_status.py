"""What status, why, show, list and selections tell of assets with partitions, and of those next to them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.partitions.chunks import whole_facts
from nbpipe.core.partitions.explaining import partition_reasons
from nbpipe.core.partitions.inputs import Inputs
from nbpipe.core.partitions.records import SkippedPartition
from nbpipe.core.partitions.subsets import single
from tests.notebooks import edit_cell, parameters, write_notebook
from tests.stored import store_partitions, store_values

CELLS = (
    parameters("limit = 10"),
    "def clean(rows):\n    return rows",
    "%%asset raw\nraw = [1]",
    "%%asset daily --partitions daily:2024-01-01..2024-01-31\ndaily = clean(raw)[:limit]",
    "%%asset weekly --partitions weekly:2024-01-01..2024-01-22\nweekly = daily",
    "%%asset report\nreport = daily",
    "%%asset newest --map daily=latest\nnewest = daily",
)
DAYS = [f"2024-01-{day:02}" for day in range(1, 32)]
WEEKS = ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"]
NONE = {"total": 31, "materialized": 31, "stale": 0, "failed": 0, "missing": 0, "running": 0, "skipped": 0}


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project of assets with and without partitions; nothing is stored."""
    write_notebook(project / "shop.ipynb", CELLS)
    return project


@pytest.fixture
def full(shop: Path) -> Path:
    """Return the project with everything stored."""
    store_values(shop, raw=[1])
    store_partitions(shop, "daily", dict.fromkeys(DAYS, 1))
    store_partitions(shop, "weekly", dict.fromkeys(WEEKS, 1))
    store_values(shop, report=1, newest=1)
    return shop


def mark(folder, what, asset, *keys, **details):
    with Workspace.open(folder) as workspace:
        for key in keys:
            which = single(workspace.book.of(asset), key).families
            getattr(workspace.store.partitions, what)("default", asset, which, *details.values(), at=clock.now())


def rows(terminal, *words):
    return {row["asset"]: row for row in terminal.json("status", *words)}


def statuses(terminal):
    return {name: row["status"] for name, row in rows(terminal).items()}


# --- status ---


def test_where_nothing_is_stored_everything_is_missing_and_no_state_is_made(shop, terminal):
    found = rows(terminal)
    assert found["daily"]["partitions"] == NONE | {"materialized": 0, "missing": 31}
    assert found["raw"]["partitions"] is None
    assert {row["status"] for row in found.values()} == {"missing"}
    assert {tuple(row["reasons"]) for row in found.values()} == {("never materialized",)}
    assert not list(shop.rglob("state.db"))


def test_the_time_of_an_asset_with_partitions_is_that_of_its_newest_value(full, terminal):
    before = rows(terminal)["daily"]["materialized_at"]
    store_partitions(full, "daily", {DAYS[0]: 2})
    after = rows(terminal)["daily"]["materialized_at"]
    assert before < after
    assert rows(terminal)["raw"]["materialized_at"] < before
    mark(full, "wipe", "daily", *DAYS)
    assert rows(terminal)["daily"]["materialized_at"] is None


def test_what_is_stored_is_fresh(full, terminal):
    assert set(statuses(terminal).values()) == {"fresh"}
    found = rows(terminal)["daily"]
    assert found["partitions"] == NONE
    assert (found["version"], found["reasons"]) == (None, [])


def test_each_status_is_counted_and_told_with_its_partitions(full, terminal):
    mark(full, "fail", "daily", DAYS[2], DAYS[3], error="boom")
    mark(full, "wipe", "daily", DAYS[9])
    found = rows(terminal)
    assert found["daily"]["partitions"] == NONE | {"materialized": 30, "failed": 2, "missing": 1}
    assert (found["daily"]["status"], found["daily"]["reasons"]) == (
        "failed",
        ["2 of 31 partitions failed: 2024-01-03..2024-01-04", "1 of 31 partitions is missing: 2024-01-10"],
    )
    assert "30/31 partitions, 2 failed, 1 missing" in terminal("status").out
    assert found["weekly"]["status"] == "stale"
    assert found["weekly"]["reasons"] == [
        "1 of 4 partitions is stale: upstream daily has newer data",
        "1 of 4 partitions is stale: upstream daily failed",
    ]
    assert found["report"]["reasons"] == ["upstream daily has newer data"]
    assert found["newest"]["status"] == "fresh"


@pytest.mark.parametrize(
    ("cell", "source", "reason"),
    [
        (3, "%%asset daily --partitions daily:2024-01-01..2024-01-31\ndaily = clean(raw)[1:limit]", "code changed"),
        (1, "def clean(rows):\n    return list(rows)", "helper clean() changed"),
        (0, "limit = 20", "parameter limit: 10 -> 20"),
    ],
)
def test_a_change_makes_all_partitions_stale_with_the_reason_of_any_asset(full, terminal, cell, source, reason):
    edit_cell(full / "shop.ipynb", cell, source)
    found = rows(terminal)
    assert found["daily"]["reasons"] == [f"31 of 31 partitions are stale: {reason}"]
    assert found["daily"]["partitions"] == NONE | {"stale": 31}
    assert found["weekly"]["reasons"] == ["4 of 4 partitions are stale: upstream daily is stale"]
    assert found["report"]["reasons"] == found["newest"]["reasons"] == ["upstream daily is stale"]
    store_partitions(full, "daily", dict.fromkeys(DAYS[:3], 1))
    assert rows(terminal)["daily"]["reasons"] == [f"28 of 31 partitions are stale: {reason}"]


def test_what_was_made_with_another_default_is_stale(full, terminal):
    edit_cell(full / "shop.ipynb", 0, "limit = 3")
    store_partitions(full, "daily", dict.fromkeys(DAYS[:3], 1))
    edit_cell(full / "shop.ipynb", 0, "limit = 10")
    assert rows(terminal)["daily"]["reasons"] == ["3 of 31 partitions are stale: parameter limit: 3 -> 10"]


def test_an_upstream_without_partitions_feeds_all_of_them(full, terminal):
    store_values(full, raw=[2])
    found = rows(terminal)
    assert found["daily"]["reasons"] == ["31 of 31 partitions are stale: upstream raw has newer data"]
    store_values(full, raw=[1])
    assert set(statuses(terminal).values()) == {"fresh"}


def test_a_new_partition_makes_stale_what_reads_all_and_a_missing_one_does_not(shop, terminal):
    store_values(shop, raw=[1])
    store_partitions(shop, "daily", dict.fromkeys(DAYS[:-1], 1))
    store_values(shop, report=1)
    found = rows(terminal)
    assert (found["daily"]["status"], found["report"]["status"]) == ("missing", "fresh")
    store_partitions(shop, "daily", {DAYS[-1]: [1]})
    assert rows(terminal)["report"]["reasons"] == ["upstream daily has newer data"]


def test_what_reads_the_latest_waits_for_it(full, terminal):
    mark(full, "wipe", "daily", DAYS[-1])
    assert rows(terminal)["newest"]["status"] == "stale"
    mark(full, "wipe", "daily", *DAYS[:3])
    assert rows(terminal, "newest")["newest"]["reasons"] == ["upstream daily has newer data"]


def test_a_declaration_that_can_not_be_used_is_told_in_its_row(full, terminal):
    edit_cell(full / "shop.ipynb", 3, "%%asset daily --partitions daily:2024-13-01\ndaily = clean(raw)[:limit]")
    found = rows(terminal)
    assert found["raw"]["status"] == "fresh"
    assert found["daily"]["status"] == "missing"
    (reason,) = found["daily"]["reasons"]
    assert reason.startswith("%%asset: --partitions: column 7: start '2024-13-01': there is no such day")


BROKEN = {
    "--partitions daily:2024-13-01": "%%asset: --partitions: column 7: start '2024-13-01': there is no such day",
    "--partitions daily:2024-01-01 --map raw=offset(x)": "%%asset: --map: column 12: an offset is a whole number",
}


@pytest.mark.parametrize("options", BROKEN)
def test_what_is_behind_an_asset_gives_the_cause_if_its_declaration_can_not_be_read(full, terminal, options):
    edit_cell(full / "shop.ipynb", 3, f"%%asset daily {options}\ndaily = clean(raw)[:limit]")
    found = rows(terminal)
    (reason,) = found["daily"]["reasons"]
    assert reason.startswith(BROKEN[options])
    below = "upstream daily has a declaration that can't be read"
    assert found["report"]["reasons"] == found["newest"]["reasons"] == [below]
    assert found["weekly"]["reasons"] == [f"4 of 4 partitions are stale: {below}"]
    for start in ("daily", "report", "weekly", "weekly@2024-01-08"):
        nodes = {node["asset"]: node for node in terminal.json("why", start)["nodes"]}
        assert nodes["daily"]["reasons"] == [reason]
        assert "never materialized" not in str(nodes)
    assert [each["reason"] for each in terminal.json("why", "weekly")["nodes"][0]["partitions"]] == [below]
    assert terminal.json("show", "daily")["reasons"] == [reason]
    for words in (["daily"], ["report"], ["weekly", "--partition", "2024-01-08"]):
        answer = terminal("materialize", *words)
        assert BROKEN[options] in answer.err
        assert "can't be run" in answer.err


def test_a_mapping_that_does_not_fit_is_told_of_a_partition_too(full, terminal):
    edit_cell(full / "shop.ipynb", 4, CELLS[4].replace("\n", " --map daily=keys(2024-01-99)\n"))
    (reason,) = rows(terminal)["weekly"]["reasons"]
    assert "doesn't fit" in reason
    assert reason.partition(":")[0] in terminal("why", "weekly@2024-01-08").err


@pytest.mark.parametrize(
    ("term", "chosen"),
    [
        ("status:failed", ["daily"]),
        ("status:missing", ["daily"]),
        ("status:stale", ["daily", "newest", "report", "weekly"]),
        ("status:fresh", ["raw"]),
    ],
)
def test_a_status_holds_for_an_asset_if_it_does_for_any_partition(full, terminal, term, chosen):
    edit_cell(full / "shop.ipynb", 1, "def clean(rows):\n    return list(rows)")
    mark(full, "fail", "daily", DAYS[0], error="boom")
    mark(full, "wipe", "daily", DAYS[1])
    assert [row["asset"] for row in terminal.json("status", term)] == chosen


def test_listings_show_the_partitions(shop, terminal):
    assert terminal.json("list")[1]["partitions"] == "daily:2024-01-01..2024-01-31"
    assert "daily:2024-01-01..2024-01-31" in terminal("list").out


# --- why ---


def test_why_names_the_ranges_of_each_reason_and_what_changed(full, terminal):
    edit_cell(full / "shop.ipynb", 1, "def clean(rows):\n    return list(rows)")
    mark(full, "fail", "daily", DAYS[4], error="boom")
    store_partitions(full, "daily", dict.fromkeys(DAYS[10:12], 1))
    node = terminal.json("why", "daily")["nodes"][0]
    assert node["partitions"] == [
        {"reason": "failed", "partitions": 1, "ranges": ["2024-01-05"], "more": False},
        {
            "reason": "helper clean() changed",
            "partitions": 28,
            "ranges": ["2024-01-01..2024-01-04", "2024-01-06..2024-01-10", "2024-01-13..2024-01-31"],
            "more": False,
        },
    ]
    assert [change["component"] for change in node["changes"]] == ["helper clean()"]
    assert "+    return list(rows)" in node["changes"][0]["diff"]
    text = terminal("why", "daily").out
    assert "28 partitions: helper clean() changed" in text
    assert "2024-01-01..2024-01-04, 2024-01-06..2024-01-10" in text


def test_why_explains_one_partition_through_those_that_feed_it(full, terminal):
    mark(full, "fail", "daily", DAYS[7], error="boom\nmore")
    found = terminal.json("why", "weekly@2024-01-08")
    assert (found["asset"], found["partition"]) == ("weekly", "2024-01-08")
    first, second = found["nodes"]
    assert (first["status"], first["reasons"], first["upstream"]) == (
        "stale",
        ["upstream daily failed"],
        ["daily@2024-01-08"],
    )
    assert (second["partition"], second["reasons"]) == (DAYS[7], ["the latest attempt failed: boom"])
    assert "daily@2024-01-08  failed" in terminal("why", "weekly@2024-01-08").out
    assert terminal.json("why", "weekly@2024-01-01")["nodes"][0]["reasons"] == []


def test_why_names_the_upstream_that_has_newer_data(shop, terminal):
    write_notebook(shop / "two.ipynb", ("%%asset both --partitions daily:2024-01-01..2024-01-31\nboth = daily, raw",))
    store_values(shop, raw=[1])
    store_partitions(shop, "daily", dict.fromkeys(DAYS, 1))
    store_partitions(shop, "both", dict.fromkeys(DAYS, 1))
    store_partitions(shop, "daily", {DAYS[0]: [2]})
    row = rows(terminal)["both"]
    assert row["reasons"] == ["1 of 31 partitions is stale: an upstream has newer data: daily or raw"]
    assert terminal.json("why", f"both@{DAYS[0]}")["nodes"][0]["reasons"] == ["upstream daily has newer data"]


def test_why_limits_what_is_behind_a_partition_and_says_so(shop, terminal):
    found = terminal.json("why", "weekly@2024-01-08")["nodes"]
    assert "7 partitions of daily are behind it, the first 3 are explained" in found[0]["notes"]
    assert [node["partition"] for node in found] == ["2024-01-08", *DAYS[7:10], None]


def test_why_follows_a_self_dependency_and_says_where_it_stops(shop, terminal):
    cell = "%%asset grown --partitions daily:2024-01-01..2024-06-30 --map grown=offset(-1)\ngrown = (grown or 0) + 1"
    write_notebook(shop / "grown.ipynb", (cell,))
    nodes = terminal.json("why", "grown@2024-06-30")["nodes"]
    assert [node["partition"] for node in nodes[:3]] == ["2024-06-30", "2024-06-29", "2024-06-28"]
    assert nodes[-1]["upstream"] == []
    assert nodes[-1]["notes"] == ["what is behind it is left out: `nbpipe why` starts anywhere"]
    assert len(nodes) < 100


def test_why_tells_what_was_skipped_and_what_is_held(full, terminal):
    store_partitions(full, "daily", {DAYS[0]: 2})
    with Workspace.open(full) as workspace:
        of, partitions = workspace.book.of("daily"), workspace.store.partitions
        partitions.rollback("default", "daily", DAYS[0], of.position(DAYS[0]), version=1, at=clock.now())
        recipe = next(iter(partitions.recipes("default", "daily").values()))
        skipped = {"env": "default", "asset": "daily", "partition": DAYS[1], "position": of.position(DAYS[1])}
        link = workspace.book.link(workspace.asset("daily"), "raw")
        raw = workspace.store.materialization("default", "raw").stored.data_version
        inputs = Inputs([(link, whole_facts(raw))], clock.now()).fingerprint(*of.position(DAYS[1]))
        partitions.skip([SkippedPartition(**skipped, recipe=recipe, inputs=inputs, reason="Sunday", at=clock.now())])
    held, left = (terminal.json("why", f"daily@{key}")["nodes"][0] for key in DAYS[:2])
    assert (held["status"], held["notes"]) == ("fresh", ["held at version 1 (rolled back)"])
    assert (left["status"], left["notes"]) == ("skipped", ["skipped: Sunday"])
    assert rows(terminal)["daily"]["partitions"]["skipped"] == 1
    assert rows(terminal)["daily"]["notes"] == ["1 of 31 partitions is held (rolled back)"]
    assert [row["note"] for row in terminal.json("show", "daily")["partitions"]["latest"]] == [""] * 10
    assert "Sunday" in terminal("show", f"daily@{DAYS[1]}").out


def test_load_of_a_skipped_partition_says_why_there_is_nothing(full, terminal):
    terminal("wipe", f"daily@{DAYS[1]}", "--yes")
    with Workspace.open(full) as workspace:
        position, partitions = workspace.book.of("daily").position(DAYS[1]), workspace.store.partitions
        recipe = next(iter(partitions.recipes("default", "daily").values()))
        partitions.skip(
            [
                SkippedPartition(
                    env="default",
                    asset="daily",
                    partition=DAYS[1],
                    position=position,
                    recipe=recipe,
                    reason="Sunday",
                    at=clock.now(),
                )
            ]
        )
    answer = terminal("load", f"daily@{DAYS[1]}")
    assert answer.status == 1
    assert "because its last run skipped it (Sunday)" in answer.err
    assert f"`nbpipe materialize daily --partition {DAYS[1]}` tries again" in answer.err


def test_a_window_that_has_not_ended_is_missing_and_said_to_be_open(shop, terminal):
    write_notebook(shop / "open.ipynb", ("%%asset years --partitions monthly:2024-01-01\nyears = 1",))
    node = terminal.json("why", "years@2199-01-01")["nodes"][0]
    assert (node["status"], node["notes"]) == ("missing", ["its window has not ended yet"])


@pytest.mark.parametrize("command", ["why", "show"])
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("daily@2024-01-33", "2024-01-33"),
        ("daily@2025-01-01", "the last one is 2024-01-31"),
        ("raw@2024-01-01", "raw has no partitions: leave out @2024-01-01"),
        ("dayly@2024-01-01", "did you mean 'daily'?"),
    ],
)
def test_what_is_not_there_is_an_error(full, terminal, command, what, message):
    answer = terminal(command, what)
    assert answer.status == 2
    assert message in answer.err


# --- show ---


def test_show_tells_the_partitions_of_an_asset_and_the_latest_of_them(full, terminal):
    mark(full, "fail", "daily", DAYS[-1], error="boom\nmore")
    mark(full, "wipe", "daily", DAYS[-2])
    found = terminal.json("show", "daily")
    assert found["partitions"]["spec"] == "daily:2024-01-01..2024-01-31"
    assert found["partitions"]["counts"] == NONE | {"materialized": 30, "failed": 1, "missing": 1}
    latest = [(row["partition"], row["status"], row["version"], row["note"]) for row in found["partitions"]["latest"]]
    assert latest[:3] == [
        (DAYS[-1], "failed", 1, "boom"),
        (DAYS[-2], "missing", None, ""),
        (DAYS[-3], "fresh", 1, ""),
    ]
    assert len(latest) == 10
    said = terminal("show", "daily").out
    assert "30/31 partitions, 1 failed, 1 missing" in said
    assert "and 21 more: nbpipe partitions daily shows all by status" in said


def test_show_tells_the_versions_of_one_partition(full, terminal):
    store_partitions(full, "daily", {DAYS[0]: [2]})
    found = terminal.json("show", f"daily@{DAYS[0]}")
    assert (found["partition"], found["status"]) == (DAYS[0], "fresh")
    assert found["window"] == ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]
    assert [(row["version"], row["current"]) for row in found["versions"]] == [(2, True), (1, False)]
    assert f"daily@{DAYS[0]}" in terminal("show", f"daily@{DAYS[0]}").out


@pytest.mark.parametrize(
    ("partitions", "keys"),
    [
        ("static:x,y,a", ["x", "y", "a"]),
        (
            "date=daily:2024-01-01..2024-01-02 x r=static:us,eu",
            [f"2024-01-0{d}|{r}" for d in (2, 1) for r in ("us", "eu")],
        ),
        ("monthly:2024-01-01..2024-03-01", ["2024-03-01", "2024-02-01", "2024-01-01"]),
        ("dynamic:nobody", []),
    ],
)
def test_the_latest_partitions_are_shown_first_and_listed_ones_in_their_order(shop, terminal, partitions, keys):
    write_notebook(shop / "more.ipynb", (f"%%asset more --partitions '{partitions}'\nmore = 1",))
    assert [row["partition"] for row in terminal.json("show", "more")["partitions"]["latest"]] == keys


# --- the workspace ---


def test_states_are_remembered_until_something_changes(full):
    with Workspace.open(full) as workspace:
        before = workspace.partition_states()
        assert list(before) == ["daily", "weekly"]
        again = workspace.partition_states()
        assert all(again[name] is before[name] for name in before)
        store_partitions(full, "weekly", {WEEKS[0]: [2]})
        after = workspace.partition_states()
        assert after["daily"] is before["daily"]
        assert after["weekly"] is not before["weekly"]


def test_states_follow_the_definitions(full):
    with Workspace.open(full) as workspace:
        before = workspace.partition_states()["daily"]
        assert before.counts.fresh == 31
        edit_cell(full / "shop.ipynb", 1, "def clean(rows):\n    return list(rows)")
        assert workspace.partition_states()["daily"] is before
        assert workspace.reload()
        assert workspace.partition_states()["daily"].counts.stale == 31
        given = workspace.partition_states({"limit": "11"})["daily"]
        assert "parameter limit: 10 -> 11" in partition_reasons(given, DAYS[0])


def test_a_project_without_partitions_loads_none_of_it(project):
    write_notebook(project / "a.ipynb", ("%%asset a\na = 1",))
    code = "import sys; from nbpipe.cli.main import main\ntry: main()\nfinally: print('pyroaring' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "status"], capture_output=True, text=True, check=True, cwd=project, env=os.environ
    )
    assert done.stdout.endswith("False\n")
