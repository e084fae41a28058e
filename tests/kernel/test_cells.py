"""An asset cell feels like an ordinary cell: values, displays, errors, IPython syntax, await."""

from __future__ import annotations

import re
import sys
import threading

import pytest

from tests.live import person
from tests.notebooks import write_notebook

GIVES = {
    "the variable": ("%%asset a\na = 1\n2", 1),
    "the last expression": ("%%asset a\nb = 20\nb + 1", 21),
    "the last expression, silenced": ("%%asset a\n21;", 21),
    "a loop's variable": ("%%asset a\nfor a in range(3): pass", 2),
    "no name": ("%%asset\nfirst = 1\na = first + 1", 2),
    "blank lines first": ("\n\n%%asset a\na = 5", 5),
    "a blank line after the magic": ("%%asset a\n\n\na = 5", 5),
    "a function of its own": ("%%asset a\ndef f(n):\n    return 1 if n == 0 else n * f(n - 1)\na = f(4)", 24),
    "a class body and a comprehension": (
        "%%asset a\nk = 2\nclass C:\n    x = [k * i for i in range(3)]\na = C.x",
        [0, 2, 4],
    ),
    "a future statement": ("%%asset a\nfrom __future__ import annotations\ndef f(x: Nothing): return 3\na = f(1)", 3),
    "timed": ("%%asset a\n%%time\na = 7", 7),
    "a timed line": ("%%asset a\n%time a = 8", 8),
    "a timed last expression": ("%%asset a\n%time 4 + 5", 9),
    "a command's output": ("%%asset a\nword = 'hi'\nlines = !echo {word} there\na = list(lines)", ["hi there"]),
    "a command": ("%%asset a\nword = 'x.txt'\n!echo 12 > {word}\na = int(open_text(word))", 12),
    "a magic over two lines": ("%%asset a\nlines = !echo one \\\n  two\na = lines[0].split()", ["one", "two"]),
    "await": ("%%asset a\nimport asyncio\nawait asyncio.sleep(0)\na = 10", 10),
    "an awaited last expression": ("%%asset a\nimport asyncio\nawait asyncio.sleep(0, 'v')", "v"),
    "an async comprehension": (
        "%%asset a\nasync def g():\n    yield 1\n    yield 2\na = [x async for x in g()]",
        [1, 2],
    ),
    "an async loop": ("%%asset a\nasync def g():\n    yield 1\n    yield 2\na = 0\nasync for x in g():\n    a += x", 3),
    "await beside a magic": ("%%asset a\nimport asyncio\nawait asyncio.sleep(0)\nlines = !echo ok\na = lines[0]", "ok"),
    "await in a string only": ("%%asset a\na = 'await x'", "await x"),
    "a pandas query": (
        "%%asset a --use limit\nimport pandas as pd\na = len(pd.DataFrame({'v': [1, 5]}).query('v > @limit'))",
        1,
    ),
}  # fmt: skip

SETUP = "from pathlib import Path\ndef open_text(name):\n    return Path(name).read_text()"


@pytest.mark.parametrize(("cell", "value"), GIVES.values(), ids=GIVES)
def test_what_a_cell_gives_is_stored_and_bound(project, cell, value):
    with person(project, [SETUP, "%%asset limit\nlimit = 3", cell]) as me:
        me.run_all()
        assert me.names["a"] == value
        assert me.stored("a") == value
        assert me.executed() == []
        me.restart()
        assert me.executed() == []
        assert me.names["a"] == value


def test_one_cell_makes_several_assets(project):
    with person(project, ["%%asset train test\ntrain, test = [1, 2], [3]", "%%asset n\nn = len(train + test)"]) as me:
        shown = me.run_all()
        assert shown[0].out.startswith("train test: materialized")
        assert (me.stored("train"), me.stored("test"), me.stored("n")) == ([1, 2], [3], 3)
        assert me.executed() == []
        me.type("%force test").ok()
        assert me.executed() == ["train test"]


def test_order_only_dependencies_are_not_loaded(project):
    with person(project, ["%%asset first\nfirst = 1", "%%asset a --deps first\na = 'first' in globals()"]) as me:
        me.run_all()
        assert me.names["a"] is False
        assert me.current("a").inputs == {}


def test_watched_patterns_make_an_asset_stale(project):
    (project / "data").mkdir()
    (project / "data" / "1.csv").write_text("x")
    with person(project, ["%%asset a --deps file:data/*.csv\na = 1"]) as me:
        assert me.executed() == ["a"]
        assert me.executed() == []
        (project / "data" / "2.csv").write_text("y")
        assert "(files data/*.csv changed)" in me.run(0).out


SHOWS = {
    "the last expression": ("%%asset a\na = 1\na", "Out[1]: 1\n", [{"text/plain": "1"}]),
    "a silenced one": ("%%asset a\na = 1\na;", "", []),
    "an assignment": ("%%asset a\na = 1", "", []),
    "display": ("%%asset a\ndisplay({'k': 1})\na = 1", "", [{"text/plain": "{'k': 1}"}]),
    "print": ("%%asset a\nprint('hi')\na = 1", "hi\n", []),
    "an updated display": (
        "%%asset a\nh = display(1, display_id=True)\nh.update(2)\na = 1",
        "",
        [{"text/plain": "2"}],
    ),
    "an awaited expression": (
        "%%asset a\nimport asyncio\nawait asyncio.sleep(0, 3)",
        "Out[1]: 3\n", [{"text/plain": "3"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("cell", "printed", "kept"), SHOWS.values(), ids=SHOWS)
def test_what_a_cell_shows_is_shown_as_always_kept_and_shown_again_when_loaded(project, cell, printed, kept):
    with person(project, [cell]) as me:
        shown = me.run(0).ok()
        assert shown.out == f"{printed}a: materialized (never materialized)\n"
        details = me.session.workspace.store.details(me.current("a").id)
        assert [dict(each) for each in details.displays] == kept
        assert me.run(0).displays == kept


def test_the_result_of_a_cell_is_known_to_ipython(project):
    with person(project, ["%%asset a\na = 20\na + 1"]) as me:
        me.run_all()
        assert me.type("_ + Out[1]").result.result == 42


def test_metadata_and_log(project):
    body = (
        "import numpy as np\ncontext.log.info('halfway %s', 1)\ncontext.log.debug('unseen')\n"
        "context.add_output_metadata({'score': np.float64(0.5), 'when': [1, (2,)], 'other': {1: object}})\na = 1"
    )
    with person(project, [f"%%asset a --metadata owner=me\n{body}"]) as me:
        shown = me.run(0).ok()
        assert shown.out.startswith("INFO halfway 1\na: materialized")
        assert me.current("a").metadata == {
            "owner": "me",
            "score": 0.5,
            "when": [1, [2]],
            "other": {"1": "<class 'object'>"},
        }


def line_of(shown):
    """Return the line that a traceback points at."""
    return int(re.findall(r"-+> (\d+)", shown.out)[0])


FAILS = {
    "an error": ("%%asset a\nx = 1\n\na = x / 0", ZeroDivisionError, 4),
    "after blank lines": ("\n\n%%asset a\n\nx = 1\na = x / 0", ZeroDivisionError, 6),
    "in the last expression": ("%%asset a\nx = 1\nx / 0", ZeroDivisionError, 3),
    "in a function of the body": ("%%asset a\ndef f():\n    return 1 / 0\na = f()", ZeroDivisionError, 4),
    "in a setup function": ("%%asset a\nx = 1\na = fails(x)", ZeroDivisionError, 3),
    "below a magic": ("%%asset a\nlines = !echo \\\n  x\na = 1 / 0", ZeroDivisionError, 4),
    "awaited": ("%%asset a\nimport asyncio\nawait asyncio.sleep(0)\na = 1 / 0", ZeroDivisionError, 4),
    "awaited, in a function": (
        "%%asset a\nasync def f():\n    return 1 / 0\na = 1\na = await f()",
        ZeroDivisionError,
        5,
    ),
    "with a cause": (
        "%%asset a\ntry:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('no') from error\na = 1",
        ValueError,
        3,
    ),
}


@pytest.mark.parametrize(("cell", "kind", "line"), FAILS.values(), ids=FAILS)
def test_a_failing_body_shows_its_own_lines_only_and_the_old_version_stays(project, cell, kind, line):
    with person(project, ["def fails(x):\n    return x / 0", "%%asset a\na = 'old'", cell]) as me:
        me.run(0)
        me.run(1).ok()
        me.edit(1, cell)
        shown = me.run(1)
        assert isinstance(shown.error, kind)
        assert line_of(shown) == line
        assert "nbpipe" not in shown.out
        assert "tenacity" not in shown.out
        assert kind.__name__ in (me.state("a").error or "")
        assert me.current("a").version == 1
        assert me.type("%asset a").result.result == "old"
        assert "the latest attempt failed" not in me.type("1").out
        me.edit(1, "%%asset a\na = 'new'")
        assert me.run(1).ok().executed
        assert me.state("a").failed_at is None


def test_a_body_that_exits_has_failed(project):
    with person(project, ["%%asset a\nimport sys\na = 1\nsys.exit(3)"]) as me:
        with pytest.warns(UserWarning, match="To exit"):
            shown = me.run(0)
        assert isinstance(shown.error, SystemExit)
        assert me.state("a").error == "SystemExit: 3"


BROKEN = {
    "one line": ("%%asset a\nx = 1\na = = 2", 3),
    "blank lines first": ("\n%%asset a\n\na = (1,\n", 4),
    "a return": ("%%asset a\na = 1\nreturn a", 3),
}


@pytest.mark.parametrize(("cell", "line"), BROKEN.values(), ids=BROKEN)
def test_a_body_that_is_no_python_is_shown_as_in_any_cell(project, cell, line):
    with person(project, [cell]) as me:
        shown = me.run(0)
        assert isinstance(shown.error, SyntaxError)
        assert shown.error.lineno == line - cell.startswith("\n")  # IPython takes leading blank lines away
        assert "SyntaxError" in shown.out
        assert "nbpipe" not in shown.out
        assert me.state("a").failed_at is None


REFUSED = {
    "no value": ("%%asset a\nb = 1", "line 1: the cell gives 'a' no value"),
    "no value for one of several": ("%%asset a b\na = 1", "does not assign 'b'"),
    "a value that was deleted": ("%%asset a\na = 1\nif True:\n    del a", "ended without a value for it"),
    "a value that can't be stored": (
        "%%asset a\nimport threading\na = threading.Lock()",
        ["asset 'a'", "_thread.lock", "open it in a setup cell"],
    ),
    "another magic": ("%%asset a\n%%bash\necho 1", "can't start with %%bash"),
    "an unknown option": ("%%asset a --gruop g\na = 1", "did you mean --group?"),
    "a builtin's name": ("%%asset list\nlist = 1", "builtin"),
    "no name and no variable": ("%%asset\nprint(1)", "write %%asset NAME"),
    "no body": ("%%asset a", "no value"),
    "a later magic": ("%%op s\nx = 1", "not available in this version"),
    "its own name": ("%%asset a\na = a + 1", "an asset can't read itself"),
}


@pytest.mark.parametrize(("cell", "said"), REFUSED.values(), ids=REFUSED)
def test_what_can_t_be_is_refused_in_words(project, cell, said):
    with person(project, [cell]) as me:
        shown = me.run(0)
        assert shown.error is not None
        for text in [said] if isinstance(said, str) else said:
            assert text in shown.said
        assert "Traceback" not in shown.out
        assert me.state("a").current is None


def test_help_is_shown(project):
    with person(project) as me:
        assert "--fresh-for" in me.type("%%asset --help").ok().out
        assert "--fresh-for" in me.type("%asset --help").ok().out
        assert "%force [NAME...]" in me.type("%force --help").ok().out
        assert "%project NOTEBOOK" in me.type("%project --help").ok().out
        shown = me.type('%%asset a --description "see --help"\na = 1', "new")
        assert shown.executed


@pytest.mark.parametrize("body", ["work()", "import asyncio\nawait asyncio.sleep(0)\nwork()"], ids=["plain", "await"])
def test_an_interrupt_is_no_failure_of_the_asset(project, body):
    cells = ["def work():\n    raise KeyboardInterrupt", f"%%asset a\n{body}\na = 1"]
    with person(project, cells) as me:
        me.run(0)
        shown = me.run(1)
        assert isinstance(shown.error, KeyboardInterrupt)
        assert "nbpipe" not in shown.out
        assert me.state("a").failed_at is None
        assert me.state("a").current is None
        assert me.type("1 + 1").ok().out == "Out[3]: 2\n"


RETRIES = {
    "at once": ("--retries 2", 3, "ok"),
    "too few": ("--retries 1", 2, "ValueError"),
    "with a delay": ("--retries 2 --retry-delay 0.01", 3, "ok"),
    "with a growing delay": ("--retries 2 --retry-delay 0.01 --backoff exponential", 3, "ok"),
    "linear": ("--retries 2 --retry-delay 0.01 --backoff linear", 3, "ok"),
}


@pytest.mark.parametrize("awaits", [False, True], ids=["plain", "await"])
@pytest.mark.parametrize(("options", "attempts", "end"), RETRIES.values(), ids=RETRIES)
def test_a_body_is_retried_as_its_options_say(project, options, attempts, end, awaits):
    body = "import asyncio\nawait asyncio.sleep(0)\n" if awaits else ""
    body += "tried.append(1)\nif len(tried) < 3:\n    raise ValueError(len(tried))\na = 1"
    with person(project, ["tried = []", f"%%asset a {options}\n{body}"]) as me:
        me.run(0)
        shown = me.run(1)
        assert len(me.names["tried"]) == attempts
        assert ("ValueError" in str(type(shown.error))) == (end != "ok")
        assert shown.out.count("trying again") == attempts - 1


SLOW = {
    "a computation": "n = 0\nwhile n >= 0:\n    n = (n + 1) % 1000",
    "a wait": "import threading\nthreading.Event().wait(60)",
    "an awaited wait": "import asyncio\nawait asyncio.sleep(60)",
    "a computation beside await": (
        "import asyncio\nawait asyncio.sleep(0)\nn = 0\nwhile n >= 0:\n    n = (n + 1) % 1000"
    ),
}


@pytest.mark.parametrize("body", SLOW.values(), ids=SLOW)
def test_a_body_that_takes_too_long_is_stopped(project, body):
    assert threading.current_thread() is threading.main_thread()
    with person(project, [f"%%asset a --timeout 0.1\n{body}\na = 1"]) as me:
        shown = me.run(0)
        assert "the body took longer than its --timeout of 0.1 s" in shown.said
        assert "BodyTimeoutError" in (me.state("a").error or "")
        assert me.type("1 + 1").ok().out == "Out[2]: 2\n"


def test_a_body_leaves_the_process_as_it_was(project):
    with person(project, ["%%asset a\na = 1", "%%asset b\nb = 1 / 0"]) as me:
        main, publish = sys.modules["__main__"], me.shell.display_pub.publish
        me.run(0)
        me.run(1)
        assert sys.modules["__main__"] is main
        assert me.shell.display_pub.publish == publish
        assert "write_format_data" not in vars(me.shell.displayhook)


def test_a_second_cell_with_the_same_asset_replaces_the_first_with_a_warning(project):
    cells = ["%%asset a\na = 1", "%%asset b\nb = a", "%%asset a\na = 2"]
    with person(project, cells) as me:
        assert me.run(0).ok().err == ""
        me.run(1).ok()
        shown = me.run(2).ok()
        assert "a was defined by another cell of this kernel before: this cell replaces it" in shown.err
        assert me.names["a"] == 2
        assert "(upstream a has newer data)" in me.run(1).out
        assert "this cell replaces it" in me.run(0).ok().err
        assert me.names["a"] == 1


def test_a_cell_without_a_name_whose_last_variable_changes_is_warned_about(project):
    with person(project, ["%%asset\nfirst = 1"]) as me:
        me.run(0).ok()
        me.edit(0, "%%asset\nfirst = 1\nsecond = 2")
        shown = me.run(0).ok()
        assert "made asset first before; now it makes second" in shown.err
        assert me.run(0).err == ""


def test_magics_called_by_code_are_no_cells_of_the_notebook(project):
    with person(project, ["%%asset a\na = 1", "x = 3"]) as me:
        me.run_all()
        me.edit(1, "get_ipython().run_cell_magic('asset', 'b', 'b = 5')")
        me.run(1).ok()
        assert me.names["b"] == 5
        me.session.refuse_unsaved()
        me.edit(1, "x = 4")
        me.run(1).ok()


def test_a_name_of_another_notebooks_asset_is_refused(project):
    with person(project, ["%%asset a\na = 1"]) as me:
        me.run_all()
        me.stop()
        me.start(write_notebook(project / "other.ipynb", ["%%asset a\na = 2"]))
        assert "asset 'a' is declared in" in me.run(0).said
        assert me.current("a").version == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", "there is no I/O manager 'lake'"),
        ('[io.lake]\nurl = "${LAKE_URL}"', "environment variable LAKE_URL is not set"),
    ],
)
def test_what_could_not_be_stored_is_not_computed(project, config, said):
    (project / "nbpipe.toml").write_text(config)
    with person(project, ["%%asset a --io lake\nprint('hours of work')\na = 1"]) as me:
        shown = me.run(0)
        assert said in shown.said
        assert "hours of work" not in shown.said
