"""The widget of partitions in Python: what a person selects, sees and starts, without a browser."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from nbpipe.commands.workspace import Workspace
from nbpipe.errors import DeclarationError, UnknownNameError, UsageError
from nbpipe.kernel.partition_panel import actions, heat, show_partitions
from nbpipe.kernel.partition_panel.fallback import PartitionsPicture
from nbpipe.kernel.partition_panel.model import PARTS, PartitionsModel
from nbpipe.kernel.partition_panel.panel import PartitionsPanel
from tests.notebooks import edit_cell, write_notebook
from tests.stored import fail_partitions, store_partitions

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PATIENCE = 30.0
HARM = "<img src=x onerror=alert(1)>"
CELLS = [
    "%%asset daily --partitions daily:2024-01-01..2024-01-10\ndaily = partition.key",
    "%%asset hourly --partitions hourly:2000-01-01T00..2020-01-01T00\nhourly = partition.key",
    "%%asset sales --partitions date=daily:2024-01-01..2024-01-05 x region=static:eu,us\nsales = partition.key",
    f'%%asset places --partitions static:eu,"{HARM}"\nplaces = partition.key',
    "%%asset plain\nplain = 1",
]


@pytest.fixture
def session(project: Path):
    write_notebook(project / "n.ipynb", CELLS)
    store_partitions(project, "daily", {f"2024-01-0{day}": day for day in range(1, 7)})
    store_partitions(project, "daily", {"2024-01-02": 2}, code_version="old")
    fail_partitions(project, "daily", "2024-01-04", error=HARM)
    with Workspace.open(project) as workspace:
        yield SimpleNamespace(workspace=workspace, in_step=False, shell=SimpleNamespace(kernel=object()))


@pytest.fixture
def panels(session):
    shown = []

    def show(asset: str) -> PartitionsPanel:
        found = show_partitions(session, asset)
        assert isinstance(found, PartitionsPanel)
        shown.append(found)
        return found

    yield show
    for each in shown:
        each.close()


@pytest.fixture
def panel(panels):
    return panels("daily")


def click(panel, index):
    (surface,) = panel._surface.children
    surface.index = index


def details(panel):
    return panel._pane.value


def said(panel):
    return panel._controls.said.value


# --- what is displayed ---------------------------------------------------------------------------------------------


def test_a_kernel_with_a_frontend_gets_a_widget_with_a_picture_beside_it(panel):
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    assert bundle["text/plain"].splitlines()[1] == "✖ 1 failed  ▲ 1 stale  □ 4 missing  ● 4 fresh"


@pytest.mark.parametrize(
    "changes",
    [{"in_step": True}, {"shell": SimpleNamespace(kernel=None)}, {"shell": SimpleNamespace()}],
    ids=["step of a job", "terminal", "other shell"],
)
def test_where_nobody_can_click_there_is_only_the_picture(session, changes):
    vars(session).update(changes)
    found = show_partitions(session, "daily")
    assert isinstance(found, PartitionsPicture)
    assert set(found._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert repr(found).startswith("daily: 10 partitions of daily:2024-01-01..2024-01-10\n")


@pytest.mark.parametrize(
    ("asset", "kind", "words"),
    [("plain", UsageError, "has no partitions"), ("dayly", UnknownNameError, "did you mean 'daily'")],
)
def test_what_has_no_partitions_is_refused(session, asset, kind, words):
    session.seen = lambda: session.workspace
    with pytest.raises(kind, match=words):
        show_partitions(session, asset)


def test_every_cell_has_its_name_above_it(panels):
    panel = panels("sales")
    (surface,) = panel._surface.children
    names = [name for name, _ in surface.options]
    assert len(names) == 10
    assert names[:2] == ["2024-01-01 | eu", "2024-01-02 | eu"]
    assert names[-1] == "2024-01-05 | us"


def test_hundreds_of_thousands_of_partitions_are_few_cells(panels):
    panel = panels("hourly")
    assert len(panel._names) == 120
    assert len(panel._cells.value) < 10_000


def test_keys_and_errors_are_text_and_never_markup(panels, panel):
    click(panel, 3)
    assert "&lt;img src=x" in details(panel)
    panel = panels("places")
    click(panel, 1)
    for widget in (panel._cells, panel._ticks, panel._pane, panel._controls.legend, panel._controls.shown):
        assert "<img" not in widget.value


# --- selecting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (0, ["2024-01-01", "fresh", "Last materialization", "Version"]),
        (1, ["2024-01-02", "stale", "Why", "code"]),
        (3, ["2024-01-04", "failed", "Error", "onerror"]),
        (9, ["2024-01-10", "missing", "Never materialized"]),
    ],
)
def test_a_click_shows_what_is_known_of_the_partition(panel, index, words):
    click(panel, index)
    for word in words:
        assert word in details(panel)
    assert panel._controls.range.value == words[0]
    assert panel._controls.slider.value == (index, index)


def test_a_click_can_extend_the_selection_in_both_directions(panel):
    click(panel, 5)
    panel._controls.extend.value = True
    click(panel, 2)
    assert panel._controls.range.value == "2024-01-03..2024-01-06"
    assert not panel._controls.extend.value
    assert "4 partitions" in details(panel)
    assert "2024-01-04" in details(panel)
    click(panel, 8)
    assert panel._controls.range.value == "2024-01-09"


def test_a_box_of_a_grid_is_selected_by_two_clicks(panels):
    panel = panels("sales")
    click(panel, 1)
    panel._controls.extend.value = True
    click(panel, 8)
    assert panel._controls.range.value == "2024-01-02..2024-01-04|eu..us"
    panel._controls.slider.value = (0, 1)
    assert panel._controls.range.value == "2024-01-01..2024-01-02|eu..us"


def test_slider_and_box_select_what_clicks_do(panel):
    panel._controls.slider.value = (6, 9)
    assert panel._controls.range.value == "2024-01-07..2024-01-10"
    panel._controls.range.value = "2024-01-01..2024-01-02"
    assert panel._controls.slider.value == (0, 1)
    assert "2 partitions" in details(panel)
    panel._controls.range.value = ""
    assert "Click a cell" in details(panel)


def test_a_wrong_range_is_explained_and_changes_nothing(panel):
    panel._controls.range.value = "2024-01-03"
    panel._controls.range.value = "2024-01-05..2024-01-03"
    assert "comes before" in panel._controls.error.value
    assert panel._model.text == "2024-01-03"
    panel._controls.range.value = "2024-01-05"
    assert panel._controls.error.value == ""


@pytest.mark.parametrize("asset", ["daily", "sales"])
def test_a_star_selects_everything_however_many_dimensions_there_are(panels, asset):
    panel = panels(asset)
    panel._controls.range.value = "*"
    assert "10 partitions" in details(panel)


@pytest.mark.parametrize(
    ("part", "number"), [*zip(PARTS, [10, 4, 1, 1, 6], strict=True)]
)  # fmt: skip
def test_a_part_of_the_selection_can_be_meant(panel, part, number):
    panel._controls.range.value = "*"
    panel._controls.part.value = part
    assert len(panel._model.meant) == number
    assert f"{number} partition" in panel._controls.meant.value


def test_nothing_can_be_started_by_a_slip(panel):
    controls = panel._controls
    assert controls.materialize.disabled
    controls.part.value = "the failed ones"
    assert not controls.materialize.disabled
    controls.range.value = "2024-01-01"  # which did not fail
    assert controls.materialize.disabled


# --- looking -------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(session):
    found = PartitionsModel(Workspace(session.workspace.project), "hourly")
    yield found
    found.close()


def test_zooming_in_ends_at_single_keys_and_zooming_out_at_all(model):
    for _ in range(30):
        model.select_cells((0, 0), (5, 6) if len(model.view.columns) > 6 else (0, 0))
        view = model.zoom_in()
    assert len(view.columns) <= 2
    assert all(span.keys == 1 for span in view.columns)
    for _ in range(30):
        view = model.zoom_out()
    assert not view.zoomed
    assert sum(span.keys for span in view.columns) == view.total


def test_without_a_selection_or_with_all_selected_the_middle_is_drawn(model):
    before = model.view.total
    inside = sum(span.keys for span in model.zoom_in().columns)
    assert 0.4 * before < inside < 0.6 * before
    model.select_cells((0, 0), (0, len(model.view.columns) - 1))
    assert sum(span.keys for span in model.zoom_in().columns) < 0.6 * inside


def test_moving_stops_at_the_ends(model):
    model.select_cells((0, 0), (60, 60))
    width = sum(span.keys for span in model.zoom_in().columns)
    for direction, end in ((-1, "2000-01-01T00"), (1, "2020-01-01T00")):
        for _ in range(150):
            view = model.move(direction)
        assert end in {view.columns[0].first, view.columns[-1].last}
        assert sum(span.keys for span in view.columns) == width


def test_buttons_look_closer_and_back(panels):
    panel = panels("hourly")
    panel._controls.range.value = "2010-01-01T00..2010-01-01T05"
    panel._look("in")
    few = len(panel._names)
    assert few <= 120
    assert panel._controls.shown.value
    panel._look("all")
    assert panel._model.view.zoomed is False
    with pytest.raises(DeclarationError):
        panel._model.select("nonsense")


# --- following -----------------------------------------------------------------------------------------------------


def test_a_change_of_the_store_reaches_the_widget_and_leaves_the_names_alone(panel, session, project):
    surface = panel._surface.children
    click(panel, 8)
    shown = threading.Event()
    panel._pane.observe(lambda event: shown.set() if "fresh" in event["new"] else None, "value")
    store_partitions(project, "daily", {"2024-01-09": 9})
    assert shown.wait(PATIENCE)
    assert panel._surface.children == surface
    assert panel._model.view.counts["fresh"] == 5


def test_what_looks_the_same_is_not_sent(panel):
    sent = []
    for widget in (panel._cells, panel._grid, panel._ticks, panel._pane, panel._controls.legend):
        widget.observe(sent.append, "value")
    panel._show()
    assert sent == []


def test_an_asset_that_is_gone_is_told_and_the_rest_stays(panel, project):
    edit_cell(project / "n.ipynb", 0, "x = 1")
    panel._follow()
    assert "no asset" in panel._controls.error.value
    assert panel._model.view.total == 10


def test_a_closed_widget_leaves_no_thread_and_is_told_nothing(panel):
    panel.close()
    assert not panel._watcher.alive
    assert panel.comm is None
    panel._follow()
    panel.close()


# --- starting ------------------------------------------------------------------------------------------------------


def test_a_refusal_is_shown_and_starts_nothing(panel, session):
    def refuse() -> None:
        raise UsageError(f"unsaved {HARM}")

    session.refuse_unsaved = refuse
    panel._controls.range.value = "2024-01-07"
    for press in (panel._controls.materialize, panel._controls.backfill):
        press.click()
        assert "unsaved &lt;img" in said(panel)
    assert panel._model.workspace.store.runs() == []


def test_materialize_plans_exactly_what_is_meant(panel, session, monkeypatch):
    plans = []
    session.refuse_unsaved = lambda: None
    monkeypatch.setattr(actions, "start_plan", lambda session, plan: plans.append(plan))  # noqa: ARG005
    panel._controls.range.value = "2024-01-02..2024-01-09"
    panel._controls.part.value = "all that are not fresh"
    panel._controls.materialize.click()
    (plan,) = plans
    assert plan.partitions == {"daily": ("2024-01-02", "2024-01-04", "2024-01-07..2024-01-09")}
    assert "nothing to run" in said(panel)


def test_backfill_records_exactly_what_is_meant(panel, session, monkeypatch):
    started = []
    session.refuse_unsaved = lambda: None
    monkeypatch.setattr(actions, "spawn", lambda workspace, words, said: started.append(words))  # noqa: ARG005
    panel._controls.range.value = "2024-01-03..2024-01-09"
    panel._controls.part.value = "the missing ones"
    panel._controls.backfill.click()
    ((command, found),) = started
    backfill = session.workspace.store.backfills.backfill(found)
    assert (command, backfill.total, backfill.selection) == ("_backfill", 3, "daily")
    assert f"Backfill {found} has started" in said(panel)
    panel._tell_of_backfill()
    assert "queued, 0 of 3 partitions" in said(panel)


# --- cells as HTML -------------------------------------------------------------------------------------------------


def test_cells_have_a_label_and_are_marked_when_they_are_selected(panel):
    click(panel, 0)
    panel._controls.extend.value = True
    click(panel, 2)
    assert panel._cells.value.count('class="in"') == 3
    assert 'aria-label="daily: 10 partitions' in panel._cells.value


def test_all_statuses_have_a_look_in_both_themes():
    style = heat.statuses_style(".x")
    for status in ("fresh", "stale", "missing", "failed", "running", "skipped"):
        assert f".x b.{status} {{" in style
        assert f"var(--nbpipe-{status})" in style
