"""Commands about runs of partitions, from a terminal, with real kernels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks import replace_in_cell, write_notebook
from tests.terminal import nbpipe

DAY = """%%asset day --partitions daily:2024-01-01..2024-12-31
if partition.key == '2024-01-03':
    raise ValueError('no data')
int(partition.key[-2:])"""
CELLS = [
    DAY,
    "%%asset month --partitions monthly:2024-01-01..2024-12-01\nsum(day.values())",
    "import random",
    "%%asset luck --partitions static:a,b\nrandom.random()",
]


@pytest.fixture
def shop(project: Path) -> Path:
    write_notebook(project / "a.ipynb", CELLS)
    return project


def answer(root: Path, *words: str, status: int = 0) -> Any:
    found = nbpipe(root, *words, "--json")
    assert found.status == status, found.err
    return json.loads(found.out)


def test_a_run_of_partitions_as_data_and_in_words(shop: Path) -> None:
    found = answer(shop, "materialize", "day month", "--partitions", "2024-01-01..2024-03-31", status=1)
    (step,) = found["steps"]
    assert (found["status"], step["assets"], step["status"]) == ("failure", ["day", "month"], "failure")
    assert "1 of 91 partitions of day failed: 2024-01-03: ValueError: no data" in step["error"]

    (row,) = answer(shop, "runs")
    assert (row["partition"], row["assets"]) == ("2024-01-01..2024-03-31", ["day", "month"])
    rows = answer(shop, "runs", "show", row["id"])["outcomes"]
    assert rows[0] == {
        "asset": "day",
        "partition": None,
        "outcome": "failed",
        "error": None,
        "partitions": {"success": 90, "failed": 1},
    }
    assert [(each["partition"], each["outcome"]) for each in rows[1:]] == [
        ("2024-01-03", "failed"),
        (None, "skipped"),
        ("2024-01-01", "skipped"),
        ("2024-02-01", "success"),
        ("2024-03-01", "success"),
    ]
    page = nbpipe(shop, "runs", "show", row["id"]).out
    assert "day: 90 success, 1 failed" in page
    assert "day@2024-01-03" in page
    assert "day month (2024-01-01..2024-03-31)" in nbpipe(shop, "runs").out

    replace_in_cell(shop / "a.ipynb", 0, "'2024-01-03'", "''")
    again = answer(shop, "runs", "retry", "--from-failure", row["id"])
    assert again["status"] == "success"
    rows = answer(shop, "runs", "show", again["run_id"])["outcomes"]
    done = [(each["asset"], each["partition"]) for each in rows if each["partition"]]
    assert done == [("day", "2024-01-03"), ("month", "2024-01-01")]
    assert nbpipe(shop, "runs", "retry", "--from-failure", again["run_id"]).status == 2


def test_what_had_nothing_to_do_is_said_to_be_skipped(project: Path) -> None:
    body = "%%asset api --partitions static:a,b\nif partition.key in 'ab':\n    context.skip('holiday')\n1"
    write_notebook(project / "a.ipynb", [body])
    assert "api: skipped: holiday\n" in nbpipe(project, "materialize", "api", "--partition", "a").err
    assert "api: skipped\n" in nbpipe(project, "materialize", "api", "--partitions", "a..b").err
    both, one = answer(project, "runs")
    rows = answer(project, "runs", "show", both["id"])["outcomes"]
    assert [(row["outcome"], row["partitions"]) for row in rows] == [
        ("skipped", {"skipped": 2}),
        ("skipped", None),
        ("skipped", None),
    ]
    page = nbpipe(project, "runs", "show", one["id"]).out
    assert "api: 1 skipped" in page
    assert "unchanged" not in page


def test_one_partition_is_verified(shop: Path) -> None:
    assert answer(shop, "materialize", "day", "--partition", "2024-01-01")["status"] == "success"
    assert answer(shop, "materialize", "luck", "--partitions", "a..b")["status"] == "success"
    found = answer(shop, "verify", "day@2024-01-01")
    assert [(each["asset"], each["result"]) for each in found["assets"]] == [("day@2024-01-01", "equal")]
    found = answer(shop, "verify", "luck@b", status=1)
    assert [(each["asset"], each["result"]) for each in found["assets"]] == [("luck@b", "different")]
    assert answer(shop, "status", "day")[0]["partitions"]["materialized"] == 1
    answer_of_missing = nbpipe(shop, "verify", "day@2024-01-02")
    assert "has no value" in answer_of_missing.err


def test_a_whole_notebook_runs_for_the_latest_partitions(project: Path) -> None:
    body = "%%asset day --partitions daily:2024-01-01..2024-01-31\npartition.key"
    write_notebook(project / "a.ipynb", [body, "print(day)"])
    assert answer(project, "run", "a.ipynb")["steps"][0]["assets"] == ["day"]
    (row,) = answer(project, "runs")
    assert row["partition"] == "2024-01-31"
    assert answer(project, "run", "a.ipynb")["steps"][0]["assets"] == []


def test_a_whole_notebook_leaves_out_what_it_can_not_compute_now(project: Path) -> None:
    cells = [
        "%%asset day --partitions daily:2024-01-01..2024-01-31\nint(partition.key[-2:])",
        "%asset day@2024-01-02",
        "%%asset month --partitions monthly:2024-01-01..2024-01-01\nsum(day.values())",
        "%%asset total\nsum(month.values())",
        "print(total)",
        "%%asset visits --partitions dynamic:customers\npartition.key",
        "print(visits)",
        "print('the day is', day)",
        "%asset visits",
    ]
    write_notebook(project / "a.ipynb", cells)
    found = nbpipe(project, "run", "a.ipynb", "--json")
    assert found.status == 0, found.err
    (step,) = found.data["steps"]
    assert (step["assets"], step["partitions"]) == (["day"], {"day": ["2024-01-31"]})
    for note in (
        "left out: month@2024-01-01 needs 2024-01-01..2024-01-30 of day, which have no value",
        "left out: total needs month, which has no value",
        "left out: visits has no partitions yet: add keys with `nbpipe partitions add customers KEY`",
        "left out: cells 5, 7, which show what is left out",
    ):
        assert note in found.err
    told = shown(project / step["output"])
    assert "day@2024-01-02 has no value: `%materialize day --partitions 2024-01-02` makes it" in told[1]
    assert told[7] == "the day is 31\n"
    assert "asset visits has no partition so far (dynamic:customers)" in told[8]
    assert [told[at] for at in (2, 3, 4, 5, 6)] == [""] * 5
    answer(project, "materialize", "day", "--partitions", "2024-01-01..2024-01-30")
    answer(project, "partitions", "add", "customers", "ana")
    found = nbpipe(project, "run", "a.ipynb", "--json")
    assert found.status == 0, found.err
    assert "left out" not in found.err
    assert found.data["steps"][0]["assets"] == ["month", "total", "visits"]
    assert [told for told in shown(project / found.data["steps"][0]["output"]) if told][-3:] == [
        f"{sum(range(1, 32))}\n",
        "ana\n",
        "the day is 31\n",
    ]
    write_notebook(project / "a.ipynb", [*cells[:1], "old = %asset day@2024-02-01", "old + 1"])
    found = nbpipe(project, "run", "a.ipynb", "--json")
    assert (found.status, found.data["status"]) == (1, "failure")


def test_a_notebook_that_adds_keys_itself_runs_for_them(project: Path) -> None:
    cells = [
        "import nbpipe",
        "nbpipe.add_partitions('customers', ['ana'])",
        "%%asset visits --partitions dynamic:customers\npartition.key",
        "%%asset all_visits\nlist(visits.values())",
        "print(all_visits)",
    ]
    write_notebook(project / "a.ipynb", cells)
    found = nbpipe(project, "run", "a.ipynb", "--json")
    assert found.status == 0, found.err
    assert "left out" not in found.err
    assert shown(project / found.data["steps"][0]["output"])[4] == "['ana']\n"


def shown(record: Path) -> list[str]:
    """Return what each code cell of a record printed."""
    cells = json.loads(record.read_text(encoding="utf-8"))["cells"]
    return ["".join("".join(each.get("text", "")) for each in cell["outputs"]) for cell in cells]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["day"], "say which with --partition 2024-12-31 (the latest complete one)"),
        (["day", "--partition", "2025-01-01"], "there is no partition of day '2025-01-01': the last one is 2024-12-31"),
        (["day", "--partitions", "2024-02-02..2024-02-01"], "2024-02-01 comes before 2024-02-02"),
        (["day", "--partitions", "2024-02-02.."], "a key is missing"),
        (["luck", "--partition", "c"], "there is no partition of luck 'c': keys are a, b"),
        (["luck", "--partition", "a", "--partitions", "a..b"], "give only one of them"),
        (["luck", "--partition", "a", "--partition", "b"], "write all in one, with commas: --partitions a,b"),
        (["month", "--partition", "2024-02-01"], "would work: day month --partitions 2024-02-01..2024-02-29"),
        (["*", "--stale"], "partitions are missing or stale, too many for one run"),
    ],
)
def test_wrong_use_starts_nothing(shop: Path, words: list[str], message: str) -> None:
    found = nbpipe(shop, "materialize", *words)
    assert (found.status, found.out) == (2, "")
    assert message in found.err
    assert answer(shop, "runs") == []
