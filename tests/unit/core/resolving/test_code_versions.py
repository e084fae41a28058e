"""What changes the code version of an asset, under which name, and what does not."""

import pytest

from nbpipe.core.reasons import code_reasons
from nbpipe.core.resolving.resolution import Project, resolve_notebook
from tests.resolving import PARAMETERS, Modules, define, facts

SETUP = """\
import pandas as pd
LIMIT = 10
UNUSED = 1
TABLE = {}
TABLE["x"] = 1
def clean(x):
    return [v for v in x if v < limit()]
def limit():
    return LIMIT
"""
ASSET = "%%asset a --group g\n# Comment.\nx = clean([1])\na = pd.Series(x, TABLE)\na"
PREP = """\
import os
from tools import strip
FACTOR = 2
def clean(x):
    return helper(x) * FACTOR
def helper(x):
    return strip(x)
def other():
    return 1
def uses_os():
    return os.name
"""
TOOLS = "def strip(x):\n    return x\ndef rest():\n    return 2\n"

#: name: (cell to change, old, new, components that differ)
EDITS = {
    "nothing": (0, "", "", []),
    "a comment in the body": (2, "# Comment.", "# Another.", []),
    "formatting of the body": (2, "x = clean([1])", "x = clean( [1] )\n", []),
    "a blank line above": (2, "%%asset", "\n%%asset", []),
    "the group": (2, "--group g", "--group h", []),
    "order-only upstream": (2, "--group g", "--deps file:x", []),
    "retries": (2, "--group g", "--retries 2", []),
    "partitions": (2, "--group g", "--partitions daily:2024-01-01", []),
    "how many partitions one execution takes": (2, "--group g", "--partitions daily:2024-01-01 --backfill 7", []),
    "a mapping": (2, "--group g", "--deps b --map b=latest", []),
    "partitions as one table": (2, "--group g", "--concat b", ["options"]),
    "the body": (2, "[1]", "[2]", ["body"]),
    "a name in the body": (2, "x = ", "xx = ", ["body"]),
    "%%time": (2, "# Comment.", "%%time", []),
    "the I/O manager": (2, "--group g", "--io other", ["options"]),
    "a helper": (0, "v < limit()", "v <= limit()", ["helper:clean"]),
    "a comment in a helper": (0, "def clean(x):", "def clean(x):  # why", []),
    "a docstring of a helper": (0, "def limit():", 'def limit():\n    "why"', ["helper:limit"]),
    "a helper of a helper": (0, "return LIMIT", "return LIMIT + 1", ["helper:limit"]),
    "a constant behind two helpers": (0, "LIMIT = 10", "LIMIT = 20", ["constant:LIMIT"]),
    "a constant that nothing reaches": (0, "UNUSED = 1", "UNUSED = 2", []),
    "a change of an object": (0, 'TABLE["x"] = 1', 'TABLE["x"] = 2', ["constant:TABLE"]),
    "another change of an object": (0, "TABLE = {}", "TABLE = {}\nTABLE.update(y=1)", ["constant:TABLE"]),
    "a second binding": (0, "UNUSED = 1", "UNUSED = 1\nLIMIT = LIMIT + UNUSED", ["constant:LIMIT", "constant:UNUSED"]),
    "an import": (0, "import pandas as pd", "import polars as pd", ["import:pd"]),
    "another import beside it": (0, "import pandas as pd", "import os, pandas as pd", []),
    "the order of statements": (0, "LIMIT = 10\nUNUSED = 1", "UNUSED = 1\nLIMIT = 10", []),
    "a parameter's default": (1, "n = 1", "n = 2", []),
}


def versions(cells):
    spec = define(*cells).assets["a"]
    return dict(spec.code), spec.code_version


@pytest.mark.parametrize(("number", "old", "new", "components"), EDITS.values(), ids=EDITS)
def test_an_edit_changes_the_components_it_touches(number, old, new, components):
    cells = [SETUP, (PARAMETERS, "n = 1"), ASSET.replace("[1]", "[1] * n")]
    if old == "[1]":
        old, new = "[1] * n", "[2] * n"
    if old == "x = clean([1])":
        old, new = "x = clean([1] * n)", "x = clean( [1]  *  n )\n"
    changed = list(cells)
    source = cells[number] if isinstance(cells[number], str) else cells[number][1]
    assert old in source
    edited = source.replace(old, new)
    changed[number] = edited if isinstance(cells[number], str) else (PARAMETERS, edited)
    (before, version), (after, new_version) = versions(cells), versions(changed)
    assert sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k)) == components
    assert (version != new_version) == bool(components)


def test_components_are_those_reached():
    code, _ = versions([SETUP, ASSET])
    assert list(code) == [
        "body", "constant:LIMIT", "constant:TABLE", "helper:clean", "helper:limit", "import:pd", "options"
    ]  # fmt: skip


def test_setup_cells_below_do_not_count():
    above, below = versions([SETUP, ASSET]), versions([SETUP, ASSET, "LIMIT = 20"])
    assert above == below


def test_a_parameter_is_no_code_but_what_changes_it_is():
    code, _ = versions([(PARAMETERS, "n = 1"), "n = n + 1", "%%asset a\nn"])
    assert list(code) == ["body", "constant:n", "options"]


def test_options_count_by_what_they_say_and_not_by_a_single_name():
    def options(line):
        return dict(define("%%asset u\n1", "%%asset v\n1", f"%%asset {line}\na = b = 1").assets["a"].code)["options"]

    assert options("a") == options("a --owner me --tag k=v")
    assert options("a --use u v") == options("a --use v u")
    assert len({options("a"), options("a b"), options("b a"), options("a --use u"), options("a --io x")}) == 5
    renamed = define("%%asset b\n1").assets["b"], define("%%asset a\n1").assets["a"]
    assert renamed[0].code == renamed[1].code


#: name: (setup cell, body, components of modules)
MODULES = {
    "from m import f": (
        "from prep import clean",
        "clean(1)",
        ["prep.FACTOR", "prep.clean()", "prep.helper()", "tools.strip()"],
    ),
    "from m import f as g": (
        "from prep import helper as h",
        "h(1)",
        ["prep.helper()", "tools.strip()"],
    ),
    "m.f": ("import prep", "prep.helper(1)", ["prep.helper()", "tools.strip()"]),
    "m.f behind a setup function": (
        "import prep\ndef f():\n    return prep.other()",
        "f()",
        ["prep.other()"],
    ),
    "an import in the body": ("", "from prep import other\na = other()", ["prep.other()"]),
    "an import in a setup function": (
        "def f():\n    from prep import other\n    return other()",
        "f()",
        ["prep.other()"],
    ),
    "m as a value": ("import prep", "print(prep)", ["prep", "tools.strip()"]),
    "a star import": ("from prep import *", "other()", ["prep.other()"]),
    "a star import in the body": ("", "from prep import *\na = other()", ["prep.other()"]),
    "%run": ("%run prep.py", "other()", ["prep.other()"]),
    "%run in the body": ("", "%run prep.py\na = other()", ["prep.other()"]),
    "a name that the module's text does not show": ("from prep import made_up", "made_up()", ["prep", "tools.strip()"]),
    "a package": ("import pkg", "pkg.top()", ["pkg.inner.low()", "pkg.top()"]),
    "a submodule of a package": ("from pkg import inner", "inner.low()", ["pkg.inner.low()"]),
    "a dotted import": ("import pkg.inner", "pkg.inner.low()", ["pkg.inner"]),
    "a dotted import with a name": ("import pkg.inner as i", "i.low()", ["pkg.inner.low()"]),
    "a name that a package hands on": ("from pkg import low", "low()", ["pkg.inner.low()"]),
    "a submodule as an attribute": ("import bare", "bare.inner.low()", ["bare.inner"]),
    "a star import of star imports": ("from more import *", "strip(1)", ["tools.strip()"]),
    "%run of a file with a star import": ("%run stars.py", "strip(1)", ["tools.strip()"]),
    "a relative import": ("from pkg.sibling import f", "f()", ["pkg.inner.low()", "pkg.sibling.f()"]),
    "a module that is not there": ("from .gone import f\nimport pkg.gone", "f(); pkg", []),
    "a star import that a module hands on": ("from stars import strip", "strip(1)", ["tools.strip()"]),
    "a foreign import within a module": ("from prep import uses_os", "uses_os()", ["prep.os", "prep.uses_os()"]),
    "two modules that import each other": ("from ping import f", "f()", ["ping.f()", "pong.g()"]),
    "a change of a module's object": ("from tables import get", "get()", ["tables.TABLE", "tables.get()"]),
    "nothing of the project": ("import json", "json.dumps(1)", []),
}
SOURCES = {
    "prep": PREP,
    "prep.py": PREP,
    "tools": TOOLS,
    "pkg.__init__": "from .inner import low\ndef top():\n    return low()\n",
    "pkg.inner": "def low():\n    return 1\n",
    "pkg.sibling": "from . import inner\ndef f():\n    return inner.low()\n",
    "bare.__init__": "",
    "bare.inner": "def low():\n    return 1\n",
    "more": "from stars import *\nfrom more import *\n",
    "stars.py": "from tools import *\n",
    "stars": "from tools import *\n",
    "ping": "import pong\ndef f():\n    return pong.g()\n",
    "pong": "import ping\ndef g():\n    return ping.f()\n",
    "tables": "TABLE = {}\nTABLE['x'] = 1\nOTHER = 1\ndef get():\n    return TABLE\n",
}


@pytest.mark.parametrize(("setup", "body", "components"), MODULES.values(), ids=MODULES)
def test_definitions_reached_in_project_modules_count(setup, body, components):
    code = define(setup, f"%%asset a\n{body}", modules=SOURCES).assets["a"].code
    assert [label.removeprefix("module:") for label, _ in code if label.startswith("module:")] == components


def test_an_edit_of_a_module_changes_what_is_reached_and_no_more():
    def code(**changes):
        modules = {**SOURCES, **changes}
        return define("from prep import clean", "%%asset a\nclean(1)", modules=modules).assets["a"].code

    changed = code(prep=PREP.replace("FACTOR = 2", "FACTOR = 3").replace("return 1", "return 5"))
    assert code_reasons(code(), changed) == ("module prep.FACTOR changed",)
    assert code_reasons(code(), code(tools=TOOLS.replace("return x", "return -x"))) != ()
    assert code(tools=TOOLS.replace("return 2", "return 3")) == code()


def test_the_source_of_each_component_is_kept_by_its_hash():
    cells = [SETUP, "LIMIT = LIMIT * 2\nfrom prep import other", ASSET + "\nother()"]
    resolved = resolve_notebook(facts(cells), Project(modules=Modules(SOURCES)), sources=True)
    by_label = {label: resolved.sources.get(digest) for label, digest in resolved.assets[0].code}
    assert by_label == {
        "body": "# Comment.\nx = clean([1])\na = pd.Series(x, TABLE)\na\nother()",
        "constant:LIMIT": "LIMIT = 10\nLIMIT = LIMIT * 2",
        "constant:TABLE": 'TABLE = {}\nTABLE["x"] = 1',
        "helper:clean": "def clean(x):\n    return [v for v in x if v < limit()]",
        "helper:limit": "def limit():\n    return LIMIT",
        "import:pd": None,
        "module:prep.other()": "def other():\n    return 1",
        "options": None,
    }


def test_sources_are_left_out_unless_asked_for():
    assert resolve_notebook(facts([SETUP, ASSET]), Project()).sources == {}


def test_expected_code_version():
    """The same on every supported Python: a change of it makes every stored value stale."""
    assert versions([SETUP, ASSET])[1] == "1:5c0fa6ab2b117faebf7cfe625de0130a"
