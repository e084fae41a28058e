"""What a lineage widget shows, without a browser: selections, bundles, and what is closed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.commands.workspace import Workspace
from nbpipe.core.selection import Name
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.errors import SelectionError
from nbpipe.kernel.lineage.model import LineageModel, as_selection
from tests.notebooks import write_notebook


@pytest.fixture
def model(project: Path):
    cells = ["%%asset a --group x\na = 1", "%%asset b --group x\nb = a", "%%asset c\nc = b"]
    write_notebook(project / "n.ipynb", cells)
    found = LineageModel(Workspace.open(project), limit=60)
    yield found
    found.close()


@pytest.mark.parametrize("key", ["orders", "my orders", "dbt/orders", "not", "a:b", "a+b", "it's", 'say "x"'])
def test_any_name_can_be_selected(key):
    selection = parse_selection(as_selection(key))
    assert isinstance(selection, Name)
    assert selection.pattern == key


def test_an_empty_selection_shows_everything(model):
    model.select("a")
    assert [node.id for node in model.select("  ").nodes] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("status:stal", 7, "did you mean 'stale'"),
        ("a or bb", 5, "no asset 'bb'"),
        ("a or group:y", 11, "no asset has group:y"),
        ("a or (b", None, "column"),
    ],
)
def test_a_wrong_selection_says_where_and_leaves_what_is_shown(model, text, column, words):
    model.select("a+")
    with pytest.raises(SelectionError, match="selection, column") as caught:
        model.select(text)
    assert words in str(caught.value)
    assert column is None or caught.value.column == column
    assert model.text == "a+"
    assert len(model.view.nodes) == 3


def test_an_asset_that_is_new_in_the_notebook_appears(model, project):
    write_notebook(project / "m.ipynb", ["%%asset d\nd = c"])
    assert [node.id for node in model.refresh().nodes] == ["a", "b", "c", "d"]


def test_a_selected_asset_that_is_gone_disappears(model, project):
    model.select("b c")
    write_notebook(project / "n.ipynb", ["%%asset c\nc = 1"])
    assert [node.id for node in model.refresh().nodes] == ["c"]
    assert model.facts("b") is None


def test_groups_are_counted_in_the_whole_project(model):
    model.select("c")
    assert model.groups() == {"x": 2}


def test_too_many_assets_are_bundled_and_opened_by_choice(model):
    model.limit = 2
    assert [node.id for node in model.select("").nodes] == ["group:x", "c"]
    assert [node.id for node in model.open("group:x").nodes] != ["group:x", "c"]
    assert [node.id for node in model.close_bundles().nodes] == ["group:x", "c"]
    assert [node.id for node in model.draw_more().nodes] == ["a", "b", "c"]
