"""The quickstart in JupyterLab: run from top to bottom, and its lineage used as a person would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.graphs import LineageWidget
from tests.ui.lab import Lab, boxes

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ASSETS = {"country_stats", "change_model", "continent_stats"}


@pytest.fixture(scope="module")
def ran(lab: Lab) -> Iterator[Lab]:
    """Open a copy of the quickstart, without the other tutorials, and run all of it."""
    others = shutil.ignore_patterns(".nbpipe", ".ipynb_checkpoints", "0[234]_*", "inbox")
    shutil.copytree(NOTEBOOKS, lab.root / "tour", ignore=others)
    lab.open("tour/01_quickstart.ipynb")
    lab.run_all()
    yield lab
    lab.close_notebook()


@pytest.fixture
def lineage(ran: Lab) -> LineageWidget:
    """Return the widget as it is when everything is selected."""
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


def test_the_output_also_holds_a_picture_for_readers_without_a_kernel(ran, lineage):
    (bundle,) = [o["data"] for i in range(24) for o in _displays(ran, i) if _is_lineage(o)]
    assert bundle["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    assert "country_stats" in bundle["text/plain"]


def test_a_click_on_an_asset_shows_what_is_known_of_it(lineage):
    lineage.click("continent_stats")
    lineage.expect_details(
        "continent_stats",
        "fresh",
        "01_quickstart.ipynb, cell 12",
        "Change of each continent as a whole",
        "Last materialization",
        "pandas.DataFrame",
        "typical_country",  # a column of the preview
        "Oceania",
    )


def test_neighbours_are_buttons_that_move_the_selection(lineage):
    lineage.click("change_model")
    lineage.details.get_by_role("button", name="continent_stats").click()
    expect(lineage.details.get_by_role("heading", level=3)).to_have_text("continent_stats")
    lineage.details.get_by_role("button", name="country_stats").click()
    expect(lineage.details.get_by_role("heading", level=3)).to_have_text("country_stats")


def test_the_list_of_assets_does_by_keyboard_what_a_click_does(lineage):
    lineage.nodes.focus()
    lineage.nodes.select_option(label="country_stats: fresh")
    expect(lineage.details.get_by_role("heading", level=3)).to_have_text("country_stats")


def test_search_takes_selections(lineage):
    lineage.select("+change_model")
    lineage.wait(2)
    assert set(lineage.statuses()) == {"country_stats", "change_model"}
    lineage.select("status:fresh and sinks()")
    lineage.wait(1)
    assert set(lineage.statuses()) == {"continent_stats"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status:stal", ["column 8", "stale"]),
        ("change_model or (country_stats", ["column 17"]),
        ("change_model or kountry_stats", ["column 17", "did you mean 'country_stats'"]),
    ],
)
def test_a_wrong_selection_is_explained_below_with_its_column(lineage, text, words):
    lineage.select(text)
    for word in words:
        expect(lineage.error.get_by_role("alert")).to_contain_text(word)
    assert set(lineage.statuses()) == ASSETS
    lineage.select("*")
    expect(lineage.error.get_by_role("alert")).to_have_count(0)


def test_load_binds_the_stored_value(ran, lineage):
    ran.value("globals().pop('change_model', None)")
    assert ran.value("change_model") == "NameError"
    lineage.click("change_model")
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
    assert set(lineage.statuses().values()) == {"fresh"}


def test_a_new_version_of_an_input_is_seen_without_being_asked_for(ran, lineage):
    """A commit from anywhere, here from the kernel, reaches the same widget."""
    lineage.click("country_stats")
    version = ran.value("get_ipython().run_line_magic('force', 'country_stats')")
    assert version == "None"
    ran.run_cell(6)
    lineage.expect_details("Version", "2,")


def test_unsaved_edits_are_not_run_behind_the_persons_back(ran, lineage):
    ran.page.evaluate(
        "() => { const cell = window.notebook.content.widgets[9].model.sharedModel;"
        " cell.setSource(cell.getSource() + '  # better') }"
    )
    ran.run_cell(9)
    lineage.click("change_model")
    lineage.button("Materialize").click()
    lineage.expect_details("unsaved edits: save first")
    ran.save()


def test_a_dark_theme_turns_the_graph_dark_at_once(ran, lineage):
    canvas = lineage.root.locator(".nbpipe-graph canvas").first
    assert canvas.evaluate("each => getComputedStyle(each).filter") == "none"
    ran.choose_theme("JupyterLab Dark")
    try:
        assert "invert" in canvas.evaluate("each => getComputedStyle(each).filter")
        shown = lineage.root.evaluate("each => getComputedStyle(each).backgroundColor")
        assert max(map(int, shown.removeprefix("rgb(").removesuffix(")").split(","))) < 80
    finally:
        ran.choose_theme("JupyterLab Light")


def test_in_a_narrow_notebook_the_details_stand_below_the_graph_and_nothing_sticks_out(ran, lineage):
    ran.page.set_viewport_size({"width": 620, "height": 900})
    try:
        ran.run_cell(15)
        lineage.wait(3)
        lineage.click("continent_stats")
        lineage.expect_details("pandas.DataFrame")
        whole, graph, details = boxes(lineage.root, ".nbpipe-main", ".nbpipe-graph", ".nbpipe-details")
        assert details["y"] >= graph["y"] + graph["height"] - 1
        assert details["width"] == pytest.approx(whole["width"], abs=4)
        assert lineage.details.evaluate("each => each.scrollWidth - each.clientWidth") == 0
    finally:
        ran.page.set_viewport_size({"width": 1280, "height": 900})


def _displays(lab: Lab, index: int) -> list[dict]:
    cell_type = lab.page.evaluate("index => window.notebook.content.widgets[index].model.type", index)
    return [o for o in lab.outputs(index) if "data" in o] if cell_type == "code" else []


def _is_lineage(output: dict) -> bool:
    return "application/vnd.jupyter.widget-view+json" in output["data"]
