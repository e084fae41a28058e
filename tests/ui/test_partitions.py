"""The widget of partitions in JupyterLab: seen, selected, zoomed, and run, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.notebooks import write_notebook
from tests.stored import fail_partitions, store_partitions
from tests.ui.graphs import LineageWidget
from tests.ui.lab import PATIENCE, Lab, Notebook7, boxes

expect.set_options(timeout=PATIENCE)

HARM = "<img src=x onerror=window.harm=1>"
CELLS = [
    "%load_ext nbpipe",
    "%%asset daily --partitions daily:2024-01-01..2024-01-31\ndaily = partition.key",
    "%%asset hourly --partitions hourly:2000-01-01T00..2022-10-25T15\nhourly = partition.key",
    f'%%asset sales --partitions date=daily:2024-01-01..2024-01-20 x region=static:eu,us,"{HARM}"\nsales = 1',
    "%%asset places --partitions static:south,north,east\nplaces = partition.key",
    "%partitions daily",
    "%partitions hourly",
    "%partitions sales",
    "%partitions places",
    "%lineage",
]
DAILY, HOURLY, SALES, PLACES, LINEAGE = range(5, 10)


class PartitionsWidget:
    """The widget below a cell of the open notebook."""

    def __init__(self, lab: Lab, cell: int) -> None:
        self._lab = lab
        self.root = lab.page.locator(f'.jp-Cell[data-windowed-list-index="{cell}"] .nbpipe-partitions').last
        self.names = self.root.locator(".nbpipe-heat label:not(.widget-label)")
        self.cells = self.root.locator(".nbpipe-cells > i")
        self.details = self.root.locator(".nbpipe-details")
        self.legend = self.root.locator(".nbpipe-legend")
        self.range = self.root.get_by_label("Selection")
        self.part = self.root.get_by_label("Of these")

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def select(self, text: str, part: str = "all of them") -> None:
        self.range.fill(text)
        self.range.press("Enter")
        self.part.select_option(part)

    def statuses(self) -> list[str]:
        """Return the class of each cell that holds one status."""
        found: list[str] = self.cells.locator("b").evaluate_all("all => all.map(each => each.className)")
        return found

    def expect_name_above_cell(self, index: int) -> None:
        """Fail unless a name lies exactly above its cell."""
        nth = f"nth-of-type({index + 1})"
        name, cell = boxes(self.root, f".widget-radio-box label:{nth}", f".nbpipe-cells > i:{nth}")
        assert name["width"] > 0
        assert name == pytest.approx(cell, abs=1)


def write_project(root: Path) -> None:
    """Write a notebook of assets whose partitions are in many states, and show all of them."""
    write_notebook(root / "parts.ipynb", CELLS)
    (root / "nbpipe.toml").touch()
    days = [f"2024-01-{day:02}" for day in range(1, 32)]
    store_partitions(root, "daily", dict.fromkeys(days[:24], 1))
    store_partitions(root, "daily", dict.fromkeys(days[3:6], 1), code_version="old")
    fail_partitions(root, "daily", "2024-01-10..2024-01-12", error=f"ValueError: {HARM}")
    store_partitions(root, "sales", {f"2024-01-{day:02}|eu": 1 for day in range(1, 11)})
    fail_partitions(root, "hourly", "2010-05-01T00", error="boom")
    store_partitions(root, "places", {"south": 1})


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Iterator[Lab]:
    """Open a notebook in which the partitions of all assets are shown."""
    write_project(lab.root / "parts")
    lab.open("parts/parts.ipynb")
    lab.run_cell(0)
    for cell in (DAILY, HOURLY, SALES, PLACES):
        lab.run_cell(cell)
    yield lab
    lab.close_notebook()


@pytest.fixture
def daily(opened: Lab) -> PartitionsWidget:
    return PartitionsWidget(opened, DAILY)


def test_each_day_is_a_cell_with_its_status(opened, daily):
    expect(daily.names).to_have_count(31)
    assert daily.statuses() == [
        *["fresh"] * 3, *["stale"] * 3, *["fresh"] * 3, *["failed"] * 3, *["fresh"] * 12, *["missing"] * 7
    ]  # fmt: skip
    expect(daily.legend).to_contain_text("failed 3")
    assert opened.errors_in_cells() == []


def test_names_lie_exactly_above_their_cells(daily):
    for index in (0, 9, 30):
        daily.expect_name_above_cell(index)


def test_the_key_of_a_cell_is_shown_where_the_pointer_is(daily):
    name = daily.names.nth(20)
    daily.legend.hover()
    expect(name).to_have_css("font-size", "0px")
    name.hover()
    expect(name).to_have_css("font-size", "12px")
    expect(name).to_have_text("2024-01-21")


def test_a_click_shows_what_is_known_of_a_partition(opened, daily):
    daily.names.nth(9).click()
    expect(daily.details.get_by_role("heading", level=3)).to_have_text("2024-01-10")
    expect(daily.details).to_contain_text(HARM)
    expect(daily.details).to_contain_text("Last materialization")
    daily.names.nth(3).click()
    expect(daily.details.get_by_role("heading", level=3)).to_have_text("2024-01-04")
    expect(daily.details).to_contain_text("stale")
    expect(daily.range).to_have_value("2024-01-04")
    assert opened.page.evaluate("window.harm") is None


def test_a_second_click_extends_the_selection(daily):
    daily.names.nth(20).click()
    expect(daily.range).to_have_value("2024-01-21")
    daily.button("Extend").click()
    daily.names.nth(27).click()
    expect(daily.range).to_have_value("2024-01-21..2024-01-28")
    expect(daily.details).to_contain_text("8 partitions")
    expect(daily.root.locator(".nbpipe-cells > i.in")).to_have_count(8)


def test_a_wrong_range_is_explained(daily):
    daily.select("2024-01-32")
    expect(daily.root.get_by_role("alert")).to_contain_text("column 1")
    daily.select("")
    expect(daily.root.get_by_role("alert")).to_have_count(0)


def test_what_failed_is_selected_and_becomes_fresh(opened, daily):
    opened.save()
    daily.select("2024-01-08..2024-01-14", "the failed ones")
    expect(daily.root.get_by_text("3 partitions", exact=True)).to_be_visible()
    daily.button("Materialize").click()
    expect(daily.legend).not_to_contain_text("failed")
    expect(daily.root).to_contain_text("The run ended well")
    assert daily.statuses()[9:12] == ["fresh"] * 3
    daily.select("2024-01-11")
    expect(daily.details).to_contain_text("Run")


def test_a_backfill_computes_what_is_missing_and_is_followed(opened, daily):
    opened.save()
    daily.select("*", "the missing ones")
    daily.button("Backfill").click()
    expect(daily.root).to_contain_text("success, 7 of 7 partitions")
    expect(daily.legend).not_to_contain_text("missing")


def test_by_the_keyboard_alone_what_is_stale_becomes_fresh(opened, daily):
    keyboard = opened.page.keyboard
    daily.range.focus()
    daily.range.fill("")
    keyboard.type("2024-01-04..2024-01-05")
    keyboard.press("Enter")
    expect(daily.details).to_contain_text("2 partitions")
    daily.part.select_option("all of them")
    handle = daily.root.get_by_role("slider").last
    handle.focus()
    keyboard.press("ArrowRight")
    expect(daily.range).to_have_value("2024-01-04..2024-01-06")
    daily.part.focus()
    keyboard.press("Tab")
    expect(daily.button("Materialize")).to_be_focused()
    keyboard.press("Space")
    expect(daily.legend).to_contain_text("fresh 31")


def test_hundreds_of_thousands_of_hours_are_zoomed_to_the_one_that_failed(opened):
    hourly = PartitionsWidget(opened, HOURLY)
    expect(hourly.names).to_have_count(120)
    for _ in range(3):
        index = hourly.cells.evaluate_all("all => all.findIndex(each => each.querySelector('.failed'))")
        before = hourly.names.first.inner_text()
        hourly.names.nth(index).click()
        expect(hourly.root.locator(".nbpipe-cells > i.in")).to_have_count(1)
        hourly.button("Zoom in").click()
        expect(hourly.names.first).not_to_have_text(before)
    index = hourly.cells.evaluate_all("all => all.findIndex(each => each.querySelector('.failed'))")
    hourly.names.nth(index).click()
    expect(hourly.details.get_by_role("heading", level=3)).to_have_text("2010-05-01T00")
    expect(hourly.details).to_contain_text("boom")
    hourly.button("Show all").click()
    expect(hourly.names).to_have_count(120)


def test_two_dimensions_are_a_grid_in_which_a_box_is_selected(opened):
    sales = PartitionsWidget(opened, SALES)
    expect(sales.names).to_have_count(60)
    expect(sales.root.locator(".nbpipe-cells > u")).to_have_text(["eu", "us", HARM])
    sales.names.nth(8).click()
    expect(sales.details.get_by_role("heading", level=3)).to_have_text("2024-01-09|eu")
    sales.button("Extend").click()
    sales.names.nth(20 + 12).click()
    expect(sales.range).to_have_value("2024-01-09..2024-01-13|eu..us")
    expect(sales.details).to_contain_text("10 partitions")
    sales.expect_name_above_cell(32)


def test_listed_keys_are_a_list(opened):
    places = PartitionsWidget(opened, PLACES)
    expect(places.root.locator(".nbpipe-cells > i > u")).to_have_text(["south", "north", "east"])
    places.names.nth(0).click()
    expect(places.details).to_contain_text("fresh")
    places.names.nth(2).click()
    expect(places.details).to_contain_text("Never materialized")


def test_a_dark_theme_turns_everything_dark_at_once(opened, daily):
    def darkness() -> list[int]:
        shades = []
        for part in (daily.root, daily.cells.locator("b").first):
            colour = part.evaluate("each => getComputedStyle(each).backgroundColor")
            shades.append(max(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))))
        return shades

    light = darkness()
    opened.choose_theme("JupyterLab Dark")
    try:
        dark = darkness()
    finally:
        opened.choose_theme("JupyterLab Light")
    assert light[0] == 255
    assert dark[0] < 80
    assert dark[1] > light[1]  # light cells on a dark ground


def test_in_a_narrow_notebook_nothing_sticks_out(opened, daily):
    opened.page.set_viewport_size({"width": 620, "height": 900})
    try:
        daily.names.nth(30).hover()
        assert daily.root.evaluate("each => each.scrollWidth - each.clientWidth") <= 1
        daily.expect_name_above_cell(30)
    finally:
        opened.page.set_viewport_size({"width": 1280, "height": 900})


def test_the_output_also_holds_a_picture_for_readers_without_a_kernel(opened):
    (bundle,) = [output["data"] for output in opened.outputs(SALES) if "data" in output]
    assert bundle["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    assert "sales: 60 partitions" in bundle["text/plain"]


def test_lineage_shows_the_shares_and_opens_the_partitions_below(opened):
    opened.run_cell(LINEAGE)
    lineage = LineageWidget(opened)
    lineage.root.scroll_into_view_if_needed()
    lineage.wait(4)
    lineage.click("sales")
    lineage.expect_details("60 partitions", "missing 50", "fresh 10")
    lineage.button("Partitions").click()
    below = PartitionsWidget(opened, LINEAGE)
    expect(below.names).to_have_count(60)
    below.names.nth(0).click()
    expect(below.details.get_by_role("heading", level=3)).to_have_text("2024-01-01|eu")
    lineage.button("Partitions").click()
    expect(below.root).to_have_count(0)


def test_in_notebook_7_cells_are_clicked_and_run_as_well(notebook7: Notebook7):
    write_project(notebook7.root / "parts")
    notebook7.open("parts/parts.ipynb")
    notebook7.run_cell(0)
    notebook7.run_cell(DAILY)
    daily = PartitionsWidget(notebook7, DAILY)
    expect(daily.names).to_have_count(31)
    daily.names.nth(9).click()
    expect(daily.details.get_by_role("heading", level=3)).to_have_text("2024-01-10")
    expect(daily.details).to_contain_text(HARM)
    notebook7.save()
    daily.button("Materialize").click()
    expect(daily.details).to_contain_text("fresh")
    notebook7.close_notebook()
