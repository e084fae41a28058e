"""Everything that `validate` reports: what it says, where, and which assets it blocks."""

import pytest

from tests.resolving import PARAMETERS, codes, define, found

OTHER = {"other.ipynb": ["%%asset far\n1"]}
A = "%%asset a\n1"

#: name: (cells, code, severity, cell, line, part of the message, blocked assets)
CASES = {
    "unknown option": (
        ["%%asset a --grp g\n1"],
        ("declaration", "error", 1, 1),
        "%%asset: there is no option --grp: did you mean --group?",
        ("a",),
    ),
    "%%asset below other lines": (
        ["# note\n%%asset a\n1"],
        ("misplaced-declaration", "error", 1, 2),
        "%%asset must be the first line of its cell",
        (),
    ),
    "another magic in the body": (
        ["%%asset a\n\n%%capture\n1"],
        ("inner-magic", "error", 1, 3),
        "the body of an asset can't start with %%capture: only %%time",
        ("a",),
    ),
    "syntax error in a body": (
        ["%%asset a\nx = 1\ny = (\n"],
        ("syntax-error", "error", 1, 3),
        "was never closed",
        ("a",),
    ),
    "syntax error in a plain cell": (["x = 1\ny = (\n", A], ("syntax-error", "error", 1, 2), "was never closed", ()),
    "no name": (["%%asset\nprint(1)"], ("no-name", "error", 1, 1), "write %%asset NAME", ()),
    "a last variable that can't be a name": (
        ["%%asset\nlist = 1"],
        ("no-name", "error", 1, 1),
        "asset can't be called 'list': it would hide the builtin",
        (),
    ),
    "no value": (
        ["%%asset a\nb = 1"],
        ("no-value", "error", 1, 1),
        "gives 'a' no value: assign the variable, or end with an expression",
        ("a",),
    ),
    "no body": (["%%asset a"], ("no-value", "error", 1, 1), "gives 'a' no value", ("a",)),
    "one of several without a value": (
        ["%%asset a b c\na = 1\n2"],
        ("no-value", "error", 1, 1),
        "the cell does not assign 'b', 'c'",
        ("a", "b", "c"),
    ),
    "a cell magic of a later version": (
        ["%%check a\n1"],
        ("not-available", "error", 1, 1),
        "%%check is not available in this version",
        (),
    ),
    "unknown name": (
        ["%%asset orders\n1", "%%asset a\nx = 1\nordrs"],
        ("unknown-name", "error", 2, 3),
        "nothing is called 'ordrs': did you mean 'orders'?",
        ("a",),
    ),
    "unknown name like a builtin": (
        ["%%asset a\nsorrted([])"],
        ("unknown-name", "error", 1, 2),
        "did you mean 'sorted'?",
        ("a",),
    ),
    "unknown name like nothing": (["%%asset a b\na = b = qqq"], ("unknown-name", "error", 1, 2), "'qqq'", ("a", "b")),
    "unknown name in a function of the body": (
        ["%%asset a\ndef f():\n    return qqq\nf()"],
        ("unknown-name", "error", 1, 3),
        "'qqq'",
        ("a",),
    ),
    "unknown name below a foreign star import": (
        ["from numpy import *", "%%asset a\narray([1])"],
        ("unknown-name", "warning", 2, 2),
        "'array' may come from a star import or %run that can't be followed",
        (),
    ),
    "unknown name below a foreign star import in the body": (
        ["%%asset a\nfrom numpy import *\na = array([1])"],
        ("unknown-name", "warning", 1, 3),
        "'array' may come from a star import",
        (),
    ),
    "unknown name below a foreign %run": (
        ["%run gone.py", "%%asset a\nhelper()"],
        ("unknown-name", "warning", 2, 2),
        "'helper' may come from a star import or %run",
        (),
    ),
    "unknown name in a plain cell": (
        ["%%asset orders\n1", "print(ordrs)"],
        ("unknown-name", "warning", 2, 1),
        "nothing is called 'ordrs': did you mean 'orders'?",
        (),
    ),
    "name of a setup cell below": (
        ["%%asset a\nlimit", "limit = 1"],
        ("bound-below", "error", 1, 2),
        "'limit' is bound below this cell, in cell 2: move that cell above",
        ("a",),
    ),
    "temporary of another asset": (
        ["%%asset x\nraw = x = 1", "%%asset a\nraw"],
        ("temporary", "error", 2, 2),
        "of asset 'x' (cell 1), invisible to other assets: declare it as an asset too (%%asset x raw)",
        ("a",),
    ),
    "import of another asset": (
        ["%%asset x\nimport os\nx = 1", "%%asset a\nos.name"],
        ("temporary", "error", 2, 2),
        "move what binds it into a cell without %%asset, above both",
        ("a",),
    ),
    "name of a view cell": (
        ["%%asset x\n1", "top = x", "%%asset a\ntop"],
        ("view-name", "error", 3, 2),
        "'top' is bound by cell 2, which shows assets: make it an asset (%%asset top)",
        ("a",),
    ),
    "own name": (
        ["%%asset a\na = a + 1"],
        ("own-name", "error", 1, 2),
        "'a' is read before the cell gives it a value: an asset can't read itself",
        ("a",),
    ),
    "unknown asset in --use": (
        ["%%asset orders\n1", "\n%%asset a --use ordrs\n1"],
        ("unknown-asset", "error", 2, 2),
        "--use: there is no asset 'ordrs': did you mean 'orders'?",
        ("a",),
    ),
    "a setup name in --deps": (
        ["x = 1", "%%asset a --deps x\n1"],
        ("unknown-asset", "error", 2, 1),
        "--deps: there is no asset 'x'",
        ("a",),
    ),
    "itself in --deps without a name": (
        ["%%asset --deps a\na = 1"],
        ("unknown-asset", "error", 1, 1),
        "--deps: an asset can't depend on itself ('a')",
        ("a",),
    ),
    "a setup function that reads an asset": (
        ["%%asset x\n1", "def f():\n    return x", "%%asset a\nf()"],
        ("asset-as-global", "error", 3, 2),
        "f() reads asset 'x' as a global (cell 2, line 2), which works for view cells only: pass it as an argument",
        ("a",),
    ),
    "a setup function that reads an asset of another notebook": (
        ["def f():\n    return far", "%%asset a\nf()"],
        ("asset-as-global", "error", 2, 2),
        "f() reads asset 'far' as a global",
        ("a",),
    ),
    "a function that calls such a function": (
        ["def f():\n    return far\ndef g():\n    return f()", "%%asset a\ng()"],
        ("asset-as-global", "error", 2, 1),
        "f() reads asset 'far' as a global",
        ("a",),
    ),
    "an asset called like a setup name": (
        ["a = 1", A],
        ("name-conflict", "error", 1, 1),
        "'a' is a name of a setup cell (cell 1, line 1) and an asset (cell 2): rename one of them",
        ("a",),
    ),
    "an asset called like a parameter": (
        [A, (PARAMETERS, "n = 1\na = 2")],
        ("name-conflict", "error", 2, 2),
        "'a' is a parameter (cell 2, line 2) and an asset (cell 1): rename one of them",
        ("a",),
    ),
    "a plain cell that gives an asset another value": (
        [A, "x = 1\na = a + x"],
        ("rebound-asset", "warning", 2, 2),
        "this cell gives asset 'a' (cell 1) another value, which assets never see: use another name",
        (),
    ),
    "a setup cell below that gives an asset another value": (
        [A, "a = 1"],
        ("rebound-asset", "warning", 2, 1),
        "this cell gives asset 'a' (cell 1) another value",
        (),
    ),
    "a parameter called like a builtin": (
        [(PARAMETERS, "n = 1\nmax = 2"), "%%asset a\nmax"],
        ("parameter-name", "error", 1, 2),
        "parameter can't be called 'max': it would hide the builtin of that name",
        ("a",),
    ),
    "a parameter that reads an asset": (
        [A, (PARAMETERS, "n = 1\nm = a")],
        ("parameter-reads-asset", "error", 2, 2),
        "the parameters cell reads asset 'a'",
        (),
    ),
    "parameters twice": (
        [(PARAMETERS, "n = 1"), (PARAMETERS, "m = 1")],
        ("second-parameters", "warning", 2, 1),
        "a cell above has the tag 'parameters' already",
        (),
    ),
    "a setup name and an asset of another notebook": (
        ["far = 1", "%%asset a\nfar"],
        ("ambiguous-name", "warning", 2, 2),
        "'far' is bound in cell 1 and also an asset (other.ipynb, cell 1): the first counts",
        (),
    ),
    "an asset and a resource": (
        ["\n%%asset warehouse\n1", "%%asset a\nwarehouse"],
        ("ambiguous-name", "warning", 1, 2),
        "'warehouse' is an asset (cell 1) and also a resource: the first counts; rename one of them",
        (),
    ),
    "a setup name and a resource": (
        ["warehouse = 1", "%%asset a\nwarehouse"],
        ("ambiguous-name", "warning", 2, 2),
        "'warehouse' is bound in cell 1 and also a resource: the first counts",
        (),
    ),
    "a function of a view cell that reads an asset": (
        ["%%asset x\n1", "def f():\n    return x\nf()", "%%asset a\nf()"],
        ("view-name", "error", 3, 2),
        "f() of cell 2 reads an asset as a global, which works for view cells only: pass it as an argument",
        ("a",),
    ),
    "files outside of the root": (
        ["%%asset a --deps file:../x/*.csv\n1"],
        ("outside-file", "error", 1, 1),
        "--deps file:../x/*.csv is outside of the project: only files below its root are watched",
        ("a",),
    ),
    "an asset that is declared below": (
        ["%%asset a\nx = 1\nb", "%%asset b\n1"],
        ("declared-below", "warning", 1, 3),
        "asset 'b' is declared below, in cell 2: Run All would fail here",
        (),
    ),
    "an asset below in --deps": (
        ["%%asset a --deps b\n1", "%%asset b\n1"],
        ("declared-below", "warning", 1, 1),
        "asset 'b' is declared below",
        (),
    ),
    "a body that changes a setup object": (
        ["cache = []", "%%asset a\nx = 1\ncache.append(x)\na = 1"],
        ("mutated-setup-object", "warning", 2, 3),
        "the body changes 'cache' of cell 1, an object that other cells share: work on a copy",
        (),
    ),
    "a random generator of several assets": (
        ["import numpy as np\nrng = np.random.default_rng(1)", "%%asset a\nrng.normal()", "%%asset b\nrng.normal()"],
        ("shared-generator", "warning", 1, 2),
        "assets a, b draw from one random generator 'rng'",
        (),
    ),
    "a random generator behind a function": (
        ["import random\nr = random.Random(1)\ndef f(): return r.random()", "%%asset a\nf()", "%%asset b\nf()"],
        ("shared-generator", "warning", 1, 2),
        "assets a, b draw from one random generator 'r'",
        (),
    ),
    "twice in one notebook": (
        [A, "x = 1", A],
        ("duplicate-asset", "error", 3, 1),
        "asset 'a' is declared in nb.ipynb, cell 1, and again in nb.ipynb, cell 3: rename one of them",
        ("a",),
    ),
}


@pytest.mark.parametrize(("cells", "what", "message", "assets"), CASES.values(), ids=CASES)
def test_what_is_wrong_is_said_with_its_place(cells, what, message, assets):
    definitions = define(*cells, others=OTHER, resources=["warehouse"])
    assert len(definitions.diagnostics) == 1, definitions.diagnostics
    diagnostic = found(definitions, what[0])
    assert (diagnostic.code, diagnostic.severity, diagnostic.cell, diagnostic.line) == what
    assert message in diagnostic.message
    assert diagnostic.assets == assets
    assert (diagnostic.notebook, diagnostic.cell_id) == ("nb.ipynb", f"id-{what[2] - 1}")


#: Cells in which nothing is wrong.
FINE = {
    "a name that is read on a path that binds it": ["%%asset a\nif 0:\n    x = 1\nx"],
    "own name on some path": ["%%asset a\nfor i in [1]:\n    a = 1\na"],
    "a function that reads an asset, used by a view cell": [A, "def f():\n    return a", "f()"],
    "a function that takes the asset": [A, "def f(a):\n    return a", "%%asset b\nf(a)"],
    "a body that changes its own object": ["cache = []", "%%asset a\ncache = []\ncache.append(1)\na = cache"],
    "a body that changes its input": ["%%asset x\n[]", "%%asset a\nx.append(1)\na = x"],
    "a body that counts up a number": [(PARAMETERS, "n = 1"), "%%asset a\nn += 1\na = n"],
    "a body that seeds a module": ["import numpy as np", "%%asset a\nnp.random.seed(1)\na = 1"],
    "a random generator of one asset": ["import random\nr = random.Random(1)", "%%asset a\nr.random()", "%%asset b\n1"],
    "a generator in each asset": [
        "import random\ndef make(n): return random.Random(n)",
        "%%asset a\nmake(1)",
        "%%asset b\nmake(2)",
    ],
    "a name bound below in a plain cell": ["def f(): return x", "x = 1", "%%asset a\nf(); x"],
    "skipped cells": [("nbpipe:skip", "%%asset a --grp\n("), ("skip-execution", "x = (")],
    "the partition in a plain cell": ["partition"],
    "names below %pylab": ["%pylab inline", "array([1])"],
    "several values on all paths": ["%%asset a b\nif 1:\n    a = b = 1\nelse:\n    a, b = 1, 2"],
    "a star import may bind the asset": ["%%asset a\nfrom prep import *"],
    "a plain cell below a broken one": [A, "import os"],
    "the usage": ["%%asset --help"],
}


@pytest.mark.parametrize("cells", FINE.values(), ids=FINE)
def test_nothing_is_wrong(cells):
    assert define(*cells).diagnostics == ()


def test_a_duplicate_in_two_notebooks_names_both_and_blocks_only_itself():
    definitions = define(A, "%%asset b\n1", others={"other.ipynb": ["x = 1", "%%asset a\n2"]})
    diagnostic = found(definitions, "duplicate-asset")
    assert diagnostic.message == (
        "asset 'a' is declared in nb.ipynb, cell 1, and again in other.ipynb, cell 2: rename one of them"
    )
    assert (diagnostic.notebook, diagnostic.cell, diagnostic.line) == ("other.ipynb", 2, 1)
    assert definitions.blocked("a") is diagnostic
    assert definitions.blocked("b") is None
    assert definitions.assets["a"].cell.notebook == "nb.ipynb"


@pytest.mark.parametrize(
    ("copy", "hint"),
    [
        ("nb-Copy1.ipynb", "nb-Copy1.ipynb looks like a copy of nb.ipynb: move it out of the project"),
        ("nb (1).ipynb", "nb (1).ipynb looks like a copy of nb.ipynb"),
        ("Copy of nb.ipynb", "Copy of nb.ipynb looks like a copy of nb.ipynb"),
        ("old.ipynb", "nb.ipynb and old.ipynb look like copies of each other"),
    ],
)
def test_a_copied_notebook_is_recognized(copy, hint):
    definitions = define(A, "x = 1", "y = 2", others={copy: [A, "x = 1", "y = 3"]})
    assert hint in found(definitions, "duplicate-asset").message


def test_a_broken_cell_above_is_named_as_a_possible_source():
    definitions = define("x = (", "%%asset a\nqqq")
    assert found(definitions, "unknown-name").message == (
        "nothing is called 'qqq'; cell 1 might bind it, but can't be read"
    )


def test_names_of_plain_cells_are_not_judged_below_a_broken_cell():
    assert codes(define("x = (", "print(qqq)")) == ["syntax-error"]


def test_a_conflict_is_reported_once_per_notebook():
    definitions = define("far = 1", "%%asset a\nfar", "%%asset b\nfar", others=OTHER)
    assert codes(definitions) == ["ambiguous-name"]


def test_diagnostics_come_in_the_order_of_the_project():
    definitions = define("%%asset b\nqqq", "%%asset a\nrrr\nqqq", others={"a.ipynb": ["%%asset c\nsss"]})
    assert [(d.notebook, d.cell, d.line) for d in definitions.diagnostics] == [
        ("a.ipynb", 1, 2),
        ("nb.ipynb", 1, 2),
        ("nb.ipynb", 2, 2),
        ("nb.ipynb", 2, 3),
    ]
