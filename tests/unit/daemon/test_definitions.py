"""What is saved counts soon; what is broken counts as it was before."""

from __future__ import annotations

import pytest

from nbpipe import clock
from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef
from nbpipe.core.definitions import CellRef, Definitions, Diagnostic, NotebookDef
from nbpipe.daemon.definitions import Notebooks, kept_definitions
from nbpipe.errors import ConfigError
from tests.unit.daemon.automation import NOON, World, defined

CELL = CellRef(notebook="a.ipynb", cell_id="c", index=0)
SCHEDULE = ScheduleDef(name="s", job="j", crons=("* * * * *",), cell=CELL)
JOB = JobDef(name="j", selection="x", cell=CELL)
BEFORE = defined(SCHEDULE, jobs=[JOB])
UNREADABLE = (Diagnostic(severity="error", code="not-json", message="is not JSON", notebook="a.ipynb"),)


@pytest.mark.parametrize(
    ("saved", "stays"),
    [
        (Definitions(diagnostics=UNREADABLE), True),
        (Definitions(diagnostics=UNREADABLE, notebooks={"a.ipynb": NotebookDef(path="a.ipynb")}), True),
        (Definitions(unusable={"schedule s": "bad cron", "job j": "unknown asset"}), True),
        (Definitions(), False),
        (Definitions(notebooks={"a.ipynb": NotebookDef(path="a.ipynb")}), False),
    ],
)
def test_what_a_broken_notebook_declared_stays_and_what_was_taken_away_goes(saved, stays):
    kept = kept_definitions(BEFORE, saved)
    assert (list(kept.schedules), list(kept.jobs)) == ((["s"], ["j"]) if stays else ([], []))


def test_a_declaration_that_moved_counts_as_it_is_now():
    moved = ScheduleDef(name="s", job="j", crons=("0 6 * * *",))
    saved = Definitions(diagnostics=UNREADABLE, schedules={"s": moved})
    assert kept_definitions(BEFORE, saved).schedules == {"s": moved}


def test_looks_are_rare_and_tell_changes_once(tmp_path, monkeypatch):
    world = World(tmp_path, BEFORE)
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    duty = world.lead()
    part = Notebooks(duty)
    world.act(part, NOON)
    version = duty.declared.version
    world.project.saved = Definitions(diagnostics=UNREADABLE)
    world.act(part)
    assert duty.declared.version == version
    now += 2.1
    world.act(part)
    assert duty.declared.version == version + 1
    assert list(duty.declared.definitions.schedules) == ["s"]
    now += 2.1
    world.act(part)
    assert duty.declared.version == version + 1
    assert [text for text in world.said if "JSON" in text] == ["a.ipynb: is not JSON"]


@pytest.mark.parametrize(
    ("before", "ending"), [(defined(), ""), (BEFORE, ": what it was before still counts")], ids=["new", "known"]
)
def test_the_error_of_a_declaration_is_told_once(tmp_path, before, ending):
    world = World(tmp_path, before)
    world.act(Notebooks(world.lead()), NOON)
    world.said.clear()
    error = Diagnostic(severity="error", code="declaration", message="%schedule s: bad cron", notebook="a.ipynb")
    saved = Definitions(
        diagnostics=(error,), unusable={"schedule s": "%schedule s: bad cron", "job k": "it is in the configuration"}
    )
    world.project.definitions = world.project.saved = saved
    world.act(Notebooks(world.lead()))
    expected = [f"a.ipynb: %schedule s: bad cron{ending}", "job k: it is in the configuration"]
    assert world.said[:-1] == expected


def test_a_broken_configuration_changes_nothing_and_is_said_once(tmp_path, monkeypatch):
    world = World(tmp_path, BEFORE)
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    duty = world.lead()
    part = Notebooks(duty)
    world.act(part, NOON)
    world.project.saved = ConfigError("nbpipe.toml is not TOML")
    for _ in range(3):
        now += 2.1
        world.act(part)
    assert list(duty.declared.definitions.schedules) == ["s"]
    assert sum("not TOML" in text for text in world.said) == 1


def test_a_daemon_that_begins_while_a_notebook_is_broken_knows_what_it_declared_before(tmp_path):
    sensor = SensorDef(name="w", job="j", cell=CELL, statuses=("failure",), every=3.5)
    saved = Definitions(
        jobs={"j": JobDef(name="j", selection="x", tags=(("team", "data"),), cell=CELL)},
        schedules={"s": ScheduleDef(name="s", job="j", crons=("0 6 * * *",), catchup=3, cell=CELL)},
        sensors={"w": sensor},
    )
    world = World(tmp_path, saved)
    world.act(Notebooks(world.lead()), NOON)
    world.project.definitions = world.project.saved = Definitions(diagnostics=UNREADABLE)
    duty = world.lead()
    world.act(Notebooks(duty))
    found = duty.declared.definitions
    assert (found.jobs, found.schedules, found.sensors) == (saved.jobs, saved.schedules, saved.sensors)
    assert any("is not JSON" in text for text in world.said)
    world.project.definitions = world.project.saved = Definitions()
    duty = world.lead()
    world.act(Notebooks(duty))
    assert not duty.declared.definitions.schedules, "it was taken away"
    world.project.definitions = world.project.saved = Definitions(diagnostics=UNREADABLE)
    duty = world.lead()
    world.act(Notebooks(duty))
    assert not duty.declared.definitions.schedules, "for good"


def test_a_daemon_that_takes_over_while_the_configuration_is_broken_knows_what_counted_before(tmp_path):
    world = World(tmp_path, BEFORE)
    world.act(Notebooks(world.lead()), NOON)
    world.project.saved = ConfigError("nbpipe.toml is not TOML")
    duty = world.lead()
    duty.declared.definitions, duty.declared.version = Definitions(), 0  # as it begins
    world.act(Notebooks(duty))
    assert (list(duty.declared.definitions.schedules), duty.declared.version) == (["s"], 1)


@pytest.mark.parametrize("content", ["", "garbage", '{"jobs": 3}', None])
def test_what_counted_last_is_nothing_where_it_can_not_be_read(tmp_path, content):
    world = World(tmp_path, BEFORE)
    file = tmp_path / ".nbpipe" / "declared-default.json"
    file.parent.mkdir()
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)
    duty = world.lead()
    world.act(Notebooks(duty), NOON)
    assert list(duty.declared.definitions.schedules) == ["s"]
    assert not list(tmp_path.glob(".nbpipe/.declared*"))
