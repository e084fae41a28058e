"""What is saved counts soon; what is broken counts as it was before."""

from __future__ import annotations

import pytest

from nbpipe import clock
from nbpipe.core.automation.definitions import JobDef, ScheduleDef
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
