"""What the showing magics say of a notebook whose executed text is not the saved one."""

from __future__ import annotations

import pytest

from tests.live import person
from tests.notebooks import code

NOTEBOOK = [
    code("least = 5", tags=["parameters"]),
    "%%asset orders\norders = [each for each in (3, 5, 8) if each >= least]",
    "%%asset total\ntotal = sum(orders)",
]


@pytest.fixture
def me(project):
    with person(project, NOTEBOOK) as someone:
        someone.run_all()
        yield someone


def statuses(me):
    answer = me.session.shell.run_line_magic("status", "")
    return {row.asset: (row.status, row.reasons) for row in answer.data}


def test_text_that_was_executed_counts_though_it_is_not_saved(me):
    me.type("least = 8", "cell-0").ok()
    assert statuses(me) == {
        "orders": ("stale", ("parameter least: 5 -> 8",)),
        "total": ("stale", ("upstream orders is stale",)),
    }


def test_an_asset_that_is_not_saved_yet_is_shown(me):
    me.type("%%asset extra\nextra = total + 1", "new-cell").ok()
    assert statuses(me)["extra"] == ("fresh", ())


def test_what_is_saved_as_executed_is_fresh(me):
    assert {status for status, _ in statuses(me).values()} == {"fresh"}


def test_magics_of_later_versions_are_refused_by_name(me):
    assert "%%check is not available in this version" in me.type("%%check orders\nassert True").said


def test_force_says_what_it_does(me):
    assert me.type("%force orders").out == "the next run of the cell of orders executes it\n"
    assert me.type("%force").out == "the next run of each asset cell executes it\n"
