"""The tutorials, as a reader uses them from a terminal: run, changed, run again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks import read_notebook, replace_in_cell

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NBPIPE = Path(sys.executable).with_name("nbpipe")


def nbpipe(folder: Path, *words: str) -> Any:
    """Run a command with `--json`, and return what it says."""
    done = subprocess.run([NBPIPE, *words, "--json"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def reasons(folder: Path) -> dict[str, list[str]]:
    """Return the assets that are not fresh, with the reasons."""
    return {a["asset"]: a["reasons"] for a in nbpipe(folder, "status") if a["status"] != "fresh"}


def copy_of(source: Path, folder: Path) -> Path:
    return shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".nbpipe", ".ipynb_checkpoints"))


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory) -> Path:
    """Return a copy of the tutorials where the quickstart has been run once; tests undo what they change."""
    folder = copy_of(NOTEBOOKS, tmp_path_factory.mktemp("tutorials") / "my notebooks, été")
    run = nbpipe(folder, "materialize", "*")
    assert run["status"] == "success"
    return folder


def test_the_quickstart_as_a_job_is_one_run_of_one_notebook(quickstart):
    (run,) = nbpipe(quickstart, "runs")
    assert (run["status"], run["error"]) == ("success", None)
    assert sorted(run["assets"]) == ["change_model", "continent_stats", "country_stats"]
    assert len(run["notebooks"]) == 1
    assert reasons(quickstart) == {}


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
        found = reasons(quickstart)
    finally:
        replace_in_cell(notebook, cell, new, old)
    assert {asset: sorted(why) for asset, why in found.items()} == expected
    assert reasons(quickstart) == {}


def test_a_change_of_the_data_file_is_noticed(quickstart):
    data = quickstart / "data" / "countries.csv"
    before = data.read_bytes()
    data.write_bytes(before.replace(b"31889923", b"31889924"))
    try:
        found = reasons(quickstart)
    finally:
        data.write_bytes(before)
    assert found["country_stats"] == ["file data/countries.csv changed"]
    assert set(found) == {"country_stats", "change_model", "continent_stats"}
    assert reasons(quickstart) == {}


def test_a_second_job_of_what_is_stale_executes_nothing(quickstart):
    run = nbpipe(quickstart, "materialize", "*", "--stale")
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


@pytest.mark.parametrize("folder", ["", "02_many_notebooks"])
def test_nothing_in_the_tutorials_is_reported(folder):
    done = subprocess.run([NBPIPE, "validate"], cwd=NOTEBOOKS / folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "warning" not in done.stdout
