"""Assets with partitions: the names of their bodies, and whether links between them fit."""

import subprocess
import sys

import pytest

from nbpipe.core.graph import AssetGraph
from tests.resolving import codes, define, found

DAILY = "--partitions daily:2024-01-01"
MONTHLY = "--partitions monthly:2024-01-01"
LISTED = "--partitions static:x,y"
TWO = "--partitions date=daily:2024-01-01 x region=static:eu,us"
MINE = f"%%asset a {DAILY} --map a=offset(-1)"

#: name: (cells, asset, upstream, inputs)
OWN = {
    "reads the one before": ([f"{MINE}\na = (a or 0) + 1"], (), ("a",)),
    "on some path": ([f"{MINE}\nif 0:\n    a = 1\na = [a]"], (), ("a",)),
    "in a function": ([f"{MINE}\ndef f():\n    return a\nf()"], (), ("a",)),
    "without a name": ([f"%%asset {DAILY} --map a=offset(-1)\na = a"], (), ("a",)),
    "several before": ([f"%%asset a {DAILY} --map a=offset(-7,-1)\na = len(a)"], (), ("a",)),
    "in one of two dimensions": ([f"%%asset a {TWO} --map a=date=offset(-1)\na = [a]"], (), ("a",)),
    "beside others": (["%%asset b\n1", f"{MINE} --deps c\na = [a, b]", "%%asset c\n1"], ("b", "c"), ("a", "b")),
    "never: it assigns the name first": (["%%asset a\na = 1\na = a + 1"], (), ()),
    "never, though it has partitions": ([f"%%asset a {DAILY}\na = 1\na = a + 1"], (), ()),
}


@pytest.mark.parametrize(("cells", "upstream", "inputs"), OWN.values(), ids=OWN)
def test_what_an_asset_reads_of_itself_is_an_input_and_no_upstream(cells, upstream, inputs):
    definitions = define(*cells)
    spec = definitions.assets["a"]
    assert (spec.upstream, spec.inputs) == (upstream, inputs)
    assert not [each for each in definitions.diagnostics if each.severity == "error"]
    assert not AssetGraph.of(definitions).cyclic


#: name: (options, body, may one execution take several partitions?)
RANGED = {
    "the key": (DAILY, "partition.key", False),
    "the keys": (DAILY, "partition.keys", True),
    "the keys in a function": (DAILY, "def f():\n    return partition.keys\na = f()", True),
    "the keys in a comprehension": (DAILY, "{k: 1 for k in partition.keys}", True),
    "the keys of something else": (DAILY, "import os as partition\na = partition.keys", False),
    "nothing": (DAILY, "1", False),
    "a backfill of one run": (f"{DAILY} --backfill single", "1", False),
    "a backfill by the week": (f"{DAILY} --backfill 7", "partition.key", False),
    "the keys by the week": (f"{DAILY} --backfill 7", "partition.keys", True),
    "a backfill one by one": (f"{DAILY} --backfill 1", "1", False),
    "the keys one by one": (f"{DAILY} --backfill 1", "partition.keys", True),
    "its own earlier partitions": (f"{DAILY} --backfill 7 --map a=offset(-1)", "a = [a, partition.keys]", False),
    "no partitions": ("", "1", False),
}


@pytest.mark.parametrize(("options", "body", "ranged"), RANGED.values(), ids=RANGED)
def test_one_execution_takes_several_partitions_if_its_body_reads_their_keys(options, body, ranged):
    assert define(f"%%asset a {options}\n{body}").assets["a"].ranged is ranged


def test_assets_of_one_cell_share_their_partitions():
    specs = define("%%asset x\n1", f"%%asset train test {TWO} --map x=all\ntrain = test = [x, partition.keys]").assets
    assert {specs[key].options.partitions for key in ("train", "test")} == {TWO.removeprefix("--partitions ")}
    assert specs["train"].ranged
    assert specs["test"].ranged


#: name: (cells, (code, cell, line), part of the message, blocked assets)
WRONG = {
    "a malformed set": (
        ["x = 1", "\n%%asset a b --partitions dialy:2024-01-01\na = b = partition.key"],
        ("declaration", 2, 2),
        "%%asset: --partitions: column 1: there is no kind of partitions 'dialy': did you mean 'daily'?\n  dialy:",
        ("a", "b"),
    ),
    "a malformed mapping": (
        ["%%asset b\n1", "%%asset a --map b=offset(x)\nb"],
        ("declaration", 2, 1),
        "%%asset: --map: column 10: an offset is a whole number: offset(-1), offset(-6,0)\n  b=offset(x)\n",
        ("a",),
    ),
    "partition without partitions": (
        ["%%asset a b\nx = 1\na = b = partition.key"],
        ("no-partitions", 1, 3),
        "asset 'a' has no partitions: add --partitions SPEC",
        ("a", "b"),
    ),
    "a variable called partition": (
        ["partition = 3", "%%asset a\npartition"],
        ("no-partitions", 2, 2),
        "if 'partition' is a variable of yours, rename it",
        ("a",),
    ),
    "its own name": (
        [f"%%asset a {DAILY}\na = a + 1"],
        ("own-name", 1, 2),
        "use another name for what goes in, or read the partition before by --map a=offset(-1)",
        ("a",),
    ),
    "its own name without partitions": (
        ["%%asset a --map a=offset(-1)\na = a + 1"],
        ("own-name", 1, 2),
        "an asset can't read itself; only one with partitions can read its earlier ones, so add --partitions SPEC",
        ("a",),
    ),
    "its own name on some path without partitions": (
        ["%%asset a --map a=offset(-1)\nif 0:\n    a = 1\na = [a]"],
        ("own-name", 1, 4),
        "only one with partitions",
        ("a",),
    ),
    "its own name beside another asset": (
        [f"%%asset a b {DAILY} --map a=offset(-1)\nb = a = [a]"],
        ("own-name", 1, 2),
        "only one that is alone in its cell can read its earlier partitions, so split the cell",
        ("a", "b"),
    ),
    "its own name, assigned first": (
        [f"{MINE}\na = 1\na = a + 1"],
        ("mapping", 1, 1),
        "--map: 'a' does not read its earlier partition before it is assigned",
        ("a",),
    ),
    "itself": ([f"%%asset a {DAILY} --map a=identity\na = [a]"], ("mapping", 1, 1), "earlier partitions only", ("a",)),
    "a later one of its own": (
        [f"%%asset a {DAILY} --map a=offset(1)\na = [a]"],
        ("mapping", 1, 1),
        "a reads itself by offset(1): it can read earlier partitions only, write --map a=offset(-1)",
        ("a",),
    ),
    "a mapping of nothing": (
        ["%%asset orders\n1", "\n%%asset a --map ordrs=all\norders"],
        ("unknown-asset", 2, 2),
        "--map: there is no asset 'ordrs': did you mean 'orders'?",
        ("a",),
    ),
    "a mapping of what is not read": (
        [f"%%asset b {DAILY}\n1", "%%asset a --map b=all\n1"],
        ("mapping", 2, 1),
        "--map: 'a' does not read 'b': read it in the cell, or take --map out",
        ("a",),
    ),
    "a table of nothing": (
        ["%%asset orders\n1", "%%asset a --concat ordrs\norders"],
        ("unknown-asset", 2, 1),
        "--concat: there is no asset 'ordrs': did you mean 'orders'?",
        ("a",),
    ),
    "a table of what comes first only": (
        [f"%%asset b {DAILY}\n1", "%%asset a --deps b --concat b\n1"],
        ("mapping", 2, 1),
        "--concat: 'b' comes first but is not loaded: name it in --use instead of --deps",
        ("a",),
    ),
    "a table of an asset without partitions": (
        ["%%asset b\n1", "%%asset a --concat b\nb"],
        ("mapping", 2, 1),
        "--concat b: b has no partitions: take it out",
        ("a",),
    ),
    "a mapping where there are no partitions": (
        ["%%asset b\n1", "%%asset a --map b=latest\nb"],
        ("mapping", 2, 1),
        "--map b=latest: neither a nor b has partitions: take it out",
        ("a",),
    ),
    "different kinds": (
        [f"%%asset b {DAILY}\n1", "# x\n", f"\n%%asset a c {LISTED}\na = c = b"],
        ("mapping", 3, 2),
        "(static:x,y) doesn't fit: daily:2024-01-01 and static:x,y are of different kinds; write --map b=all, or",
        ("a", "c"),
    ),
    "different windows by their keys": (
        [f"%%asset b {DAILY}\n1", f"%%asset a {MONTHLY} --map b=identity\nb"],
        ("mapping", 2, 1),
        "identity needs the same windows on both sides; write --map b=window",
        ("a",),
    ),
    "an offset of an asset without partitions": (
        [f"%%asset b {DAILY}\n1", "%%asset a --map b=offset(-1)\nb"],
        ("mapping", 2, 1),
        "this asset (no partitions)",
        ("a",),
    ),
    "an unknown key": (
        [f"%%asset b {LISTED}\n1", "%%asset a --map b=keys(x,z)\nb"],
        ("mapping", 2, 1),
        "there is no partition 'z'",
        ("a",),
    ),
    "a key before the start": (
        [f"%%asset b {DAILY}\n1", "%%asset a --map b=keys(2023-12-31)\nb"],
        ("mapping", 2, 1),
        "the first one is 2024-01-01",
        ("a",),
    ),
    "an unknown dimension": (
        [f"%%asset b {TWO}\n1", "%%asset a --map b=regio=all\nb"],
        ("mapping", 2, 1),
        "did you mean 'region'?",
        ("a",),
    ),
    "no key in common": (
        ['%%asset b --partitions static:"a|b",c/d,é\n1', "%%asset a --partitions static:e,ü\nb"],
        ("mapping", 2, 1),
        'b (static:"a|b",c/d,é) and this asset (static:e,ü) doesn\'t fit: they have no key in common',
        ("a",),
    ),
    "what only comes first": (
        [f"%%asset b {DAILY}\n1", f"%%asset a {LISTED} --deps b\n1"],
        ("mapping", 2, 1),
        "are of different kinds; write --map b=all",
        ("a",),
    ),
}


@pytest.mark.parametrize(("cells", "place", "message", "assets"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_reported_with_its_place(cells, place, message, assets):
    definitions = define(*cells)
    (diagnostic,) = [each for each in definitions.diagnostics if each.severity == "error"]
    assert (diagnostic.code, diagnostic.cell, diagnostic.line) == place
    assert message in diagnostic.message
    assert diagnostic.assets == assets
    assert all(definitions.blocked(key) for key in assets)


#: name: cells
FINE = {
    "partition in a cell with partitions": [f"%%asset a {DAILY}\n[partition.key, partition.start]"],
    "a variable of the body called partition": ["%%asset a\npartition = 1\na = partition"],
    "the same windows": [f"%%asset b {DAILY}\n1", f"%%asset a {DAILY}\nb"],
    "windows of another grain": [f"%%asset b {DAILY}\n1", f"%%asset a {MONTHLY}\nb"],
    "another zone": [f"%%asset b {DAILY}\n1", f"%%asset a {DAILY}@Europe/Berlin\nb"],
    "one of two dimensions": [f"%%asset b {TWO}\n1", f"%%asset a {DAILY}\nb"],
    "partitions of an asset without": [f"%%asset b {DAILY}\n1", "%%asset a\nb"],
    "an asset without partitions": ["%%asset b\n1", f"%%asset a {DAILY}\nb"],
    "a mapping of an asset without partitions": [f"%%asset b {DAILY}\n1", "%%asset a --map b=latest --concat b\nb"],
    "a mapping of what comes first": [f"%%asset b {DAILY}\n1", f"%%asset a {LISTED} --deps b --map b=all\n1"],
    "a mapping of what is used": [f"%%asset b {DAILY}\n1", f"%%asset a {LISTED} --use b --map b=all\n1"],
    "keys that are not registered yet": [
        "%%asset b --partitions dynamic:customers\n1",
        "%%asset a --map b=keys(ana,bo)\nb",
        "%%asset c --partitions dynamic:customers\nb",
        "%%asset d --partitions dynamic:others\nb",
        "%%asset e --partitions static:ana\nb",
    ],
    "keys of any text": ['%%asset b --partitions static:"a|b",c/d,"New York",é\n1', '%%asset a --map b=keys("a|b")\nb'],
    "no partitions at all": ["%%asset b\n1", "%%asset a\nb"],
}


@pytest.mark.parametrize("cells", FINE.values(), ids=FINE)
def test_nothing_is_wrong(cells):
    assert define(*cells).diagnostics == ()


@pytest.mark.parametrize(
    ("up", "down", "rule", "told"),
    [
        ("daily:2024-01-05", "daily:2024-01-01", "", "partitions of a before 2024-01-05 find nothing"),
        ("daily:2024-01-05", "daily:2024-01-01", "offset(-1)", "partitions of a before 2024-01-06 find nothing"),
        ("daily:2024-01-05", "hourly:2024-01-04T20", "", "partitions of a before 2024-01-05T00 find nothing"),
        ("daily:2024-01-10", "weekly:2024-01-01", "", "partitions of a before 2024-01-08 find nothing"),
        ("d=daily:2024-01-05 x s=static:x", "daily:2024-01-01", "", "before 2024-01-05 find nothing"),
        ("daily:2024-02-05", "daily:2024-01-01..2024-01-31", "", "no partition of a finds any of it"),
        ("daily:2024-01-05", "weekly:2024-01-01", "", None),
        ("daily:2024-01-01", "daily:2024-01-05", "", None),
        ("daily:2024-01-01", "daily:2024-01-01", "offset(-1)", None),
        ("daily:2024-01-05", "daily:2024-01-01", "latest", None),
        ("daily:2024-01-05", "daily:2024-01-01", "all", None),
        ("daily:2024-01-05", "static:x,y", "all", None),
    ],
)
def test_an_upstream_that_begins_too_late_is_a_warning(up, down, rule, told):
    mapping = f" --map b={rule}" if rule else ""
    found = define(f"%%asset b --partitions {up}\n1", f"%%asset a --partitions {down}{mapping}\nb").diagnostics
    assert [(each.severity, each.code, each.cell, each.line, each.assets) for each in found] == (
        [("warning", "mapping", 2, 1, ())] if told else []
    )
    assert all(told in each.message for each in found)


def test_links_that_are_alike_are_each_warned_of_and_refused_by_none():
    def pair(up, down, begin):
        return f"%%asset {up} --partitions daily:{begin}\n1", f"%%asset {down} {DAILY} --map {up}=offset(-1)\n{up}"

    same = [*pair("a", "b", "2024-01-01"), *pair("c", "d", "2024-01-01")]
    assert define(f"%%asset s {DAILY} --map s=offset(-1)\ns = s", *same).diagnostics == ()
    later = define(*pair("a", "b", "2024-02-01"), *pair("c", "d", "2024-02-01")).diagnostics
    assert [(each.severity, each.cell) for each in later] == [("warning", 2), ("warning", 4)]


def test_links_between_notebooks_are_checked_where_they_are_read():
    definitions = define(f"%%asset a {LISTED}\nb", others={"other.ipynb": [f"%%asset b {DAILY}\n1"]})
    diagnostic = found(definitions, "mapping")
    assert (diagnostic.notebook, diagnostic.cell, diagnostic.cell_id) == ("nb.ipynb", 1, "id-0")
    assert "between b (daily:2024-01-01) and this asset (static:x,y)" in diagnostic.message


def test_links_of_an_asset_whose_declaration_is_wrong_are_not_judged():
    broken = "--partitions dialy:2024-01-01"
    definitions = define(f"%%asset b {broken}\n1", f"%%asset a {LISTED} --map b=keys(x) --concat b\nb")
    assert codes(definitions) == ["declaration"]
    assert codes(define(f"%%asset b {DAILY}\n1", f"%%asset a {broken} --map b=keys(x)\nb")) == ["declaration"]


def test_every_link_that_does_not_fit_is_reported():
    definitions = define(f"%%asset b {DAILY}\n1", f"%%asset c {DAILY}\n1", f"%%asset a {LISTED}\n[b, c]")
    assert codes(definitions) == ["mapping", "mapping"]
    assert len({each.message for each in definitions.diagnostics}) == 2


def test_a_long_set_is_cut_in_a_message():
    many = ",".join(f"key{number}" for number in range(1000))
    message = found(define(f"%%asset b --partitions static:{many}\n1", f"%%asset a {DAILY}\nb"), "mapping").message
    assert "..." in message
    assert len(message) < 600


_SCRIPT = """
import sys
from tests.resolving import define
define("%%asset x\\n1", "%%asset a --deps file:x --tag k=v\\nx")
print(sorted(name for name in sys.modules if name.startswith(("pyroaring", "nbpipe.core.partitions"))))
"""


def test_a_project_without_partitions_is_resolved_without_their_algebra():
    found = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
