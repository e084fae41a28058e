"""The quickstart in JupyterLab: run from top to bottom, and its lineage used as a person would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.graphs import LineageWidget
from tests.ui.lab import Lab

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ASSETS = {"country_stats", "change_model", "continent_stats"}


@pytest.fixture(scope="module")
def ran(lab: Lab) -> Iterator[Lab]:
    """Open a copy of the quickstart and run all of it."""
    shutil.copytree(NOTEBOOKS, lab.root / "tour", ignore=shutil.ignore_patterns(".nbpipe", ".ipynb_checkpoints"))
    lab.open("tour/01_quickstart.ipynb")
    lab.run_all()
    yield lab
    lab.close_notebook()


@pytest.fixture
def lineage(ran: Lab) -> LineageWidget:
    widget = LineageWidget(ran)
    widget.select("")
    widget.wait(3)
    return widget


def test_every_cell_runs(ran):
    assert ran.errors_in_cells() == []


def test_lineage_shows_the_three_assets_fresh_and_linked(lineage):
    assert lineage.statuses() == dict.fromkeys(ASSETS, "fresh")
    assert lineage.edges() == {
        ("country_stats", "change_model"),
        ("country_stats", "continent_stats"),
        ("change_model", "continent_stats"),
    }
    expect(lineage.legend).to_contain_text("3 assets")
    expect(lineage.legend).to_contain_text("fresh 3")
