"""Lineage of projects that are too big to draw, and of those that mean harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.notebooks import code, write_notebook
from tests.ui.graphs import LineageWidget
from tests.ui.lab import Lab

HARM = "<img src=x onerror=window.harm=1>"


def big_project(root: Path, *, notebooks: int, assets: int, grouped: bool) -> None:
    """Write a project where each notebook continues one before it."""
    for number in range(notebooks):
        cells = []
        for index in range(assets):
            name = f"n{number}_a{index}"
            above = (
                f"n{number}_a{(index - 1) // 3}"
                if index
                else f"n{(number - 1) // 2}_a{number % assets}"
                if number
                else "0"
            )
            group = f" --group team{number // 4}" if grouped else ""
            cells.append(code(f"%%asset {name}{group}\n{name} = {above}"))
        write_notebook(root / f"part{number:03}.ipynb", cells)
    write_notebook(root / "look.ipynb", ["%load_ext nbpipe", "%lineage", "%lineage 2+n0_a19"])


@pytest.fixture(scope="module")
def big(lab: Lab) -> Lab:
    """Open the 2,000 assets of 100 notebooks, in 25 groups."""
    big_project(lab.root / "big", notebooks=100, assets=20, grouped=True)
    (lab.root / "big" / "nbpipe.toml").touch()
    lab.open("big/look.ipynb")
    lab.run_cell(0)
    lab.run_cell(1)
    return lab


def test_two_thousand_assets_open_as_their_groups(big, record_property):
    lineage = LineageWidget(big)
    lineage.wait(25)
    expect(lineage.legend).to_contain_text("2,000 assets")
    start = time.monotonic()
    big.run_cell(1)
    lineage.wait(25)
    record_property("seconds_from_run_to_drawn", round(time.monotonic() - start, 2))
    assert big.errors_in_cells() == []


def test_a_click_opens_a_bundle_and_a_button_closes_it(big):
    lineage = LineageWidget(big)
    lineage.select("group:team0 or group:team1 or group:team2")
    lineage.wait(3)
    lineage.click("group:team1")
    big.page.wait_for_function("window.graph().nodes().length > 3")
    assert 3 < len(lineage.statuses()) <= 300
    lineage.button("Close bundles").click()
    lineage.wait(3)


def test_a_group_is_selected_from_the_list(big):
    lineage = LineageWidget(big)
    lineage.select("")
    lineage.wait(25)
    lineage.root.get_by_label("Group").select_option(label="team3 (80)")
    lineage.wait(4)
    expect(lineage.search).to_have_value("group:team3")
    expect(lineage.legend).to_contain_text("80 assets")


def test_more_nodes_are_drawn_by_choice(big):
    lineage = LineageWidget(big)
    lineage.select("group:team0")
    lineage.wait(4)
    lineage.button("Draw more").click()
    lineage.wait(80)


def test_the_neighbourhood_of_a_selection_is_drawn_as_it_is(big):
    big.run_cell(2)
    lineage = LineageWidget(big)
    lineage.wait(3)
    assert set(lineage.statuses()) == {"n0_a1", "n0_a6", "n0_a19"}


def test_nothing_of_a_notebook_is_executed_by_the_widget(lab):
    root = lab.root / "harm"
    cells = [
        "%load_ext nbpipe",
        f'%%asset bad --group "{HARM}" --description "{HARM}" --metadata "k={HARM}"\nbad = {HARM!r}',
        f'%%asset worse --group "{HARM}"\n# {HARM}\nimport pandas as pd\nworse = pd.DataFrame({{bad: [bad]}})',
        f"%%asset worst\nworst = worse\nraise ValueError({HARM!r})",
        "%lineage",
    ]
    write_notebook(root / "harm.ipynb", cells)
    (root / "nbpipe.toml").touch()
    lab.open("harm/harm.ipynb")
    for index in range(5):
        lab.run_cell(index)
    lineage = LineageWidget(lab)
    lineage.wait(3)
    assert lineage.statuses()["worst"] == "failed"
    for node in ("bad", "worse", "worst"):
        lineage.click(node)
        expect(lineage.details.get_by_role("heading", level=3)).to_have_text(node)
        lineage.expect_details(HARM)
    lineage.select(HARM)
    expect(lineage.error.get_by_role("alert")).to_contain_text("onerror")
    assert lab.page.evaluate("window.harm") is None
    assert lineage.root.locator("img[src=x]").count() == 0
