"""A cell loads unless it is out of date."""

from __future__ import annotations

import sys

import pytest

import nbpipe
from nbpipe.errors import RefusedError
from tests.live import person
from tests.notebooks import code, write_notebook
from tests.steps import in_step

SETUP = """from pathlib import Path
import tools
LIMIT = 3
OTHER = 1
def clean(x):
    return [each for each in x if each < LIMIT]"""

NOTEBOOK = [
    code("n = 2", tags=["parameters"]),
    SETUP,
    "%%asset raw\nraw = [int(line) for line in Path('numbers.txt').read_text().split()]",
    "%%asset small\n# what is left\nsmall = clean(raw)",
    "%%asset total\ntotal = sum(small) * n",
    "%%asset named\nnamed = tools.label(total)",
    "named",
]


@pytest.fixture
def me(project, monkeypatch):
    monkeypatch.syspath_prepend(project)
    (project / "numbers.txt").write_text("1\n2\n3\n")
    (project / "tools.py").write_text("def label(x):\n    return f'<{x}>'\n\ndef unused():\n    return 1\n")
    with person(project, NOTEBOOK) as at_work:
        assert at_work.executed() == ["raw", "small", "total", "named"]
        assert at_work.names["named"] == "<6>"
        yield at_work
        sys.modules.pop("tools", None)


def test_run_all_twice_executes_nothing_the_second_time(me):
    assert me.executed() == []
    me.restart()
    assert me.executed() == []
    assert me.names["named"] == "<6>"
    assert me.run("cell-3").out == "small: up to date, loaded; %force small runs it again\n"


BELOW = {"total": "upstream small has newer data", "named": "upstream total has newer data"}
EDITS = {
    "a comment": (3, "%%asset small\n# what is left, really\n\nsmall  =  clean( raw )", {}),
    "a body": (3, "%%asset small\nsmall = clean(raw)[:1]", {"small": "code changed", **BELOW}),
    "a body that gives the same": (3, "%%asset small\nsmall = list(clean(raw))", {"small": "code changed"}),
    "a constant": (1, SETUP.replace("LIMIT = 3", "LIMIT = 2"), {"small": "constant LIMIT changed", **BELOW}),
    "a helper": (1, SETUP.replace("each < LIMIT", "each <= LIMIT"), {"small": "helper clean() changed", **BELOW}),
    "a constant that nothing reads": (1, SETUP.replace("OTHER = 1", "OTHER = 2"), {}),
    "a parameter": (0, "n = 5", {"total": "parameter n: 2 -> 5", "named": BELOW["named"]}),
    "options": (4, "%%asset total --group g\ntotal = sum(small) * n", {}),
}  # fmt: skip


@pytest.mark.parametrize(("cell", "text", "expected"), EDITS.values(), ids=EDITS)
def test_an_edit_executes_exactly_what_it_changes_and_undoing_it_is_fresh_or_a_recomputation(me, cell, text, expected):
    before = me.session.live.sources()
    me.edit(cell, text)
    reasons = {}
    for shown in me.run_all():
        for line in shown.out.splitlines():
            name, materialized, rest = line.partition(": materialized")
            if materialized:
                reasons[name] = rest.partition("(")[2].rstrip(")")
    assert reasons == expected
    assert me.executed() == []
    assert before != me.session.live.sources() or not expected


def test_an_edit_that_is_undone_before_it_runs_is_fresh(me):
    me.edit(3, "%%asset small\nsmall = clean(raw)[:1]")
    me.edit(3, NOTEBOOK[3])
    assert me.executed() == []


def test_a_helper_that_is_changed_and_changed_back_is_fresh(me):
    me.type(SETUP.replace("LIMIT = 3", "LIMIT = 2"), "cell-1").ok()
    me.run("cell-1").ok()
    assert me.run("cell-3").out.startswith("small: up to date")


def test_text_that_was_executed_counts_not_what_is_saved(me):
    me.type(SETUP.replace("LIMIT = 3", "LIMIT = 2"), "cell-1").ok()
    assert "(constant LIMIT changed)" in me.run("cell-3").out
    assert me.names["small"] == [1]


def test_a_file_that_changes_executes_what_reads_it(me, project):
    (project / "numbers.txt").write_text("1\n2\n3\n4\n")
    assert me.executed() == ["raw", "small"]  # small comes out the same: early cut-off
    (project / "numbers.txt").write_text("1\n2\n3\n")
    assert me.executed() == ["raw", "small"]


def test_a_module_that_changed_is_not_executed_as_it_was(me, project):
    (project / "tools.py").write_text("def label(x):\n    return f'[{x}]'\n")
    shown = me.run("cell-5")
    assert "tools.py changed since this kernel imported it" in shown.said
    assert "autoreload" in shown.said
    me.type("import importlib; importlib.reload(tools)").ok()
    assert "(tools.label() changed)" in me.run("cell-5").ok().out
    assert me.names["named"] == "[6]"


def test_with_autoreload_a_changed_module_executes_what_reaches_it(me, project):
    me.type("%load_ext autoreload\n%autoreload 2").ok()
    (project / "tools.py").write_text("def label(x):\n    return f'[[{x}]]'\n\ndef unused():\n    return 1\n")
    assert me.executed() == ["named"]
    assert me.names["named"] == "[[6]]"
    (project / "tools.py").write_text("def label(x):\n    return f'[[{x}]]'\n\ndef unused():\n    return 2\n")
    assert me.executed() == []


@pytest.mark.parametrize(
    ("line", "cells", "executed"),
    [
        ("%force raw", ["cell-2", "cell-3"], ["raw"]),
        ("%force small total", ["cell-2", "cell-3", "cell-4"], ["small", "total"]),
        ("%force", ["cell-2", "cell-3", "cell-5"], ["raw", "small", "named"]),
    ],
)
def test_force_executes_the_next_run_of_these_cells_once(me, line, cells, executed):
    me.type(line).ok()
    shown = [me.run(cell).ok() for cell in cells]
    assert [each.out.partition(":")[0] for each in shown if each.executed] == executed
    assert all("(forced)" in each.out for each in shown if each.executed)
    assert not any(me.run(cell).executed for cell in cells)


def test_force_has_a_python_twin(me):
    me.type("import nbpipe; nbpipe.force('raw')").ok()
    assert [me.run(cell).ok().executed for cell in ("cell-2", "cell-3")] == [True, False]
    me.type("nbpipe.force()").ok()
    assert me.run("cell-3").ok().executed
    assert "did you mean 'small'?" in me.type("nbpipe.force('smal')").said


def test_outside_of_a_notebook_force_is_refused():
    with pytest.raises(RefusedError, match="run %load_ext nbpipe first"):
        nbpipe.force()


def test_force_stays_until_a_run_succeeds(me):
    me.type("stop = True").ok()
    me.edit(3, "%%asset small\nsmall = clean(raw)")
    me.type("%force small").ok()
    me.type("def clean(x):\n    raise KeyboardInterrupt", "cell-1")
    assert isinstance(me.run("cell-3").error, KeyboardInterrupt)
    me.run("cell-1").ok()
    assert "(forced)" in me.run("cell-3").out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%force smal", "did you mean 'small'?"),
        ("%force small --retries 3", "takes names of assets only"),
        ("%asset smal", "there is no asset 'smal': did you mean 'small'?"),
        ("%asset small#7", "asset small has no version 7: it "),
        ("%asset small#x", "version after # is a number"),
        ("%asset", "names no asset"),
        ("%project nowhere.ipynb", "there is no notebook 'nowhere.ipynb'"),
        ("%project", "%project takes the path of a saved notebook"),
        ("%job nightly", "a job needs something to run"),
        ("%schedule nightly 0 6 * * 9 --job nightly", "bad day-of-week"),
        ("%sensor failures --on failed --notify ops", "--on takes success or failure or canceled"),
    ],
)
def test_wrong_use_is_explained(me, line, said):
    shown = me.type(line)
    assert said in shown.said
    assert "Traceback" not in shown.out


@pytest.mark.parametrize(
    "line",
    [
        "%job nightly small",
        "%schedule nightly 0 6 * * * --job nightly",
        "%sensor failures --on failure --notify ops",
    ],
)
def test_what_counts_as_it_is_saved_is_only_checked_when_it_is_executed(me, line):
    shown = me.type(line)
    assert (shown.out, shown.err, shown.result.result) == ("", "", None)
    assert line.split()[0] in me.type(f"{line.split()[0]} --help").out


def test_the_line_form_loads_a_value_and_old_versions(me):
    me.edit(3, "%%asset small\nsmall = clean(raw)[:1]")
    me.run("cell-3").ok()
    assert me.type("%asset small").result.result == [1]
    me.type("old = %asset small#1").ok()
    assert me.names["old"] == [1, 2]


def test_a_plain_cell_gets_the_assets_that_it_reads_and_that_are_not_bound(me, project):
    write_notebook(project / "other.ipynb", ["total"])
    me.restart()
    assert me.type("%%time\nprint(total)").out.startswith("6\n")
    assert me.type("def later():\n    return named", "new").err == ""
    assert me.type("nothing_of_ours", "new2").err.strip() == ""


def test_an_asset_of_another_notebook_is_an_input(me, project):
    write_notebook(project / "other.ipynb", ["%%asset report\nreport = f'total {total}'"])
    me.stop()
    me.start(project / "other.ipynb")
    assert me.executed() == ["report"]
    assert me.names["report"] == "total 6"
    assert me.executed() == []


def test_a_value_whose_file_is_gone_is_computed_again(me, project):
    stored = me.current("small").stored
    (project / ".nbpipe" / "values").rglob("*")
    for path in (project / ".nbpipe").rglob(stored.path.rpartition("/")[2]):
        path.unlink()
    me.restart()
    assert me.executed() == ["small"]


def test_a_failed_setup_cell_is_not_taken_for_what_it_says(me):
    me.type(SETUP.replace("def clean", "1 / 0\ndef clean").replace("each < LIMIT", "True"), "cell-1")
    shown = me.run("cell-3")
    assert "cell 2, which binds 'clean', failed when it last ran" in shown.said
    me.run("cell-1").ok()
    assert me.run("cell-3").out.startswith("small: up to date")


def test_what_stands_above_the_failure_of_a_setup_cell_counts(me):
    me.type(SETUP.replace("each < LIMIT", "True") + "\n1 / 0", "cell-1")
    assert "(helper clean() changed)" in me.run("cell-3").ok().out


def test_a_setup_cell_with_a_syntax_error_did_not_run(me):
    me.type(SETUP.replace("LIMIT = 3", "LIMIT = = 2"), "cell-1")
    assert me.run("cell-3").out.startswith("small: up to date")


COMPUTED = {
    "a literal that is replaced by a value that is none": ("n = 2", "import numpy as np\nn = np.int64(5)"),
    "a computed default that is replaced": ("n = 1 + 1", "n = 5"),
    "a default that no literal can express": ("import datetime as dt\nn = dt.timedelta(2)", "n = dt.timedelta(3)"),
}


@pytest.mark.parametrize(("default", "other"), COMPUTED.values(), ids=COMPUTED)
def test_a_parameter_that_is_given_another_value_executes_what_reads_it(project, default, other):
    cells = [code(default, tags=["parameters"]), "%%asset a\na = str(n * 2)"]
    with person(project, cells) as me:
        assert me.executed() == ["a"]
        assert me.executed() == []
        me.type(other, "injected").ok()
        assert me.run(1).executed
        assert me.executed() == ["a"]


def test_a_file_that_the_body_writes_makes_nothing_stale(project):
    cells = [
        code("text = 'x'", tags=["parameters"]),
        "%%asset a\nwith open('out.txt', 'w') as f:\n    a = f.write(text)",
    ]
    with person(project, cells) as me:
        assert me.executed() == ["a"]
        assert me.executed() == []
        me.edit(0, "text = 'other'")
        assert me.executed() == ["a"]
        assert me.executed() == []
        (project / "out.txt").write_text("by hand")
        assert me.executed() == ["a"]


def test_a_limit_on_age_executes_what_is_too_old(project):
    with person(project, ["%%asset a --fresh-for 1h\na = 1", "%%asset b --fresh-for 0.000001s\nb = 1"]) as me:
        me.run_all()
        assert me.executed() == ["b"]


def test_an_asset_that_reads_nothing_that_is_watched_says_its_age_and_how_to_run_it_again(project):
    with person(project, ["%%asset a\na = 1"]) as me:
        me.run_all()
        assert "nbpipe sees nothing that it reads: %force a runs it again, --fresh-for" in me.run(0).out


@pytest.mark.parametrize(("source", "fails"), [("%asset later", False), ("value = %asset later", True)])
def test_a_run_of_other_assets_goes_on_where_a_cell_only_shows_what_is_not_there(project, source, fails):
    notebook = write_notebook(project / "work.ipynb", ["%%asset now\n1", "%%asset later\n2", source])
    with in_step(project, notebook, "now") as step:
        step.run(0).ok()
        shown = step.run(2)
        assert (shown.result.error_in_exec is not None) == fails
        assert "asset later has never been materialized" in shown.out
