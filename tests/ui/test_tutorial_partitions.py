"""The tutorial of partitions in JupyterLab: run from top to bottom, and its picture used as a person would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.notebooks import read_notebook
from tests.ui.lab import PATIENCE, PATIENCE_WITH_BACKFILLS, Lab

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CELLS = [cell["id"] for cell in read_notebook(NOTEBOOKS / "03_partitions.ipynb")["cells"]]

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def ran(lab: Lab) -> Iterator[Lab]:
    """Open a copy of the tutorial, of one year only, and run all of it."""
    tour = lab.root / "tour"
    others = shutil.ignore_patterns(".nbpipe", ".ipynb_checkpoints", "0[124]_*", "inbox")
    shutil.copytree(NOTEBOOKS, tour, ignore=others)
    notebook = tour / "03_partitions.ipynb"
    notebook.write_text(notebook.read_text().replace("2013-01-01", "2014-01-01"))
    lab.open("tour/03_partitions.ipynb")
    lab.run_all()
    yield lab
    lab.close_notebook()


def test_every_cell_runs(ran):
    assert ran.errors_in_cells() == []


def test_the_picture_of_days_follows_the_backfill_until_it_has_ended(ran):
    ran.page.evaluate("index => window.notebook.content.scrollToItem(index)", CELLS.index("weather-shown"))
    legend = ran.page.locator(f'[data-windowed-list-index="{CELLS.index("weather-shown")}"] .nbpipe-partitions')
    expect(legend).to_contain_text("365 partitions")
    expect(legend).to_contain_text("failed 2")
    backfill = ran.page.locator(f'[data-windowed-list-index="{CELLS.index("backfill-missing")}"]')
    ended = "backfill of weather months kinds climate (missing): failed"
    expect(backfill).to_contain_text(ended, timeout=PATIENCE_WITH_BACKFILLS)
    expect(backfill).to_contain_text("2 failed")


def test_the_grid_of_kinds_shows_what_was_skipped(ran):
    ran.run_cell(CELLS.index("kinds-shown"))
    grid = ran.page.locator(f'[data-windowed-list-index="{CELLS.index("kinds-shown")}"] .nbpipe-partitions').last
    expect(grid).to_contain_text("60 partitions")
    expect(grid).to_contain_text("skipped")
    assert ran.errors_in_cells() == []
