"""What an asset body sees, and what it leaves behind."""

from __future__ import annotations

import pytest

from tests.live import person
from tests.notebooks import code


def test_a_body_sees_setup_names_above_it_and_its_inputs_and_nothing_else(project):
    cells = [
        "import math\nLIMIT = 3",
        "%%asset numbers\nscratch = 1\nnumbers = list(range(LIMIT))",
        "%%asset seen\nseen = sorted(name for name in globals() if not name.startswith('_'))\nnumbers, math",
    ]
    with person(project, cells) as me:
        me.names["leaked"] = 1
        me.run_all()
        assert me.names["seen"] == [
            *["In", "LIMIT", "Out", "context", "exit", "get_ipython", "math", "numbers", "partition", "quit"]
        ]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        pytest.param(
            ["%%asset a\nscratch = 1\na = scratch", "%%asset b\nb = scratch"],
            ["line 2: 'scratch' is a temporary of asset 'a' (cell 1)", "%%asset a scratch"],
            id="a temporary of another asset",
        ),
        pytest.param(
            ["%%asset a\nscratch = 1\na = scratch", "%%asset b\nb = eval('scratch')"],
            ["'scratch' is a temporary of asset a", "%%asset a scratch"],
            id="the same, found only when it runs",
        ),
        pytest.param(
            ["%%asset a\na = 1", "top = a + 1", "%%asset b\nb = top"],
            ["'top' is bound by cell 2, which shows assets: make it an asset (%%asset top)"],
            id="a name of a view cell",
        ),
        pytest.param(
            ["%%asset a\na = 1", "def twice():\n    return a * 2", "%%asset b\nb = twice()"],
            ["twice() reads asset 'a' as a global", "pass it as an argument"],
            id="a setup function that reads an asset",
        ),
        pytest.param(
            ["%%asset b\nb = later", "later = 1"], ["'later' is bound below this cell, in cell 2"], id="a name below"
        ),
        pytest.param(["%%asset b\nb = lenght([1])"], ["line 2: nothing is called 'lenght'"], id="no name"),
        pytest.param(
            ["%%asset b\nb = missing_one", "%%asset missing_one\nmissing_one = 1"],
            ["asset missing_one, which asset b reads, has never been materialized"],
            id="an asset without a value",
        ),
    ],
)
def test_what_a_body_does_not_see_is_explained(project, cells, said):
    with person(project, cells) as me:
        shown = [me.run(position) for position in range(len(cells))]
        everything = "\n".join(each.said for each in shown)
        assert any(each.error for each in shown)
        for text in said:
            assert text in everything
        assert me.state("b").current is None


def test_a_body_is_main_for_pickles_and_introspection(project):
    cells = [
        "class Setup:\n    pass",
        (
            "%%asset a\nimport pickle, sys\nclass Own:\n    pass\n"
            "def again(x):\n    return type(pickle.loads(pickle.dumps(x)))\n"
            "a = [__name__, vars(sys.modules['__main__']) is globals(), again(Own()).__name__, again(Setup()).__name__]"
        ),
    ]
    with person(project, cells) as me:
        me.run_all()
        assert me.names["a"] == ["__main__", True, "Own", "Setup"]
        assert vars(me.shell.user_module) is me.names


def test_setup_functions_see_their_globals(project):
    cells = ["RATE = 2\ndef scaled(x):\n    return x * RATE", "%%asset a\nRATE = 100\na = scaled(3)"]
    with person(project, cells) as me:
        me.run_all()
        assert (me.names["a"], me.names["RATE"]) == (6, 2)


def test_a_body_publishes_its_names_for_a_person_to_look_at(project):
    with person(project, ["%%asset a\nhalf = 21\ndef twice(x):\n    return 2 * x\na = twice(half)", "half + a"]) as me:
        assert me.run_all()[-1].out == "Out[2]: 63\n"
        assert me.type("twice(4)").out == "Out[3]: 8\n"


def test_publishing_never_overwrites_names_of_others(project):
    cells = [
        code("n = 1", tags=["parameters"]),
        "import json\nLIMIT = 2",
        "%%asset other\nother = 'mine'",
        "%%asset a\nn, LIMIT, json, other, own = 10, 20, 30, 40, 50\na = n",
    ]
    with person(project, cells) as me:
        me.run_all()
        assert [me.names[name] for name in ("n", "LIMIT", "other", "own")] == [1, 2, "mine", 50]
        assert me.names["json"].__name__ == "json"


def test_loading_removes_what_an_earlier_run_published_but_no_name_that_a_person_bound_since(project):
    with person(project, ["%%asset a\nscratch = [1]\nkept = [2]\na = 3"]) as me:
        me.run_all()
        assert me.names["scratch"] == [1]
        me.type("kept = 'mine'")
        assert me.executed() == []
        assert "scratch" not in me.names
        assert me.names["kept"] == "mine"


def test_a_view_cell_that_wants_a_temporary_of_a_loaded_asset_is_told_why_it_has_none(project):
    with person(project, ["%%asset a\nscratch = 1\na = scratch", "scratch"]) as me:
        me.run_all()
        me.restart()
        me.run(0).ok()
        shown = me.run(1)
        assert isinstance(shown.error, NameError)
        assert "scratch is a temporary of asset a" in shown.err
        assert "%force a" in shown.err


VALUES = {
    "frame of numbers": (
        "import pandas as pd\nx = pd.DataFrame({'v': [1, 2]})",
        "x.loc[0, 'v'] = 99",
        "int(x.v.sum())",
        3,
    ),
    "frame of objects": (
        "import pandas as pd\nx = pd.DataFrame({'v': [[1], [2]]})",
        "x.v[0].append(99)",
        "sum(map(len, x.v))",
        2,
    ),
    "frame of texts": (
        "import pandas as pd\nx = pd.DataFrame({'v': ['a', 'b']})",
        "x['v'] = 'zz'",
        "''.join(x.v)",
        "ab",
    ),
    "frame with attributes": (
        "import pandas as pd\nx = pd.DataFrame({'v': [1]})\nx.attrs['k'] = [1]",
        "x.attrs['k'].append(2)",
        "len(x.attrs['k'])",
        1,
    ),
    "series": ("import pandas as pd\nx = pd.Series([1, 2])", "x.iloc[0] = 99", "int(x.sum())", 3),
    "categories": (
        "import pandas as pd\nx = pd.Series(['a', 'b'], dtype='category')",
        "x.iloc[0] = 'b'",
        "''.join(x)",
        "ab",
    ),
    "extension numbers": (
        "import pandas as pd\nx = pd.Series([1, None], dtype='Int64')",
        "x.array._data[0] = 99",
        "int(x.sum())",
        1,
    ),
    "list": ("x = [1, [2]]", "x[1].append(99)", "x", [1, [2]]),
    "dict": ("x = {'k': {'v': 1}}", "x['k']['v'] = 99", "x", {"k": {"v": 1}}),
    "tuple with a list": ("x = (1, [2])", "x[1].append(99)", "x", (1, [2])),
    "array": ("import numpy as np\nx = np.arange(3)", "x[:] = 99", "int(x.sum())", 3),
    "object": (
        "import types\nx = types.SimpleNamespace(k=[1])",
        "x.k.append(99)",
        "len(x.k)",
        1,
    ),
    "generator": (
        "import numpy as np\nx = np.random.default_rng(7)",
        "x.random(5)",
        "float(x.random())",
        0.625095466604667,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "mutate", "read", "expected"), VALUES.values(), ids=VALUES)
def test_what_a_person_does_to_a_value_never_reaches_another_body(project, make, mutate, read, expected):
    cells = [f"%%asset x\n{make}\nheld = x", f"%%asset seen\nseen = {read}", f"%%asset again\n{mutate}\nagain = {read}"]
    with person(project, cells) as me:
        me.run(0).ok()
        me.type(mutate).ok()
        me.type(mutate.replace("x", "held", 1)).ok()
        me.run(1).ok()
        assert me.names["seen"] == expected
        me.run(2).ok()  # changes its own copy
        me.type("%force seen").ok()
        me.run(1).ok()
        assert me.names["seen"] == expected
        me.restart()
        me.run(0).ok()
        me.type(mutate).ok()
        me.type("%force seen").ok()
        me.run(1).ok()
        assert me.names["seen"] == expected


def test_each_attempt_of_a_retried_body_gets_fresh_inputs(project):
    cells = [
        "attempts = []",
        "%%asset a\na = [1]",
        "%%asset b --retries 2\nattempts.append(1)\na.append(2)\nassert len(attempts) > 2\nb = a",
    ]
    with person(project, cells) as me:
        shown = me.run_all()[-1]
        assert "attempt 1 failed (AssertionError" in shown.out
        assert me.names["b"] == [1, 2]


def test_names_that_a_foreign_star_import_brings_are_seen(project):
    cells = ["from math import *", "%%asset other\nscratch = 1\nother = 2", "%%asset a\na = floor(pi)"]
    with person(project, cells) as me:
        me.run_all()
        assert me.names["a"] == 3
        shown = me.type("%%asset b\nb = eval('scratch')", "new")
        assert isinstance(shown.error, NameError)


def test_a_plain_cell_that_rebinds_an_asset_is_warned_about_and_changes_nothing_for_assets(project):
    with person(project, ["%%asset a\na = 1", "a = 100", "%%asset b\nb = a + 1"]) as me:
        shown = me.run_all()
        assert "a is an asset: asset cells go on reading its stored value" in shown[1].err
        assert (me.names["a"], me.names["b"]) == (100, 2)
