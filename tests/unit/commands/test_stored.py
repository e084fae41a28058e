"""What can be asked of stored values, and done with them, without a kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.commands.invoke import invoke
from nbpipe.commands.surface import Surface
from nbpipe.commands.workspace import Workspace
from tests.notebooks import edit_cell, replace_in_cell, write_notebook
from tests.stored import store_values

STATUS_KEYS = [
    "asset",
    "status",
    "reasons",
    "notes",
    "materialized_at",
    "version",
    "code_version",
    "data_version",
    "group",
    "notebook",
    "cell_id",
    "upstream",
    "partitions",
]


@pytest.fixture
def stored(shop: Path) -> Path:
    """Return the shop with one version of each value."""
    store_values(shop, orders=[3, -1, 2], cleaned=[3, 2], total=5)
    return shop


# --- status ---


def test_the_status_has_the_fields_of_the_contract(shop, terminal):
    store_values(shop, orders=[3, -1, 2])
    rows = terminal.json("status")
    assert [list(row) for row in rows] == [STATUS_KEYS] * 3
    assert [(row["asset"], row["status"], row["version"]) for row in rows] == [
        ("orders", "fresh", 1),
        ("cleaned", "missing", None),
        ("total", "missing", None),
    ]
    assert rows[0]["materialized_at"].endswith("Z")
    assert rows[1]["materialized_at"] is rows[1]["data_version"] is rows[1]["code_version"] is None
    assert rows[1]["reasons"] == ["never materialized"]


def test_the_status_of_a_selection_of_statuses(stored, terminal):
    edit_cell(stored / "shop.ipynb", 4, "%%asset cleaned\ncleaned = sorted(clean(orders)[:limit])")
    rows = terminal.json("status", "status:stale")
    assert [(row["asset"], row["reasons"]) for row in rows] == [
        ("cleaned", ["code changed"]),
        ("total", ["upstream cleaned is stale"]),
    ]
    assert "upstream cleaned is stale" in terminal("status", "total").out


# --- why ---


def test_why_shows_the_tree_and_what_changed_in_the_code(stored, terminal):
    replace_in_cell(stored / "shop.ipynb", 2, "row > 0", "row > 1")
    nodes = {node["asset"]: node for node in terminal.json("why", "total")["nodes"]}
    assert nodes["total"]["upstream"] == ["cleaned"]
    (change,) = nodes["cleaned"]["changes"]
    assert change["component"] == "helper clean()"
    assert "-    return [row for row in rows if row > 0]" in change["diff"]
    assert "+    return [row for row in rows if row > 1]" in change["diff"]
    out = terminal("why", "total").out
    assert out.index("upstream cleaned is stale") < out.index("helper clean() changed") < out.index("row > 1")


def test_why_of_something_fresh_says_so(stored, terminal):
    (node,) = terminal.json("why", "total")["nodes"]
    assert (node["status"], node["reasons"], node["upstream"]) == ("fresh", [], [])


def test_a_long_chain_is_explained(project, terminal):
    cells = ["%%asset a0\na0 = 0", *(f"%%asset a{n}\na{n} = a{n - 1}" for n in range(1, 1500))]
    write_notebook(project / "chain.ipynb", cells)
    assert len(terminal.json("why", "a1499")["nodes"]) == 1500
    assert terminal("why", "a1499").out.count("never materialized") == 1500


# --- show, load ---


def test_show_tells_the_versions_and_a_preview(stored, terminal):
    store_values(stored, total=7)
    found = terminal.json("show", "total")
    assert [(each["version"], each["current"], each["type"]) for each in found["versions"]] == [
        (2, True, "int"),
        (1, False, "int"),
    ]
    assert found["preview"]["text"] == "7"
    assert (found["notebook"], found["cell"], found["upstream"]) == ("shop.ipynb", 6, ["cleaned"])
    assert "2 (current)" in terminal("show", "total").out


def test_show_of_what_was_never_computed(shop, terminal):
    found = terminal.json("show", "total")
    assert (found["status"], found["versions"], found["preview"]) == ("missing", [], None)
    assert terminal("show", "total").status == 0


def test_load_prints_the_path_of_a_version(stored, terminal):
    store_values(stored, total=7)
    paths = [Path(terminal("load", name, "--path").out.rstrip("\n")) for name in ("total#1", "total")]
    assert [path.read_text() for path in paths] == ["5", "7"]


def test_load_says_what_a_value_is_without_reading_it(stored, terminal):
    found = terminal.json("load", "orders")
    assert (found["version"], found["type"], found["format"]) == (1, "list", "json")
    assert (stored / found["path"]).exists()
    assert "[3, -1, 2]" in terminal("load", "orders").out


def test_load_of_a_value_whose_file_is_gone_is_a_failure(stored, terminal):
    path = Path(terminal("load", "total", "--path").out.rstrip("\n"))
    path.unlink()
    answer = terminal("load", "total")
    assert answer.status == 1
    assert "is gone" in answer.err
    assert "materialize" in answer.err


# --- rollback, rename, wipe, gc ---


def test_a_rollback_holds_the_old_version(stored, terminal):
    store_values(stored, total=7)
    assert terminal.json("rollback", "total", "1") == {"asset": "total", "version": 1, "previous": 2}
    (row,) = terminal.json("status", "total")
    assert (row["status"], row["version"]) == ("fresh", 1)
    assert row["notes"] == ["held at version 1 (rolled back)"]


def test_a_rename_keeps_the_versions_and_says_what_is_left_to_do(stored, terminal):
    found = terminal.json("rename", "total", "revenue")
    assert "%%asset revenue" in found["next_step"]
    assert "shop.ipynb, cell 6" in found["next_step"]
    edit_cell(stored / "shop.ipynb", 5, "%%asset revenue\nrevenue = sum(cleaned)")
    assert [each["version"] for each in terminal.json("show", "revenue")["versions"]] == [1]


def test_a_rename_onto_a_name_with_a_history_is_refused(stored, terminal):
    answer = terminal("rename", "total", "orders")
    assert answer.status == 2
    assert "orders" in answer.err


def test_a_wipe_forgets_values_and_deletes_their_files(stored, terminal):
    path = Path(terminal("load", "total", "--path").out.rstrip("\n"))
    found = terminal.json("wipe", "total", "--yes")
    assert (found["asset"], found["values"], found["bytes"]) == ("total", 1, 1)
    assert not path.exists()
    assert terminal.json("status", "total")[0]["status"] == "missing"


def test_a_wipe_that_nobody_can_confirm_is_refused(stored, terminal):
    answer = terminal("wipe", "total")
    assert answer.status == 2
    assert "--yes" in answer.err
    assert terminal.json("status", "total")[0]["status"] == "fresh"


@pytest.mark.parametrize(("answer", "values"), [(True, 1), (False, 0)])
def test_a_wipe_asks_a_person_first(stored, answer, values):
    questions = []
    surface = Surface(confirm=lambda question: bool(questions.append(question)) or answer)
    with Workspace.open(stored) as workspace:
        assert invoke("wipe", ["total"], workspace, surface=surface).values == values
    assert questions == ["Delete all stored values of total in environment 'default'?"]


def test_gc_removes_what_retention_does_not_keep(stored, terminal):
    for value in (10, 20, 30, 40):
        store_values(stored, total=value)
    assert terminal.json("gc") == {"values": 2, "bytes": 3}
    assert [each["expired"] for each in terminal.json("show", "total")["versions"]] == [False] * 3 + [True] * 2
    assert terminal.json("gc") == {"values": 0, "bytes": 0}
    answer = terminal("load", "total#1", "--path")
    assert answer.status == 1
    assert "retention" in answer.err
    answer = terminal("rollback", "total", "1")
    assert answer.status == 2
    assert "kept: 3, 4, 5" in answer.err


# --- environments ---


def test_each_environment_has_its_own_state(stored, terminal):
    (stored / "nbpipe.toml").write_text("[env.prod]\n")
    assert {row["status"] for row in terminal.json("--env", "prod", "status")} == {"missing"}
    assert {row["status"] for row in terminal.json("status", "--env", "prod")} == {"missing"}
    assert {row["status"] for row in terminal.json("status")} == {"fresh"}


def test_a_project_can_be_named(stored, terminal, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert len(terminal.json("--project", str(stored), "status")) == 3
    assert len(terminal.json("status", "--project", str(stored))) == 3


# --- lineage ---


@pytest.mark.parametrize(
    ("words", "beginning"),
    [
        ((), "● orders"),
        (("--format", "svg"), "<svg"),
        (("--format", "html"), "<!doctype html>"),
        (("--format", "mermaid"), "flowchart lr"),
        (("--format", "json"), "{"),
        (("--json",), "{"),
    ],
)
def test_lineage_is_drawn_in_each_format(stored, terminal, words, beginning):
    answer = terminal("lineage", *words)
    assert answer.status == 0
    assert answer.out.lower().startswith(beginning)
    assert "total" in answer.out


def test_lineage_is_written_to_a_file_in_the_format_of_its_name(stored, terminal):
    assert terminal.json("lineage", "+cleaned", "-o", "graph.svg") == {"path": "graph.svg", "format": "svg"}
    picture = (stored / "graph.svg").read_text()
    assert "cleaned" in picture
    assert "total" not in picture


# --- Python ---


def test_the_python_twins_say_the_same(stored, terminal):
    import nbpipe

    assert [(row.asset, row.status) for row in nbpipe.status("total")] == [("total", "fresh")]
    assert nbpipe.load("orders") == [3, -1, 2]
    assert nbpipe.load("orders", version=1) == nbpipe.load("orders#1")
    assert nbpipe.validate() == []
    assert nbpipe.runs() == []
    assert nbpipe.why("total").nodes[0].reasons == ()
    assert [node.id for node in nbpipe.lineage("total").nodes] == ["total"]


def test_a_project_in_python_sees_what_was_saved_meanwhile(stored):
    import nbpipe

    with nbpipe.Project(stored) as project:
        assert project.root == stored
        assert project.env == "default"
        edit_cell(stored / "shop.ipynb", 5, "%%asset total\ntotal = sum(cleaned) + 1")
        assert [row.reasons for row in project.status("total")] == [("code changed",)]


def test_in_python_a_missing_value_is_an_error_with_the_remedy(shop):
    import nbpipe

    with pytest.raises(nbpipe.NbpipeError, match="nbpipe materialize total"):
        nbpipe.load("total")


def test_materialize_in_python_does_nothing_within_a_run(shop, monkeypatch, capsys):
    import nbpipe

    monkeypatch.setenv("NBPIPE_RUN_ID", "01a")
    assert nbpipe.materialize("*").run_id is None
    assert "does nothing in a job" in capsys.readouterr().out


def test_within_a_run_the_terminal_starts_and_removes_nothing(stored, terminal, monkeypatch):
    monkeypatch.setenv("NBPIPE_RUN_ID", "01a")
    answer = terminal("materialize", "*", "--json")
    assert (answer.status, answer.data["run_id"]) == (0, None)
    assert "does nothing in a job" in answer.err
    assert terminal.json("wipe", "total", "--yes")["values"] == 0
    assert terminal("verify", "total").status == 2
    assert terminal.json("status", "total")[0]["status"] == "fresh"


def test_nothing_is_left_open(stored):
    with Workspace.open(stored) as workspace:
        assert workspace.states(["total"])["total"].current is not None
    assert workspace._store is None
