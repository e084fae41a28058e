"""A `%%sensor` cell in a person's notebook is a trial: it shows what would be launched, and changes nothing."""

from __future__ import annotations

import pytest

from nbpipe import clock
from nbpipe.kernel.answers import Answer
from tests.live import person
from tests.steps import in_step

SETUP = "%load_ext nbpipe\nfiles = ['a', 'b']\n%job work x"
ASSET = "%%asset x\n1"
SENSOR = (
    "%%sensor inbox --job work\n"
    "print('asked', cursor)\n"
    "cursor = files[-1]\n"
    "[RunRequest(run_key=name, tags={'file': name}) for name in files]"
)


def trial(shown):
    """Return the data of a trial that a cell showed."""
    answer = shown.ok().result.result
    assert isinstance(answer, Answer), answer
    return answer.data


def test_shows_what_would_be_launched_and_changes_nothing(project):
    with person(project, [SETUP, ASSET, SENSOR]) as at_work:
        at_work.run(0).ok()
        at_work.run(1).ok()
        shown = at_work.run(2)
        found = trial(shown)
        assert (found.status, found.requests, [run.run_key for run in found.runs]) == ("launched", 2, ["a", "b"])
        assert [run.assets for run in found.runs] == [("x",), ("x",)]
        assert (found.cursor_before, found.cursor) == (None, "b")
        assert "asked None" in shown.out
        text = shown.result.result._repr_mimebundle_()
        assert "sensor inbox would launch 2 runs" in text["text/plain"]
        assert "cursor: None would become 'b'" in text["text/plain"]
        store = at_work.session.workspace.store
        assert (store.runs(), dict(store.automation.states("default"))) == ([], {})
        assert store.automation.ticks("default", "sensor", "inbox") == []
        assert "cursor" not in at_work.names


def test_the_kept_cursor_is_what_it_sees(project):
    with person(project, [SETUP, ASSET, SENSOR]) as at_work:
        at_work.run(0).ok()
        at_work.session.workspace.store.automation.set_cursor("default", "inbox", "z", at=clock.now())
        shown = at_work.run(2)
        assert trial(shown).cursor_before == "z"
        assert "asked z" in shown.out


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("SkipReason('too early')", "skipped", "too early"),
        ("None", "skipped", "nothing to do"),
        ("True", "launched", "would launch 1 run"),
        ("RunRequest(selection='y')", "failed", "there is no asset 'y'"),
        ("[PartitionsRequest('customers', add=['x', 'y'])]", "skipped", "would add keys of customers: x, y"),
        ("import asyncio\nawait asyncio.sleep(0)\nTrue", "launched", "would launch 1 run"),
        ("inbox = True\nNone", "launched", "would launch 1 run"),
        ("context.log.info('at %s', context.sensor)\nFalse", "skipped", "nothing to do"),
    ],
)
def test_answers(project, body, status, said):
    with person(project, [SETUP, ASSET, f"%%sensor inbox --job work\n{body}"]) as at_work:
        at_work.run(0).ok()
        shown = at_work.run(2)
        assert trial(shown).status == status
        assert said in shown.result.result._repr_mimebundle_()["text/plain"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%sensor inbox --job work\n42", "the sensor's value is 42 (int)"),
        ("%%sensor inbox --job work\ncursor = 7\nTrue", "cursor is 7 (int): it is kept as text"),
        ("%%sensor inbox --job work\n1/0", "division by zero"),
        ("%%sensor inbox\nTrue", "a sensor needs a job to run"),
        ("%%sensor inbox --job work --evry 5\nTrue", "--every"),
        ("%%sensor inbox --job work\nRunRequest(parameters={'at': files})\ntemporary", "temporary"),
    ],
)
def test_what_is_wrong_is_said(project, cell, said):
    with person(project, [SETUP, ASSET, cell]) as at_work:
        at_work.run(0).ok()
        shown = at_work.run(2)
        assert shown.error is not None
        assert said in shown.said


def test_an_error_shows_the_line_of_the_cell(project):
    with person(project, [SETUP, ASSET, "%%sensor inbox --job work\nx = 1\n1/0"]) as at_work:
        at_work.run(0).ok()
        out = at_work.run(2).out
        assert "1/0" in out
        assert "asking.py" not in out


def test_help(project):
    with person(project, [SETUP]) as at_work:
        at_work.run(0).ok()
        assert "--every S" in at_work.type("%%sensor --help\n1").ok().out


def test_in_a_job_it_does_nothing_and_says_so(project):
    with person(project, [SETUP, ASSET, SENSOR]) as at_work:
        notebook = at_work.notebook
    assert notebook is not None
    with in_step(project, notebook, "x") as step:
        shown = step.run(2)
        shown.ok()
        assert shown.out.strip() == "sensor inbox: the daemon asks it, in a job it does nothing"


@pytest.mark.parametrize("start", ["import nbpipe\nnbpipe.materialize('x')", "%materialize x", "%backfill x --all"])
def test_what_its_body_would_start_itself_is_not_started(project, start):
    body = f"%%sensor inbox --job work\n{start}\nNone"
    with person(project, [SETUP, ASSET, body]) as at_work:
        at_work.run(0).ok()
        shown = at_work.run(2)
        assert trial(shown).status == "skipped"
        assert "does nothing in a sensor" in shown.out
        assert at_work.session.workspace.store.runs() == []
