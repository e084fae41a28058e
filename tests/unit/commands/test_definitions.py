"""What can be asked of definitions alone: list, validate."""

from __future__ import annotations

import pytest

from tests.notebooks import write_notebook

LIST_KEYS = [
    "asset",
    "notebook",
    "cell_id",
    "upstream",
    "group",
    "description",
    "partitions",
    "kinds",
    "tags",
    "owners",
]
DIAGNOSTIC_KEYS = ["severity", "code", "message", "notebook", "cell_id", "cell", "line", "assets"]


def test_a_listing_has_the_fields_of_the_contract(shop, terminal):
    rows = terminal.json("list")
    assert [list(row) for row in rows] == [LIST_KEYS] * 3
    assert rows[0] == {
        "asset": "orders",
        "notebook": "shop.ipynb",
        "cell_id": "cell-3",
        "upstream": [],
        "group": "shop",
        "description": "",
        "partitions": None,
        "kinds": ["list"],
        "tags": {"team": "sales"},
        "owners": ["ann"],
    }
    assert (rows[1]["description"], rows[1]["upstream"]) == ("Orders that count.", ["orders"])


def test_a_listing_tells_partitions_as_they_are_written(project, terminal):
    declared = "date=daily:2024-01-01 x region=static:eu,us"
    write_notebook(project / "a.ipynb", [f"%%asset a b --partitions {declared}\na = b = 1", "%%asset c\n[a, b]"])
    assert [row["partitions"] for row in terminal.json("list")] == [declared, declared, None]


def test_a_listing_takes_a_selection(shop, terminal):
    assert [row["asset"] for row in terminal.json("list", "total", "or", "group:shop")] == ["orders", "total"]


def test_asking_leaves_no_trace_in_a_folder_without_notebooks(project, terminal):
    for command in ("list", "status", "validate", "runs", "lineage"):
        assert terminal(command).status == 0
    assert [path.name for path in project.iterdir()] == ["nbpipe.toml"]


def test_nothing_wrong_is_no_finding(shop, terminal):
    assert terminal.json("validate") == []
    assert terminal("validate").out == "nothing is wrong with the definitions\n"


def test_an_error_is_reported_with_its_place_and_a_status(shop, terminal):
    write_notebook(shop / "more.ipynb", ["1", "%%asset report\n\nreport = totl + 1", "%%asset fine\nfine = 1"])
    answer = terminal("validate", "--json")
    assert answer.status == 2
    (found,) = answer.data
    assert list(found) == DIAGNOSTIC_KEYS
    assert (found["notebook"], found["cell"], found["line"], found["code"]) == ("more.ipynb", 2, 3, "unknown-name")
    assert found["assets"] == ["report"]
    assert "more.ipynb, cell 2, line 3: error: " in terminal("validate").out
    assert "did you mean 'total'" in terminal("validate").out


def test_malformed_partitions_are_reported_with_cell_line_and_column(project, terminal):
    write_notebook(project / "a.ipynb", ["1", "\n%%asset a --partitions 'daily:2024-01-01 x region=static:eu'\na = 1"])
    answer = terminal("validate", "--json")
    assert answer.status == 2
    (found,) = answer.data
    assert (found["notebook"], found["cell"], found["line"], found["code"]) == ("a.ipynb", 2, 2, "declaration")
    assert found["message"].splitlines() == [
        "%%asset: --partitions: column 1: each of several dimensions has a name: date=daily:2024-01-01",
        "  daily:2024-01-01 x region=static:eu",
        "  ^",
    ]
    assert terminal("validate").out.splitlines()[:3] == [
        f"a.ipynb, cell 2, line 2: error: {found['message'].splitlines()[0]} [declaration]",
        "  daily:2024-01-01 x region=static:eu",
        "  ^",
    ]
    for words in (("partitions", "a"), ("load", "a@2024-01-01"), ("wipe", "a@2024-01-01", "--yes")):
        refused = terminal(*words)
        assert refused.status == 2
        assert "it is not known which partitions a has: %%asset: --partitions: column 1: each of" in refused.err


def test_partitions_that_do_not_fit_are_reported_with_their_place(project, terminal):
    write_notebook(project / "a.ipynb", ["%%asset a --partitions daily:2024-01-01\na = 1"])
    write_notebook(project / "b.ipynb", ["1", "%%asset b --partitions static:x,y\na"])
    answer = terminal("validate", "--json")
    assert answer.status == 2
    (found,) = answer.data
    assert (found["notebook"], found["cell"], found["line"], found["code"]) == ("b.ipynb", 2, 1, "mapping")
    assert found["assets"] == ["b"]


def test_a_warning_alone_is_status_0(project, terminal):
    write_notebook(project / "a.ipynb", ["%%asset raw\nraw = 1", "raw = 2"])
    answer = terminal("validate")
    assert answer.status == 0
    assert "1 warning" in answer.out


def test_a_circle_is_reported_once_with_its_path(project, terminal):
    write_notebook(project / "a.ipynb", ["%%asset one\none = two", "%%asset three\nthree = 3"])
    write_notebook(project / "b.ipynb", ["%%asset two\ntwo = one"])
    answer = terminal("validate", "--json")
    circles = [each for each in answer.data if each["code"] == "cycle"]
    assert answer.status == 2
    assert [(each["notebook"], each["cell"], each["assets"]) for each in circles] == [("a.ipynb", 1, ["one", "two"])]
    assert "one -> two -> one" in circles[0]["message"]


@pytest.mark.parametrize("text", ["\x1b[31mred", "[bold]not bold[/bold]", "bell\a"])
def test_text_of_notebooks_is_data(project, terminal, text):
    write_notebook(project / "a.ipynb", [f"%%asset raw\n# {text}\nraw = 1"])
    out = terminal("list").out
    assert text.encode("unicode_escape").decode() in out
    assert "\x1b" not in out
    assert "\a" not in out
