"""What the names mean that an asset reads, within one notebook and across several."""

import msgspec
import pytest

from nbpipe.core.reading.cells import CellText
from nbpipe.core.reading.notebooks import NotebookFacts, cell_facts, relocate
from nbpipe.core.resolving.resolution import OutsideNames, Project, asset_places, resolve_notebook
from tests.resolving import PARAMETERS, cell, codes, define, facts, kinds, transform

OTHER = {"other.ipynb": ["%%asset far\n1", "%%asset both\n1"]}

#: name: (cells; the last asset counts, upstream, setup names, parameters, resources)
CASES = {
    "nothing": (["%%asset a\n1"], (), (), (), ()),
    "what nbpipe binds": (["%%asset a\ncontext"], (), (), (), ()),
    "what nbpipe binds for partitions": (
        ["%%asset a --partitions daily:2024-01-01\n[partition, context]"],
        (),
        (),
        (),
        (),
    ),
    "names of Python and IPython": (["%%asset a\ndisplay(len([]))\nget_ipython()"], (), (), (), ()),
    "an asset of the same notebook": (["%%asset x\n1", "%%asset a\nx"], ("x",), (), (), ()),
    "an asset of another notebook": (["%%asset a\nfar"], ("far",), (), (), ()),
    "a setup name": (["x = 1", "%%asset a\nx"], (), ("x",), (), ()),
    "a parameter": ([(PARAMETERS, "n = 1"), "%%asset a\nn"], (), ("n",), ("n",), ()),
    "a parameter through a constant": (
        [(PARAMETERS, "n = 1"), "m = n * 2", "%%asset a\nm"],
        (),
        ("m", "n"),
        ("n",),
        (),
    ),
    "a parameter through a function and a constant": (
        [(PARAMETERS, "n = 1"), "m = n * 2\ndef f():\n    return g()\ndef g():\n    return m", "%%asset a\nf()"],
        (),
        ("f", "g", "m", "n"),
        ("n",),
        (),
    ),
    "a parameter through another one": (
        [(PARAMETERS, "n = 1\nm = n"), "%%asset a\nm"],
        (),
        ("m", "n"),
        ("m", "n"),
        (),
    ),
    "a parameter that a setup cell changes": (
        [(PARAMETERS, "n = 1"), "n = n + k\nk = 1", "%%asset a\nn"],
        (),
        ("k", "n"),
        ("n",),
        (),
    ),
    "a parameter through a change of an object": (
        [(PARAMETERS, "n = 1"), "table = {}\ntable['n'] = n", "%%asset a\ntable"],
        (),
        ("n", "table"),
        ("n",),
        (),
    ),
    "what the text of a query reads": (
        [(PARAMETERS, "n = 1"), "low = 2", "%%asset a\nfar.query('x < @n and x > @low and y != @both and z != @none')"],
        ("both", "far"),
        ("low", "n"),
        ("n",),
        (),
    ),
    "a resource": (["%%asset a\nwarehouse.query()"], (), (), (), ("warehouse",)),
    "a resource that a setup function uses": (
        ["def load():\n    return warehouse", "%%asset a\nload()"],
        (),
        ("load",),
        (),
        ("warehouse",),
    ),
    "a setup name before an asset of another notebook": (["both = 1", "%%asset a\nboth"], (), ("both",), (), ()),
    "an asset of another notebook before a setup cell below": (["%%asset a\nboth", "both = 1"], ("both",), (), (), ()),
    "an asset of another notebook before a temporary of this one": (
        ["%%asset x\nboth = x = 1", "%%asset a\nboth"],
        ("both",),
        (),
        (),
        (),
    ),
    "an asset of this notebook before a plain cell that binds its name": (
        ["%%asset x\n1", "x = 2", "%%asset a\nx"],
        ("x",),
        (),
        (),
        (),
    ),
    "a setup name that hides a builtin": (["sum = 1", "%%asset a\nsum"], (), ("sum",), (), ()),
    "a name that the body binds": (["x = 1", "%%asset a\nx = 2\nx"], (), (), (), ()),
    "a name that the body binds on some path": (
        ["%%asset x\n1", "%%asset a\nif 0:\n    x = 2\nx"],
        ("x",),
        (),
        (),
        (),
    ),
    "a name that a function of the body reads": (["%%asset a\ndef f():\n    return far\nf()"], ("far",), (), (), ()),
    "a variable of a comprehension": (["%%asset a\n[far for far in ()]"], (), (), (), ()),
    "an attribute and a keyword": (["%%asset a\ndict(far=1).both"], (), (), (), ()),
    "names in a shell line": (["%%asset a\nx = !echo {far}\nx"], ("far",), (), (), ()),
    "names below %%time": (["%%asset a\n%%time\nfar"], ("far",), (), (), ()),
    "names in awaited code": (["%%asset a\nawait far"], ("far",), (), (), ()),
    "--use": (["%%asset a --use far\n1"], ("far",), (), (), ()),
    "a star import of the project": (["from prep import *", "%%asset a\nclean"], (), ("clean",), (), ()),
    "a star import of the project in the body": (["%%asset a\nfrom prep import *\na = clean"], (), (), (), ()),
    "%run of the project": (["%run prep.py", "%%asset a\nclean"], (), ("clean",), (), ()),
    "a function of a view cell": (["%%asset x\n1", "def f(): pass\nx", "%%asset a\nf"], (), ("f",), (), ()),
    "an import of a view cell": (["%%asset x\n1", "import os\nx", "%%asset a\nos.name"], (), ("os",), (), ()),
    "a setup cell between": (["%%asset x\n1", "def f(v): return v", "%%asset a\nf(x)"], ("x",), ("f",), (), ()),
    "a skipped setup cell": ([("skip-execution", "far = 1"), "%%asset a\nfar"], ("far",), (), (), ()),
}


@pytest.mark.parametrize(("cells", "upstream", "setup", "parameters", "resources"), CASES.values(), ids=CASES)
def test_what_the_names_of_a_body_mean(cells, upstream, setup, parameters, resources):
    modules = {"prep": "def clean(): pass", "prep.py": "def clean(): pass"}
    definitions = define(*cells, others=OTHER, resources=["warehouse"], modules=modules)
    spec = definitions.assets["a"]
    assert spec.inputs == spec.upstream == upstream
    assert (spec.setup_names, spec.parameters, spec.resources) == (setup, parameters, resources)
    assert not [d for d in definitions.diagnostics if d.severity == "error"]


def test_order_only_upstream_is_not_an_input():
    spec = define("%%asset x\n1", "%%asset y\n1", "%%asset a --deps x y far\ny", others=OTHER).assets["a"]
    assert spec.upstream == ("far", "x", "y")
    assert spec.inputs == ("y",)


def test_assets_of_one_cell_share_everything_but_their_key():
    specs = define("%%asset x\n1", "%%asset train test\ntrain = test = x").assets
    assert specs["train"].siblings == specs["test"].siblings == ("train", "test")
    assert msgspec.structs.replace(specs["train"], key="test") == specs["test"]


def test_a_cell_without_a_name_declares_the_last_variable_it_assigns():
    assert list(define("%%asset\nraw = [1]\nclean = raw\nprint(clean)").assets) == ["clean"]


def test_a_value_may_come_from_the_last_expression_or_on_some_path():
    assert codes(define("%%asset a\n1 + 1;", "%%asset b\nif a:\n    b = 1\nelse:\n    b = 2")) == []


@pytest.mark.parametrize(
    ("cells", "files"),
    [
        (['%%asset a\nopen("data/x.csv")'], ("data/x.csv",)),
        (['PATH = "data/x.csv"', "%%asset a\nopen(PATH)"], ("data/x.csv",)),
        ([(PARAMETERS, 'path = "data/x.csv"'), "%%asset a\nopen(path)"], ("data/x.csv",)),
        (['def load():\n    return open("data/x.csv")', "%%asset a\nload()"], ("data/x.csv",)),
        (['PATH = "data/x.csv"', "%%asset a\n1"], ()),
        (['%%asset a\nopen("data/y.csv")'], ()),
        (['%%asset a\nopen("data/x.csv\\n")'], ()),
        (["%%asset a --deps file:data/*.csv\n1"], ("glob:data/*.csv",)),
        (
            ['%%asset a --deps "file:my data/*.csv" file:x.txt\nopen("data/x.csv")'],
            ("data/x.csv", "glob:my data/*.csv", "glob:x.txt"),
        ),
    ],
)
def test_files_are_inputs(cells, files):
    def find(notebook, literal):
        return literal if notebook == "nb.ipynb" and literal == "data/x.csv" else None

    assert define(*cells, files=find).assets["a"].files == files


def test_patterns_start_from_the_folder_of_the_notebook():
    others = {"sub/deep/b.ipynb": ["%%asset b --deps file:../data/*.csv file:./x/*.txt\n1"]}
    assert define(others=others).assets["b"].files == ("glob:sub/data/*.csv", "glob:sub/deep/x/*.txt")


def test_a_literal_is_looked_up_once_per_notebook():
    asked = []
    define(
        '%%asset a\nopen("x")',
        '%%asset b\nopen("x")',
        files=lambda notebook, literal: asked.append((notebook, literal)),
    )
    assert asked == [("nb.ipynb", "x")]


@pytest.mark.parametrize(
    ("source", "above", "description"),
    [
        ('%%asset a --description "By option."\n# By comment.\n1', "By text.", "By option."),
        ("%%asset a\n# By comment,\n# in two lines.\n1  # not this", "By text.", "By comment,\nin two lines."),
        ("%%asset a\n%%time\n# By comment.\n1", "", "By comment."),
        ("%%asset a\n1\n# too late", "By text.\n", "By text."),
        ("%%asset a\n1", "", ""),
    ],
)
def test_a_description_comes_from_the_option_the_comment_or_the_text_above(source, above, description):
    resolved = resolve_notebook(facts([source], above={0: above}), Project())
    assert resolved.assets[0].description == description


def test_cells_know_their_assets_and_hash_their_exact_text():
    definitions = define("%%asset a\n1", "%%asset a2 \n1", "%%asset b\n 2")
    assert definitions.notebooks["nb.ipynb"].assets == ("a", "a2", "b")
    hashes = {cell(definitions, number).source_hash for number in (1, 2, 3)}
    assert len(hashes) == 3


def test_definitions_are_sorted_and_their_hash_follows_every_change():
    one = define("%%asset b\n1", "%%asset a\n1", others=OTHER)
    assert list(one.assets) == ["a", "b", "both", "far"]
    assert list(one.notebooks) == ["nb.ipynb", "other.ipynb"]
    assert one.hash == define("%%asset b\n1", "%%asset a\n1", others=OTHER).hash
    assert one.hash != define("%%asset b\n1", "%%asset a\n2", others=OTHER).hash


def test_a_cycle_leaves_the_definitions_usable():
    definitions = define("%%asset a\nb", "%%asset b\na", "%%asset c\n1")
    assert {key: spec.upstream for key, spec in definitions.assets.items()} == {"a": ("b",), "b": ("a",), "c": ()}


def test_broken_cells_leave_the_rest_of_the_graph():
    definitions = define("x = (", "%%asset a --grp g\n1", "%%asset b\n(", "%%asset c\n[a, b]")
    assert kinds(definitions) == ["broken", "broken", "broken", "asset"]
    assert definitions.assets["c"].upstream == ("a", "b")
    assert definitions.blocked("a").code == "declaration"
    assert definitions.blocked("b").code == "syntax-error"
    assert definitions.blocked("c") is None


def test_a_broken_body_keeps_what_stands_above_the_error():
    assert define("%%asset a\nfar\nx = (", others=OTHER).assets["a"].upstream == ("far",)


def test_a_long_chain_of_setup_names_and_assets_resolves():
    helpers = "\n".join(f"def f{n}():\n    return f{n + 1}()" for n in range(3000)) + "\ndef f3000(): return 1"
    chain = [f"%%asset a{n}\na{n - 1}" if n else "%%asset a0\nf0()" for n in range(3000)]
    definitions = define(helpers, *chain)
    assert len(definitions.assets["a0"].setup_names) == 3001
    assert definitions.assets["a2999"].upstream == ("a2998",)


def test_one_notebook_resolves_against_the_places_of_the_others():
    mine, other = facts(["%%asset a\n[b, gone]"]), facts(["%%asset b\n1"], "other.ipynb")
    places = asset_places({"nb.ipynb": facts(["%%asset gone\n1"]), "other.ipynb": other})
    resolved = resolve_notebook(mine, Project(outside=OutsideNames(assets=places)))
    assert resolved.assets[0].upstream == ("b",)  # `gone` was in the saved notebook, and is not here
    assert [d.code for d in resolved.diagnostics] == ["unknown-name"]


def test_facts_survive_the_index():
    written = facts([(PARAMETERS, "n = 1"), "%%asset a --tag k=v --retries 2\nn", "%%asset b --grp\n("])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(written), type=NotebookFacts) == written


def test_facts_of_an_equal_source_can_be_moved():
    text = facts(["%%asset a\n1"]).cells[0]
    moved = CellText(index=7, cell_id="x", source=text.source, tags=("t",), above="words")
    assert relocate(text, moved) == cell_facts(moved, transform=transform)
