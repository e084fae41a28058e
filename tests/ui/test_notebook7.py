"""The quickstart in Notebook 7: what can be done in JupyterLab can be done there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.graphs import LineageWidget
from tests.ui.lab import Notebook7, boxes

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ASSETS = ("country_stats", "change_model", "continent_stats")


@pytest.fixture(scope="module")
def ran(notebook7: Notebook7) -> Iterator[Notebook7]:
    """Open a copy of the quickstart and run all of it."""
    ignored = shutil.ignore_patterns(".nbpipe", ".ipynb_checkpoints", "0[234]_*", "inbox")
    shutil.copytree(NOTEBOOKS, notebook7.root / "tour", ignore=ignored)
    notebook7.open("tour/01_quickstart.ipynb")
    notebook7.run_all()
    yield notebook7
    notebook7.close_notebook()


@pytest.fixture
def lineage(ran: Notebook7) -> LineageWidget:
    """Return the widget, drawn."""
    widget = LineageWidget(ran)
    widget.wait(3)
    return widget


def test_every_cell_runs(ran):
    assert ran.errors_in_cells() == []


def test_lineage_is_drawn_in_one_piece(lineage):
    assert lineage.statuses() == dict.fromkeys(ASSETS, "fresh")
    graph, details = boxes(lineage.root, ".nbpipe-graph", ".nbpipe-details")
    assert graph["x"] + graph["width"] <= details["x"] + 1  # side by side
    assert graph["y"] == pytest.approx(details["y"], abs=2)


def test_a_click_on_an_asset_shows_what_is_known_of_it(lineage):
    lineage.click("continent_stats")
    lineage.expect_details("continent_stats", "01_quickstart.ipynb, cell", "Last materialization", "pandas.DataFrame")


def test_load_binds_the_stored_value(ran, lineage):
    ran.value("globals().pop('change_model', None)")
    lineage.click("change_model")
    lineage.expect_details("change_model")
    lineage.button("Load").click()
    lineage.expect_details("bound to the name change_model")
    assert ran.value("change_model") == "LinearRegression()"


def test_materialize_runs_a_job_that_the_graph_follows(ran, lineage):
    ran.save()
    ran.value("globals().update(change_model='what the notebook shows so far')")
    lineage.click("change_model")
    lineage.expect_details("change_model")
    lineage.button("Materialize").click()
    lineage.wait_for_status("change_model", "queued", "running")
    lineage.wait_for_status("change_model", "fresh")
    lineage.expect_details("The run ended well")
    ran.run_cell(1)
    assert ran.value("change_model") == "LinearRegression()"
    expect(lineage.legend).to_contain_text("fresh 3")
