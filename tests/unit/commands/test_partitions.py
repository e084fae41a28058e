"""Single partitions and sets of them, in the terminal and in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import nbpipe
from nbpipe import clock
from nbpipe.commands.invoke import invoke
from nbpipe.commands.surface import Surface
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import Run
from nbpipe.errors import MissingValueError, UnknownNameError, UsageError
from tests.notebooks import edit_cell, write_notebook
from tests.stored import store_partitions, store_values

CELLS = (
    "%%asset daily --partitions daily:2024-01-01..2024-01-31\ndaily = partition.key",
    '%%asset city --partitions \'static:Zürich,"New York","a/b|c","a#3"\'\ncity = partition.key',
    "%%asset sales --partitions 'date=monthly:2024-01-01..2024-12-01 x region=static:eu,\"New York\"'\nsales = 1",
    "%%asset orders --partitions dynamic:customers\norders = partition.key",
    "%%asset plain\nplain = 1",
)
DAYS = [f"2024-01-{day:02}" for day in range(1, 32)]
COUNTS = ["total", "materialized", "running", "failed", "missing", "stale", "skipped", "fresh"]


@pytest.fixture
def shop(project: Path) -> Path:
    """Return a project with one asset of each kind of partitions; nothing is stored."""
    write_notebook(project / "shop.ipynb", CELLS)
    return project


@pytest.fixture
def january(shop: Path) -> Path:
    """Return the project with ten days stored; of the third, two versions."""
    store_partitions(shop, "daily", {day: f"day {day}" for day in DAYS[:10]})
    store_partitions(shop, "daily", {DAYS[2]: "again"})
    return shop


def counted(found):
    return {name: found[name] for name in COUNTS if found[name]}


# --- partitions ASSET ---


def test_partitions_by_status(january, terminal):
    with Workspace.open(january) as workspace:
        families = workspace.book.of("daily").position(DAYS[9])
        from pyroaring import BitMap

        workspace.store.partitions.fail(
            "default", "daily", {families[0]: BitMap([families[1]])}, "boom", at=clock.now(), label=DAYS[9]
        )
    found = terminal.json("partitions", "daily")
    assert list(found) == ["asset", "partitions", "dimensions", *COUNTS, "ranges"]
    assert (found["asset"], found["partitions"]) == ("daily", "daily:2024-01-01..2024-01-31")
    assert found["dimensions"] == [{"name": "", "kind": "time", "spec": "daily:2024-01-01..2024-01-31", "keys": 31}]
    assert counted(found) == {"total": 31, "materialized": 10, "failed": 1, "missing": 21, "fresh": 9}
    assert found["ranges"] == {
        "failed": ["2024-01-10"],
        "missing": ["2024-01-11..2024-01-31"],
        "fresh": ["2024-01-01..2024-01-09"],
    }
    page = terminal("partitions", "daily").out
    assert "31 partitions" in page
    assert "2024-01-11..2024-01-31" in page


def test_partitions_of_two_dimensions(shop, terminal):
    store_partitions(shop, "sales", {'2024-02-01|"New York"': 1, "2024-03-01|eu": 2})
    found = terminal.json("partitions", "sales")
    assert [(each["name"], each["kind"], each["keys"]) for each in found["dimensions"]] == [
        ("date", "time", 12),
        ("region", "static", 2),
    ]
    assert found["ranges"]["fresh"] == ["2024-03-01|eu", '2024-02-01|"New York"']
    assert "12 date x 2 region" in terminal("partitions", "sales").out


def test_all_of_one_status_is_said_without_listing(shop, terminal):
    lines = terminal("partitions", "daily").out.splitlines()
    assert [line.split() for line in lines] == [
        ["daily", "daily:2024-01-01..2024-01-31", "31", "partitions"],
        ["missing", "31", "100", "%"],
    ]


def test_many_ranges_are_cut_for_a_person_and_told_to_a_program(project, terminal):
    cell = "%%asset hourly --partitions hourly:2024-01-01T00..2024-03-31T23\nhourly = partition.key"
    write_notebook(project / "shop.ipynb", [cell])
    keys = [f"2024-02-{day:02}T{hour:02}" for day in range(1, 29) for hour in range(0, 24, 2)]
    store_partitions(project, "hourly", dict.fromkeys(keys, 1))
    page = terminal("partitions", "hourly").out
    assert "and 326 more" in page
    assert len(page.splitlines()) <= 20
    found = terminal.json("partitions", "hourly")
    assert found["ranges"]["fresh"] == keys
    assert "more" not in found


def test_an_empty_dynamic_set_says_how_to_add_keys(shop, terminal):
    answer = terminal("partitions", "orders")
    assert "no partition yet" in answer.out
    assert "nbpipe partitions add customers KEY" in answer.out
    assert terminal.json("partitions", "orders")["total"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["partitions"], "partitioned are city, daily, orders, sales"),
        (["partitions", "dialy"], "did you mean 'daily'?"),
        (["partitions", "plain"], "plain has no partitions"),
        (["partitions", "customers"], "customers is a dynamic set of keys, not an asset: nbpipe partitions orders"),
        (["partitions", "daily@2024-01-01"], "nbpipe show daily@2024-01-01"),
        (["partitions", "daily", "--jsn"], "did you mean --json?"),
        (["partitions", "ad", "customers", "a"], "did you mean 'add'?"),
        (["partitions", "add", "custmers", "a"], "did you mean 'customers'?"),
        (["partitions", "add", "x", "a"], "there are customers"),
        (["partitions", "add", "customers"], "missing argument"),
        (["partitions", "add", "customers", " a"], "blanks at its ends"),
        (["partitions", "add", "customers", ""], "can't be empty"),
        (["partitions", "delete", "customers", "a"], "customers has no keys"),
    ],
)
def test_wrong_use_of_partitions_says_what_to_do(shop, terminal, words, message):
    answer = terminal(*words)
    assert answer.status == 2
    assert message in answer.err


def test_help_shows_both_forms(shop, terminal):
    out = terminal("partitions", "--help").out
    assert "partitions ASSET | add SET KEY... | delete SET KEY..." in out


# --- dynamic keys ---


def test_keys_come_go_and_come_back_with_what_is_stored(shop, terminal):
    keys = ["a", "New York", "x|y", "ü/ö"]
    assert terminal.json("partitions", "add", "customers", *keys) == {
        "set": "customers",
        "added": keys,
        "known": [],
        "total": 4,
    }
    store_partitions(shop, "orders", {key: key for key in keys})
    assert terminal.json("partitions", "add", "dynamic:customers", "a", "b", "b") == {
        "set": "customers",
        "added": ["b"],
        "known": ["a"],
        "total": 5,
    }
    assert "there already: a" in terminal("partitions", "add", "customers", "a").out
    found = terminal.json("partitions", "delete", "customers", "a", "x|y")
    assert found == {"set": "customers", "deleted": ["a", "x|y"], "gone": [], "total": 3}
    assert terminal.json("partitions", "delete", "customers", "a")["gone"] == ["a"]
    assert terminal.json("partitions", "orders")["ranges"] == {"missing": ["b"], "fresh": ["New York", "ü/ö"]}
    terminal("partitions", "add", "customers", "a")
    assert terminal.json("partitions", "orders")["ranges"]["fresh"] == ["a", "New York", "ü/ö"]
    assert nbpipe.load("orders@a") == "a"


def test_deleting_an_unknown_key_deletes_nothing(shop, terminal):
    terminal("partitions", "add", "customers", "anna", "bert")
    answer = terminal("partitions", "delete", "customers", "bert", "ana")
    assert answer.status == 2
    assert "did you mean 'anna'?" in answer.err
    assert terminal.json("partitions", "orders")["total"] == 2


def test_without_a_declaration_no_key_can_be_added(project, terminal):
    write_notebook(project / "shop.ipynb", ["%%asset a\na = 1"])
    answer = terminal("partitions", "add", "customers", "x")
    assert answer.status == 2
    assert "--partitions dynamic:customers" in answer.err


# --- load ---


def test_load_tells_of_a_partition_and_its_versions(january, terminal):
    found = terminal.json("load", "daily@2024-01-03")
    assert (found["asset"], found["partition"], found["version"]) == ("daily", "2024-01-03", 2)
    assert (january / found["path"]).read_text() == "again"
    path = Path(terminal("load", "daily@2024-01-03#1", "--path").out.rstrip("\n"))
    assert path.read_text() == "day 2024-01-03"
    assert "nbpipe.load('daily', partition='2024-01-03')" in terminal("load", "daily@2024-01-03").out


def test_load_of_an_asset_without_partitions_tells_none(shop, terminal):
    store_values(shop, plain=1)
    assert "partition" not in terminal.json("load", "plain")


@pytest.mark.parametrize("key", ["Zürich", "New York", "a/b|c", "a#3"])
def test_any_key_names_its_own_file(shop, terminal, key):
    store_partitions(shop, "city", {each: each for each in ("Zürich", "New York", "a/b|c", "a#3")})
    written = '"a#3"' if key == "a#3" else key
    path = Path(terminal("load", f"city@{written}", "--path").out.rstrip("\n"))
    assert path.read_text() == key
    assert path.parent.parent == shop / ".nbpipe" / "values" / "default" / "city"
    assert nbpipe.load("city", partition=key) == nbpipe.load(f"city@{written}#1") == key


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("daily", 2, "daily is partitioned: say which partition, for example daily@2024-01-31"),
        ("orders", 2, "has no partition yet: write orders@KEY"),
        ("plain@x", 2, "plain has no partitions: leave out @x"),
        ("nothing@x", 2, "there is no asset 'nothing'"),
        ("daily@2024-1-3", 2, "there is no partition '2024-1-3'"),
        ("daily@2023-12-31", 2, "the first one is 2024-01-01"),
        ("daily@2024-01-02#7", 2, "daily@2024-01-02 has 1"),
        ("daily@2024-01-20", 1, "nbpipe materialize daily --partition 2024-01-20"),
        ("city@Zurich", 2, "did you mean 'Zürich'?"),
        ("sales@2024-01-01|New York", 2, "quotes"),
        ("sales@2024-01-01", 2, "its form is date|region"),
        ("orders@a", 2, "nbpipe partitions add customers"),
    ],
)
def test_what_names_no_stored_partition_is_refused(january, terminal, name, status, message):
    answer = terminal("load", name)
    assert answer.status == status
    assert message in answer.err


def test_a_partition_of_an_asset_that_no_notebook_defines(january, terminal):
    edit_cell(january / "shop.ipynb", 0, "unrelated = 1")
    answer = terminal("load", "daily@2024-01-01")
    assert answer.status == 2
    assert "nbpipe rename daily NEW" in answer.err


# --- rollback ---


def test_a_partition_is_rolled_back_alone(january, terminal):
    found = terminal.json("rollback", "daily@2024-01-03", "1")
    assert found == {"asset": "daily", "partition": "2024-01-03", "version": 1, "previous": 2}
    assert nbpipe.load("daily@2024-01-03") == "day 2024-01-03"
    assert nbpipe.load("daily@2024-01-04") == "day 2024-01-04"
    edit_cell(january / "shop.ipynb", 0, CELLS[0] + " + 'x'")
    ranges = terminal.json("partitions", "daily")["ranges"]
    assert ranges["fresh"] == ["2024-01-03"]
    assert ranges["stale"] == ["2024-01-01..2024-01-02", "2024-01-04..2024-01-10"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["daily", "1"], "for example daily@2024-01-31"),
        (["daily@2024-01-03", "3"], "daily@2024-01-03 has 1, 2"),
        (["daily@2024-01-20", "1"], "never materialized"),
        (["daily@2024-01-03#2", "1"], 'daily@"2024-01-03#2"'),
        (["plain@x", "1"], "leave out @x"),
    ],
)
def test_a_rollback_that_cant_be_is_refused(january, terminal, words, message):
    answer = terminal("rollback", *words)
    assert answer.status == 2
    assert message in answer.err


# --- wipe ---


def test_one_partition_is_wiped(january, terminal):
    paths = [Path(terminal("load", f"daily@2024-01-03#{n}", "--path").out.rstrip("\n")) for n in (1, 2)]
    found = terminal.json("wipe", "daily@2024-01-03", "--yes")
    assert (found["asset"], found["partition"], found["partitions"], found["values"]) == ("daily", "2024-01-03", 1, 2)
    assert found["bytes"] > 0
    assert not any(path.exists() for path in paths)
    assert terminal.json("partitions", "daily")["ranges"]["missing"] == ["2024-01-03", "2024-01-11..2024-01-31"]


def test_several_partitions_are_wiped(january, terminal):
    found = terminal.json("wipe", "daily@2024-01-03,2024-01-05..2024-01-06", "--yes")
    assert (found["partitions"], found["values"]) == (3, 4)
    ranges = terminal.json("partitions", "daily")["ranges"]
    assert ranges["missing"] == ["2024-01-03", "2024-01-05..2024-01-06", "2024-01-11..2024-01-31"]


def test_a_range_is_wiped_in_pieces(january, terminal, monkeypatch):
    monkeypatch.setattr("nbpipe.commands.wipe._AT_ONCE", 3)
    with Workspace.open(january) as workspace:
        before = len(workspace.store.events(limit=1000))
    found = terminal.json("wipe", "daily@2024-01-02..2024-01-20", "--yes")
    assert (found["partition"], found["partitions"], found["values"]) == ("2024-01-02..2024-01-20", 9, 10)
    with Workspace.open(january) as workspace:
        events = [event for event in workspace.store.events(limit=1000)[before:] if event.kind == "partitions_wiped"]
    assert len(events) == 3
    assert counted(terminal.json("partitions", "daily")) == {"total": 31, "materialized": 1, "missing": 30, "fresh": 1}


def test_all_partitions_are_wiped_also_those_that_are_out_of_the_set(january, terminal):
    edit_cell(january / "shop.ipynb", 0, CELLS[0].replace("2024-01-01", "2024-01-05"))
    files = [path for path in (january / ".nbpipe" / "values").rglob("*") if path.is_file()]
    found = terminal.json("wipe", "daily", "--yes")
    assert (found["asset"], found["partitions"], found["values"]) == ("daily", 10, 11)
    assert len(files) == 11
    assert not any(path.exists() for path in files)


def test_what_is_left_of_an_asset_that_no_notebook_defines_is_wiped(january, terminal):
    edit_cell(january / "shop.ipynb", 0, "unrelated = 1")
    assert terminal.json("wipe", "daily", "--yes")["values"] == 11
    assert terminal("wipe", "daily", "--yes").status == 0


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("daily@2024-01-03", "Delete the stored values of daily@2024-01-03 in environment 'default'?"),
        (
            "daily@2024-01-08..2024-01-20",
            "Delete the stored values of 3 partitions of daily (2024-01-08..2024-01-20) in environment 'default'?",
        ),
        ("daily", "Delete the stored values of daily (10 partitions) in environment 'default'?"),
    ],
)
def test_a_wipe_says_what_it_forgets_before_it_does(january, name, question):
    questions = []
    surface = Surface(confirm=lambda text: bool(questions.append(text)))
    with Workspace.open(january) as workspace:
        assert invoke("wipe", [name], workspace, surface=surface).values == 0
        assert workspace.partition_states()["daily"].counts.materialized == 10
    assert questions == [question]


def test_a_wipe_shows_how_far_it_is(january):
    titles, done = [], []

    class Counted:
        def __init__(self, title, number):
            titles.append((title, number))

        def __enter__(self):
            return done.append

        def __exit__(self, *_):
            return None

    with Workspace.open(january) as workspace:
        invoke("wipe", ["daily", "--yes"], workspace, surface=Surface(counted=Counted))
    assert titles == [("wiping daily", 10)]
    assert sum(done) == 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("daily@2024-01-03..2024-01-01", "write 2024-01-01..2024-01-03"),
        ("daily@2024-01-03..", "a key is missing"),
        ("daily@2024-01-40", "there is no partition '2024-01-40'"),
        ("daily@2024-01-03,2024-01-40", "column 12: there is no partition '2024-01-40'"),
        ("daily@2024-01-03#1", "about a whole partition: leave out #1"),
        ("plain@x", "plain has no partitions"),
        ("plain@x..y", "plain has no partitions"),
        ("orders@a", "has no keys yet"),
    ],
)
def test_a_wipe_of_no_partition_is_refused(january, terminal, name, message):
    answer = terminal("wipe", name, "--yes")
    assert answer.status == 2
    assert message in answer.err


def test_a_wipe_of_what_was_never_stored_does_nothing(january, terminal):
    assert terminal.json("wipe", "daily@2024-01-30")["values"] == 0
    assert "nothing of daily@2024-01-30 was removed" in terminal("wipe", "daily@2024-01-30").out
    assert terminal.json("wipe", "city@Zürich")["values"] == 0


def test_what_a_run_works_on_is_neither_wiped_nor_rolled_back(january, terminal):
    from pyroaring import BitMap

    with Workspace.open(january) as workspace:
        outer, inner = workspace.book.of("daily").position(DAYS[2])
        run = Run(id="01a", env="default", created_at=clock.now())
        workspace.store.create_run(run, [], [], b"")
        workspace.store.partitions.start("default", "daily", {outer: BitMap([inner])}, run_id="01a", at=clock.now())
    for words in (["wipe", "daily", "--yes"], ["wipe", "daily@2024-01-01..2024-01-05", "--yes"]):
        assert "a run is working on a partition of daily" in terminal(*words).err
    assert "a run is working on" in terminal("rollback", "daily@2024-01-03", "1").err
    assert "a run is working on" in terminal("rename", "daily", "other").err
    assert terminal.json("wipe", "daily@2024-01-04", "--yes")["values"] == 1


def test_within_a_run_nothing_is_wiped(january, terminal, monkeypatch):
    monkeypatch.setenv("NBPIPE_RUN_ID", "01a")
    assert terminal.json("wipe", "daily@2024-01-03", "--yes")["values"] == 0
    assert terminal.json("wipe", "daily", "--yes")["values"] == 0
    assert nbpipe.load("daily@2024-01-03") == "again"


def test_what_was_stored_before_there_were_partitions_is_wiped_too(shop, terminal):
    store_values(shop, plain=5)
    edit_cell(shop / "shop.ipynb", 4, "%%asset plain --partitions static:a,b\nplain = 1")
    store_partitions(shop, "plain", {"a": 1})
    found = terminal.json("wipe", "plain", "--yes")
    assert (found["partitions"], found["values"]) == (1, 2)
    assert [terminal.json("wipe", asset)["values"] for asset in ("plain", "daily")] == [0, 0]  # nobody is asked


# --- rename ---


def test_a_rename_keeps_partitions_keys_and_history(shop, terminal):
    store_partitions(shop, "city", {"New York": 1, "Zürich": 2})
    store_partitions(shop, "city", {"Zürich": 3})
    found = terminal.json("rename", "city", "town")
    assert "%%asset town" in found["next_step"]
    edit_cell(shop / "shop.ipynb", 1, CELLS[1].replace("city", "town").replace("Zürich,", "Zürich,new,"))
    assert [nbpipe.load(f"town@{key}") for key in ("New York", "Zürich", "Zürich#1")] == [1, 3, 2]
    ranges = terminal.json("partitions", "town")["ranges"]
    assert ranges["missing"] == ["new", "a/b|c", "a#3"]


def test_an_asset_that_was_renamed_in_its_notebook_first(january, terminal):
    edit_cell(january / "shop.ipynb", 0, CELLS[0].replace("daily =", "day =").replace("asset daily", "asset day"))
    assert terminal.json("rename", "daily", "day")["next_step"] is None
    assert nbpipe.load("day@2024-01-03#1") == "day 2024-01-03"


# --- gc and retention ---


def test_gc_removes_old_values_of_partitions(january, terminal):
    (january / "nbpipe.toml").write_text("[retention]\nvalues = 1\n")
    assert terminal.json("gc")["values"] == 1
    assert terminal.json("gc") == {"values": 0, "bytes": 0}
    assert nbpipe.load("daily@2024-01-03") == "again"
    answer = terminal("load", "daily@2024-01-03#1")
    assert answer.status == 1
    assert "removed by retention" in answer.err
    assert "kept: 2" in terminal("rollback", "daily@2024-01-03", "1").err


def test_gc_removes_old_values_of_partitions_that_no_notebook_defines(january, terminal):
    (january / "nbpipe.toml").write_text("[retention]\nvalues = 1\n")
    write_notebook(january / "shop.ipynb", ["%%asset plain\nplain = 1"])
    assert terminal.json("gc")["values"] == 1


# --- Python ---


def test_partitions_are_loaded_in_python(january):
    assert nbpipe.load("daily", partition="2024-01-03") == "again"
    assert nbpipe.load("daily", partition="2024-01-03", version=1) == nbpipe.load("daily@2024-01-03#1")
    assert nbpipe.load("daily@2024-01-03", version=2) == "again"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"asset": "daily"}, UsageError, "for example daily@2024-01-31"),
        ({"asset": "daily@2024-01-03", "partition": "2024-01-03"}, UsageError, "names a partition already"),
        ({"asset": "daily@2024-01-03#1", "version": 1}, UsageError, "names a version already"),
        ({"asset": "daily", "partition": ""}, UsageError, "can't be empty"),
        ({"asset": "plain", "partition": "x"}, UsageError, "has no partitions"),
        ({"asset": "city", "partition": "Zurich"}, UnknownNameError, "did you mean 'Zürich'"),
        ({"asset": "daily", "partition": "2024-01-20"}, MissingValueError, "--partition 2024-01-20"),
        ({"asset": "city", "partition": "New York"}, MissingValueError, "--partition 'New York'"),
    ],
)
def test_in_python_too_what_names_no_stored_partition_is_refused(january, arguments, error, message):
    with pytest.raises(error, match=message):
        nbpipe.load(**arguments)


def test_keys_are_added_and_deleted_in_python(shop, monkeypatch):
    assert list(nbpipe.partition_keys("customers")) == []
    assert nbpipe.add_partitions("customers", ["b", "a", "b"]) == ("b", "a")
    monkeypatch.setenv("NBPIPE_RUN_ID", "01a")  # one asset discovers the keys of others
    assert nbpipe.add_partitions("customers", (key for key in "abc")) == ("c",)
    assert list(nbpipe.partition_keys("orders")) == list(nbpipe.partition_keys("dynamic:customers")) == ["b", "a", "c"]
    assert nbpipe.delete_partitions("customers", ["a"]) == ("a",)
    keys = nbpipe.partition_keys("customers")
    assert (list(keys), len(keys), "a" in keys, "c" in keys, 3 in keys) == (["b", "c"], 2, False, True, False)


def test_keys_of_an_asset_are_computed_not_listed(shop):
    keys = nbpipe.partition_keys("daily")
    assert (len(keys), next(iter(keys)), "2024-01-31" in keys, "2024-02-01" in keys) == (31, "2024-01-01", True, False)
    assert list(keys) == list(keys) == DAYS
    assert repr(keys) == "<31 partition keys of daily:2024-01-01..2024-01-31>"
    assert len(nbpipe.partition_keys("sales")) == 24


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nbpipe.partition_keys("plain"), "plain has no partitions"),
        (lambda: nbpipe.partition_keys("custmers"), "did you mean 'customers'"),
        (lambda: nbpipe.partition_keys("dynamic:x"), "there are customers"),
        (lambda: nbpipe.add_partitions("customers", "abc"), r"write \['abc'\]"),
        (lambda: nbpipe.add_partitions("customers", [1]), "write '1', not 1"),
        (lambda: nbpipe.add_partitions("customers", ["a", "\n"]), "blanks at its ends"),
        (lambda: nbpipe.delete_partitions("customers", ["a"]), "customers has no keys"),
    ],
)
def test_wrong_use_in_python_says_what_to_do(shop, call, message):
    with pytest.raises(nbpipe.NbpipeError, match=message):
        call()
