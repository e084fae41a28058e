"""Which kind each cell is, and whose names assets below it see."""

import pytest

from tests.resolving import PARAMETERS, cell, define, kinds

ORDERS = "%%asset orders\nraw = [1]\norders = raw"

#: name: (cells, kinds)
CASES = {
    "an empty cell": (["", "  \n"], ["other", "other"]),
    "only a comment": (["# nothing"], ["other"]),
    "imports": (["import os"], ["setup"]),
    "a line magic": (["%matplotlib inline"], ["setup"]),
    "a shell line": (["!ls"], ["setup"]),
    "another language": (["%%bash\nls"], ["setup"]),
    "a measured cell": (["%%time\nx = 1"], ["setup"]),
    "assets, of one name, several, none": (
        ["%%asset a\n1", "%%asset b c\nb = c = 1", "%%asset\nd = 1"],
        ["asset", "asset", "asset"],
    ),
    "the usage of %%asset": (["%%asset --help"], ["other"]),
    "parameters": ([(PARAMETERS, "n = 1")], ["parameters"]),
    "parameters a second time": ([(PARAMETERS, "n = 1"), (PARAMETERS, "m = 1")], ["parameters", "setup"]),
    "a cell that reads an asset": ([ORDERS, "print(orders)"], ["asset", "view"]),
    "a cell that reads an asset declared below": (["print(orders)", ORDERS], ["view", "asset"]),
    "a cell that reads a temporary": ([ORDERS, "print(raw)"], ["asset", "view"]),
    "a cell that reads a name of a view cell": (
        [ORDERS, "fig = str(orders)", "fig.upper()"],
        ["asset", "view", "view"],
    ),
    "a name of a view cell, bound anew": (
        [ORDERS, "x = len(orders)", "x = 1", "y = x"],
        ["asset", "view", "setup", "setup"],
    ),
    "a name of a view cell that stands below": (
        [ORDERS, "print(fig)", "fig = str(orders)"],
        ["asset", "setup", "view"],
    ),
    "a name that the cell binds itself": ([ORDERS, "orders = 1\nprint(orders)"], ["asset", "setup"]),
    "a name that the cell reads before it binds it": ([ORDERS, "orders = orders[:1]"], ["asset", "view"]),
    "a setup name hides a temporary": (["raw = 0", ORDERS, "print(raw)"], ["setup", "asset", "setup"]),
    "a function that reads an asset": ([ORDERS, "def show():\n    print(orders)"], ["asset", "setup"]),
    "a call of such a function": (
        [ORDERS, "def show():\n    print(orders)", "show()"],
        ["asset", "setup", "view"],
    ),
    "a call in the same cell": ([ORDERS, "def show():\n    print(orders)\nshow()"], ["asset", "view"]),
    "a function that calls such a function": (
        [ORDERS, "def outer():\n    show()\ndef show():\n    print(orders)", "outer()"],
        ["asset", "setup", "view"],
    ),
    "a recursive function": ([ORDERS, "def show(n):\n    print(orders) or show(n - 1)"], ["asset", "setup"]),
    "a function with a default that reads an asset": ([ORDERS, "def show(x=orders):\n    print(x)"], ["asset", "view"]),
    "a method that reads an asset": ([ORDERS, "class A:\n    def f(self):\n        return orders"], ["asset", "setup"]),
    "a class that reads an asset": ([ORDERS, "class A:\n    x = orders"], ["asset", "view"]),
    "a lambda that reads an asset": ([ORDERS, "f = lambda: orders"], ["asset", "view"]),
    "a comprehension over an asset": ([ORDERS, "x = [i for i in orders]"], ["asset", "view"]),
    "a comprehension with a variable of that name": ([ORDERS, "x = [orders for orders in ()]"], ["asset", "setup"]),
    "an attribute of that name": ([ORDERS, "import os\nos.orders = 1"], ["asset", "setup"]),
    "an asset in an f-string": ([ORDERS, "f'{orders}'"], ["asset", "view"]),
    "a shell line with an asset": ([ORDERS, "!echo {orders}"], ["asset", "view"]),
    "a measured view": ([ORDERS, "%time print(orders)"], ["asset", "view"]),
    "a view cell with a cell magic": ([ORDERS, "%%capture out\nprint(orders)"], ["asset", "view"]),
    "a conditional binding": ([ORDERS, "if 0:\n    orders = 1\nprint(orders)"], ["asset", "view"]),
    "skipped by the tags of papermill and ours": (
        [("skip-execution", "print(1)"), ("nbpipe:skip", ORDERS), "print(orders)"],
        ["skipped", "skipped", "setup"],
    ),
    "foreign tags": ([("remove-input", "x = 1")], ["setup"]),
    "a syntax error": (["x = ("], ["broken"]),
    "a syntax error in an asset": (["%%asset a\nx = ("], ["broken"]),
    "a wrong declaration": (["%%asset a --grp x\n1"], ["broken"]),
    "an asset without a value": (["%%asset a\nb = 1"], ["broken"]),
    "declared by a later version": (["%%op clean\nx = 1", "%job nightly orders\nx = 1"], ["other", "setup"]),
    "a %%asset in a text": (['text = """\n%%asset a\n"""'], ["setup"]),
    "blank lines above": (["\n\n%%asset a\n1"], ["asset"]),
}


@pytest.mark.parametrize(("cells", "expected"), CASES.values(), ids=CASES)
def test_the_kind_of_a_cell(cells, expected):
    assert kinds(define(*cells)) == expected


def test_an_asset_of_another_notebook_makes_a_view_cell():
    definitions = define("print(orders)", "orders = 1", "print(orders)", others={"b.ipynb": [ORDERS]})
    assert kinds(definitions) == ["view", "setup", "setup"]
    assert cell(definitions, 1).shows == ("orders",)


SHOWS = {
    "an asset": (["%%asset a\n1", "a"], ("a",)),
    "a temporary": (["%%asset a b\nt = a = b = 1", "t"], ("a", "b")),
    "names of view cells": (["%%asset a\n1", "x = a", "y = x", "y"], ("a",)),
    "a function": (["%%asset a\n1", "def f():\n    return a", "f()"], ("a",)),
    "several": (["%%asset a\n1", "%%asset b\n1", "x = b", "print(a, x)"], ("a", "b")),
    "of another notebook": (["other"], ("other",)),
}


@pytest.mark.parametrize(("cells", "shows"), SHOWS.values(), ids=SHOWS)
def test_what_a_view_cell_shows(cells, shows):
    assert cell(define(*cells, others={"b.ipynb": ["%%asset other\n1"]}), len(cells)).shows == shows


BINDS = {
    "a setup cell": ("import os, sys as s\nx = y = 1\ndef f(): pass", ("os", "s", "x", "y", "f")),
    "the lasting part of a view cell": ("import os\ndef f(): pass\nclass C: pass\nx = a", ("os", "f", "C")),
    "a function of a view cell that reads an asset": ("def f(): return a\nf()", ()),
    "a function that needs a name of its view cell": ("x = a\ndef f(): return x\ndef g(): return f()", ()),
    "a name bound both ways": ("x = a\nimport x", ()),
    "a foreign star import": ("from numpy import *", ("*",)),
    "a star import of the project": ("from prep import *", ("clean", "LIMIT")),
    "%run of the project": ("%run prep.py", ("clean", "LIMIT", "_hidden")),
    "%run of something else": ("%run other.py", ("*",)),
}


@pytest.mark.parametrize(("source", "binds"), BINDS.values(), ids=BINDS)
def test_what_assets_below_may_see(source, binds):
    prep = "def clean(): pass\nLIMIT = 1\n_hidden = 2"
    definitions = define("%%asset a\n1", source, modules={"prep": prep, "prep.py": prep})
    assert cell(definitions, 2).binds == binds


def test_parameters_are_the_plain_assignments_of_their_cell():
    source = "n: int = 10  # how many\nstart = date(2024,  1, 1)\na = b = 'x'\nc, d = 1, 2\nn = 11"
    definitions = define("from datetime import date", (PARAMETERS, source))
    parameters = definitions.notebooks["nb.ipynb"].parameters
    assert [(p.name, p.default, p.annotation, p.line) for p in parameters] == [
        ("n", "11", None, 5),
        ("start", "date(2024,  1, 1)", None, 2),
        ("a", "'x'", None, 3),
        ("b", "'x'", None, 3),
    ]


def test_parameters_beside_ipython_syntax_are_those_with_a_literal():
    definitions = define((PARAMETERS, "%pwd\nn = 10\nm = f()"))
    assert [(p.name, p.default) for p in definitions.notebooks["nb.ipynb"].parameters] == [("n", "10")]
