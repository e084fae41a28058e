"""The tutorials, as a reader uses them from a terminal: run, changed, run again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from nbpipe import clock
from tests.kernels import kernel, opened
from tests.notebooks import read_notebook, replace_in_cell
from tests.runs import eventually

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NBPIPE = Path(sys.executable).with_name("nbpipe")


QUICKSTART = "notebook:01_quickstart.ipynb"
PARTITIONS = "notebook:03_partitions.ipynb"
JOBS = "notebook:04_jobs.ipynb"


def nbpipe(folder: Path, *words: str, status: int = 0) -> Any:
    """Run a command with `--json`, and return what it says; `status` is the exit status that it should have."""
    done = subprocess.run([NBPIPE, *words, "--json"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def reasons(folder: Path, selection: str = "*") -> dict[str, list[str]]:
    """Return the assets that are not fresh, with the reasons."""
    return {a["asset"]: a["reasons"] for a in nbpipe(folder, "status", selection) if a["status"] != "fresh"}


def copy_of(source: Path, folder: Path) -> Path:
    return shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".nbpipe", ".ipynb_checkpoints", "inbox"))


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory) -> Path:
    """Return a copy of the tutorials where the quickstart has been run once; tests undo what they change."""
    folder = copy_of(NOTEBOOKS, tmp_path_factory.mktemp("tutorials") / "my notebooks, été")
    run = nbpipe(folder, "materialize", QUICKSTART)
    assert run["status"] == "success"
    return folder


def test_the_quickstart_as_a_job_is_one_run_of_one_notebook(quickstart):
    (run,) = nbpipe(quickstart, "runs")
    assert (run["status"], run["error"]) == ("success", None)
    assert sorted(run["assets"]) == ["change_model", "continent_stats", "country_stats"]
    assert len(run["notebooks"]) == 1
    assert reasons(quickstart, QUICKSTART) == {}


def test_its_record_shows_the_plot_and_no_error(quickstart):
    (run,) = nbpipe(quickstart, "runs")
    cells = {cell["id"]: cell for cell in read_notebook(quickstart / run["notebooks"][0])["cells"] if cell.get("id")}
    assert any("image/png" in output.get("data", {}) for output in cells["plot"]["outputs"])
    assert not [o for c in cells.values() for o in c.get("outputs", ()) if o["output_type"] == "error"]


def test_its_working_notebook_stays_without_outputs(quickstart):
    assert read_notebook(quickstart / "01_quickstart.ipynb") == read_notebook(NOTEBOOKS / "01_quickstart.ipynb")


STORY_EDIT = (
    'LinearRegression().fit(X, country_stats["change"])',
    'LinearRegression().fit(X, country_stats["change"], sample_weight=country_stats["now"])',
)
DOWNSTREAM = ["upstream change_model is stale"]


@pytest.mark.parametrize(
    ("cell", "old", "new", "expected"),
    [
        pytest.param(
            "change-model",
            *STORY_EDIT,
            {"change_model": ["code changed"], "continent_stats": DOWNSTREAM},
            id="the edit that the story proposes",
        ),
        pytest.param("change-model", "# What the", "# All that the", {}, id="a comment"),
        pytest.param("plot", "barh", "bar", {}, id="a view"),
        pytest.param(
            "continent-columns",
            "pd.get_dummies(continents)",
            "pd.get_dummies(continents, dtype=float)",
            {
                "change_model": ["helper continent_columns() changed"],
                "continent_stats": ["helper continent_columns() changed", *DOWNSTREAM],
            },
            id="a helper",
        ),
        pytest.param(
            "parameters",
            "2007",
            "2002",
            {
                "country_stats": ["parameter year: 2007 -> 2002"],
                "change_model": ["upstream country_stats is stale"],
                "continent_stats": ["upstream change_model is stale", "upstream country_stats is stale"],
            },
            id="a parameter",
        ),
    ],
)
def test_a_change_makes_exactly_the_right_assets_stale_until_it_is_undone(quickstart, cell, old, new, expected):
    notebook = quickstart / "01_quickstart.ipynb"
    replace_in_cell(notebook, cell, old, new)
    try:
        found = reasons(quickstart, QUICKSTART)
    finally:
        replace_in_cell(notebook, cell, new, old)
    assert {asset: sorted(why) for asset, why in found.items()} == expected
    assert reasons(quickstart, QUICKSTART) == {}


def test_a_change_of_the_data_file_is_noticed(quickstart):
    data = quickstart / "data" / "countries.csv"
    before = data.read_bytes()
    data.write_bytes(before.replace(b"31889923", b"31889924"))
    try:
        found = reasons(quickstart, QUICKSTART)
    finally:
        data.write_bytes(before)
    assert found["country_stats"] == ["file data/countries.csv changed"]
    assert set(found) == {"country_stats", "change_model", "continent_stats"}
    assert reasons(quickstart, QUICKSTART) == {}


def test_its_status_says_nothing_of_the_schedules_of_another_tutorial(quickstart):
    done = subprocess.run([NBPIPE, "status", QUICKSTART], cwd=quickstart, capture_output=True, text=True, check=True)
    assert "daemon" not in done.stdout + done.stderr


def test_a_second_job_of_what_is_stale_executes_nothing(quickstart):
    run = nbpipe(quickstart, "materialize", QUICKSTART, "--stale")
    assert [asset for step in run["steps"] for asset in step["assets"]] == []


def test_two_notebooks_feed_each_other(tmp_path):
    folder = copy_of(NOTEBOOKS / "02_many_notebooks", tmp_path / "many")
    run = nbpipe(folder, "materialize", "*")
    assert run["status"] == "success"
    assert [(Path(step["notebook"]).stem, step["assets"]) for step in run["steps"]] == [
        ("ingest", ["daily_weather"]),
        ("report", ["monthly_normals"]),
        ("ingest", ["unusual_days"]),
        ("report", ["unusual_by_year"]),
    ]
    assert reasons(folder) == {}


@pytest.fixture(scope="module")
def weather(tmp_path_factory) -> Path:
    """Return a copy of the tutorials where all partitions were asked for once; some fail."""
    folder = copy_of(NOTEBOOKS, tmp_path_factory.mktemp("weather") / "notebooks")
    found = nbpipe(folder, "backfill", PARTITIONS, "--all", status=1)
    assert (found["status"], found["total"], found["failed"], found["left"]) == ("failure", 875, 4, 0)
    return folder


def counts(folder: Path) -> dict[str, dict[str, int] | None]:
    """Return how many partitions of each asset there are of each kind, without zeros."""
    rows = nbpipe(folder, "status", PARTITIONS)
    return {row["asset"]: {k: n for k, n in row["partitions"].items() if n} for row in rows if row["partitions"]}


def test_days_of_storm_fail_and_their_months_are_not_made(weather):
    assert counts(weather) == {
        "weather": {"total": 730, "materialized": 726, "failed": 4},
        "months": {"total": 24, "materialized": 21, "missing": 3},
        "kinds": {"total": 120, "materialized": 55, "missing": 15, "skipped": 50},
    }
    (climate,) = nbpipe(weather, "status", "climate")
    assert (climate["status"], climate["version"]) == ("fresh", 1)


def test_the_tutorial_of_partitions_as_a_whole_is_a_job_that_computes_nothing_again(weather):
    run = nbpipe(weather, "run", "03_partitions.ipynb")
    assert run["status"] == "success"
    assert [asset for step in run["steps"] for asset in step["assets"]] == []
    assert read_notebook(weather / "03_partitions.ipynb") == read_notebook(NOTEBOOKS / "03_partitions.ipynb")


def test_another_limit_repairs_what_failed_and_nothing_else(weather):
    month = nbpipe(weather, "load", "months@2014-12-01", "--path")
    replace_in_cell(weather / "03_partitions.ipynb", "limit", "8", "10")
    found = nbpipe(weather, "backfill", PARTITIONS, "--failed", "--missing")
    assert (found["status"], found["total"], found["skipped"]) == ("success", 22, 8)
    assert counts(weather) == {
        "weather": {"total": 730, "materialized": 730, "stale": 726},
        "months": {"total": 24, "materialized": 24, "stale": 24},
        "kinds": {"total": 120, "materialized": 62, "stale": 120},
    }
    assert any("constant plausible_wind changed" in each for each in reasons(weather, "weather")["weather"])
    nbpipe(weather, "backfill", "weather", "--partitions", "2014-12-01..2014-12-31", "--stale")
    (months,) = nbpipe(weather, "status", "months")
    assert months["partitions"]["stale"] == 23, "the days of December proved to be the same"
    assert nbpipe(weather, "load", "months@2014-12-01", "--path") == month


def test_run_all_in_a_kernel_shows_partitions_and_computes_nothing_the_second_time(tmp_path):
    notebook = copy_of(NOTEBOOKS, tmp_path / "notebooks") / "03_partitions.ipynb"
    text = notebook.read_text().replace("2013-01-01", "2014-11-01").replace("2014-07-01", "2014-12-01")
    notebook.write_text(text)  # two months are enough
    cells = [cell for cell in read_notebook(notebook)["cells"] if cell["cell_type"] == "code"]
    with opened(notebook) as kernel:
        for cell in cells:
            shown, _, reply = kernel.run("".join(cell["source"]), cell["id"])
            assert reply["status"] == "ok", (cell["id"], shown)
        assert eventually(lambda: {row["status"] for row in nbpipe(notebook.parent, "backfill", "list")} == {"success"})
        assert reasons(notebook.parent, PARTITIONS) == {}
        before = nbpipe(notebook.parent, "runs")
        for cell in cells:
            shown, bundles, reply = kernel.run("".join(cell["source"]), cell["id"])
            assert reply["status"] == "ok", (cell["id"], shown)
            assert ": materialized" not in shown
            if cell["id"] == "weather-shown":
                assert any("application/vnd.jupyter.widget-view+json" in each for each in bundles)
    assert nbpipe(notebook.parent, "runs") == before


@pytest.fixture
def tutorials(tmp_path) -> Path:
    """Return a copy of the tutorials where nothing has been run."""
    return copy_of(NOTEBOOKS, tmp_path / "notebooks")


def sent(folder: Path) -> list[str]:
    """Return the files that are in the inbox."""
    return sorted(file.name for file in (folder / "inbox").iterdir())


def test_the_tutorial_of_jobs_as_a_whole_is_a_job_that_starts_no_other(tutorials):
    run = nbpipe(tutorials, "run", "04_jobs.ipynb")
    assert run["status"] == "success"
    (row,) = nbpipe(tutorials, "runs")
    assert (row["id"], sorted(row["assets"])) == (run["run_id"], ["arrived", "rain_2015", "station"])
    assert (reasons(tutorials, JOBS), sent(tutorials)) == ({}, ["2015-01.csv"])
    assert read_notebook(tutorials / "04_jobs.ipynb") == read_notebook(NOTEBOOKS / "04_jobs.ipynb")


def test_run_all_in_a_kernel_declares_and_tries_but_starts_nothing(tutorials):
    notebook = tutorials / "04_jobs.ipynb"
    path = os.pathsep.join([str(NBPIPE.parent), os.environ["PATH"]])
    said = {}
    with kernel(tutorials, JPY_SESSION_NAME=str(notebook), PATH=path) as at_work:
        for again in (False, True):
            for cell in read_notebook(notebook)["cells"]:
                if cell["cell_type"] == "code":
                    shown, bundles, reply = at_work.run("".join(cell["source"]), cell["id"])
                    assert reply["status"] == "ok", (cell["id"], shown)
                    assert not (again and ": materialized" in shown)
                    said[cell["id"]] = shown + "".join(each.get("text/plain", "") for each in bundles)
    assert "would launch 1 run" in said["new-files"]
    assert "At 07:00 on Monday through Friday" in said["preview"]
    assert (nbpipe(tutorials, "runs"), sent(tutorials)) == ([], ["2015-01.csv"])


def test_the_report_is_a_job_without_a_daemon(tutorials):
    run = nbpipe(tutorials, "job", "run", "report")
    assert run["status"] == "success"
    (row,) = nbpipe(tutorials, "runs")
    assert (row["job"], row["trigger"], row["assets"]) == ("report", "manual", [])
    record = (tutorials / row["notebooks"][0]).read_text(encoding="utf-8")
    assert "image/png" in record
    assert "year = 2015" in record


def daemon(folder: Path, *words: str) -> None:
    """Run a daemon that ends by itself."""
    done = subprocess.run(
        [NBPIPE, "daemon", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_daemon_reads_each_file_once_and_sums_up(tutorials):
    nbpipe(tutorials, "schedule", "stop", "every_minute")
    for month in ("2015-01", "2015-02"):
        assert nbpipe(tutorials, "job", "run", "send")["status"] == "success"
        trial = nbpipe(tutorials, "sensor", "tick", "new_files")
        assert (trial["status"], trial["runs"][-1]["partition"]) == ("launched", month)
        daemon(tutorials, "--until-idle")
    rows = {row["id"]: row for row in nbpipe(tutorials, "runs")}
    assert {row["status"] for row in rows.values()} == {"success"}
    read = [row for row in rows.values() if row["job"] == "read"]
    assert sorted(row["partition"] for row in read) == ["2015-01", "2015-02"]
    assert {row["trigger"] for row in read} == {"sensor:new_files"}
    assert "sensor:month_read" in {row["trigger"] for row in rows.values() if row["job"] == "sum_up"}
    assert reasons(tutorials, JOBS) == {}
    assert nbpipe(tutorials, "sensor", "tick", "new_files")["status"] == "skipped"


def test_a_daemon_that_looks_once_makes_up_for_the_last_tick(tutorials):
    replace_in_cell(tutorials / "04_jobs.ipynb", "every-minute", "* * * * *", "* * * * * *")  # no minute is waited for
    daemon(tutorials, "--once")
    (minute,) = [row for row in nbpipe(tutorials, "schedule", "list") if row["name"] == "every_minute"]
    eventually(lambda: clock.now() > datetime.fromisoformat(minute["next"]))
    daemon(tutorials, "--once")
    launched = [t for t in nbpipe(tutorials, "schedule", "ticks", "every_minute") if t["status"] == "launched"]
    sends = [row for row in nbpipe(tutorials, "runs") if row["trigger"] == "schedule:every_minute"]
    assert [tick["runs"] for tick in launched] == [[row["id"]] for row in sends]
    assert {row["status"] for row in sends} == {"success"}
    assert 0 < len(sent(tutorials)) <= len(sends)  # runs of one moment may find the same month to be the next


@pytest.mark.parametrize("folder", ["", "02_many_notebooks"])
def test_nothing_in_the_tutorials_is_reported(folder):
    done = subprocess.run([NBPIPE, "validate"], cwd=NOTEBOOKS / folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "warning" not in done.stdout
