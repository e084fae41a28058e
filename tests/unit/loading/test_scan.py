from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbpipe.loading.scan import Walk, scan


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def found(root: Path, *, configured: bool = True, limit: int = 1_000) -> list[str]:
    return list(scan(root.resolve(), configured=configured, limit=limit).notebooks)


def codes(walk: Walk) -> list[str]:
    return [diagnostic.code for diagnostic in walk.diagnostics]


@pytest.mark.parametrize(
    ("paths", "notebooks"),
    [
        (["b.ipynb", "a.ipynb", "deep/er/c.ipynb"], ["a.ipynb", "b.ipynb", "deep/er/c.ipynb"]),
        (["a.ipynb.txt", "a.py", "notes.md", "ipynb"], []),
        ([".hidden/a.ipynb", ".ipynb_checkpoints/b-checkpoint.ipynb", ".a.ipynb"], []),
        ([".nbpipe/runs/1/0.ipynb"], []),
        (["node_modules/x/a.ipynb", "__pycache__/a.ipynb"], []),
        (["env/pyvenv.cfg", "env/lib/a.ipynb", "a.ipynb"], ["a.ipynb"]),
        (["nested/nbpipe.toml", "nested/a.ipynb", "nested/deep/a.ipynb"], []),
        (["nested/.nbpipe/state.db", "nested/a.ipynb"], []),
        (["nbpipe.toml", ".nbpipe/state.db", "a.ipynb"], ["a.ipynb"]),
        (["with space/ä ö.ipynb", "日本/ノート.ipynb"], ["with space/ä ö.ipynb", "日本/ノート.ipynb"]),
    ],
)
def test_notebooks_are_found_where_people_keep_them(tmp_path, paths, notebooks):
    touch(tmp_path, *paths)
    assert found(tmp_path) == notebooks


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["nested/.nbpipe/state.db", "nested/a.ipynb"], ["nested-project"]),
        (["nested/.nbpipe/state.db", "nested/notes.md"], []),
        (["nested/.nbpipe/state.db", "nested/nbpipe.toml", "nested/a.ipynb"], []),
    ],
)
def test_a_nested_project_that_nobody_configured_is_doubted(tmp_path, paths, expected):
    touch(tmp_path, *paths)
    assert codes(scan(tmp_path.resolve(), configured=True)) == expected


@pytest.mark.parametrize(
    ("pyproject", "notebooks"), [("[tool.nbpipe]", []), ("[tool.ruff]", ["a/x.ipynb"]), ("[tool.nbpipe", [])]
)
def test_a_nested_project_may_be_configured_in_pyproject(tmp_path, pyproject, notebooks):
    touch(tmp_path, "a/x.ipynb")
    (tmp_path / "a/pyproject.toml").write_text(pyproject)
    assert found(tmp_path) == notebooks


@pytest.mark.parametrize(
    ("link", "target", "notebooks"),
    [
        ("loop", ".", ["a/x.ipynb"]),
        ("a/loop", "..", ["a/x.ipynb"]),
        ("again", "a", ["a/x.ipynb"]),
        ("out", "../elsewhere", ["a/x.ipynb"]),
        ("broken", "nowhere", ["a/x.ipynb"]),
        ("circle", "circle", ["a/x.ipynb"]),
        ("seen", ".hidden", ["a/x.ipynb", "seen/h.ipynb"]),
        ("h.ipynb", ".hidden/h.ipynb", ["a/x.ipynb", "h.ipynb"]),
        ("y.ipynb", "a/x.ipynb", ["a/x.ipynb"]),
        ("y.ipynb", "../elsewhere/y.ipynb", ["a/x.ipynb"]),
        ("y.ipynb", "nowhere.ipynb", ["a/x.ipynb"]),
        (".way", "a", ["a/x.ipynb"]),
    ],
)
def test_links_lead_neither_out_nor_round_nor_to_what_is_found_anyway(tmp_path, link, target, notebooks):
    root = tmp_path / "root"
    touch(root, "a/x.ipynb", ".hidden/h.ipynb")
    touch(tmp_path, "elsewhere/y.ipynb")
    (root / link).symlink_to(target)
    assert found(root) == notebooks


def test_links_that_lead_to_each_other_end(tmp_path):
    touch(tmp_path, ".one/a.ipynb", ".two/b.ipynb")
    (tmp_path / ".one/two").symlink_to("../.two")
    (tmp_path / ".two/one").symlink_to("../.one")
    (tmp_path / "start").symlink_to(".one")
    assert found(tmp_path) == ["start/a.ipynb", "start/two/b.ipynb"]


def test_without_a_configuration_the_walk_stops_with_the_remedy(tmp_path):
    touch(tmp_path, *(f"n{number}.ipynb" for number in range(6)), "deep/er/x.ipynb")
    walk = scan(tmp_path.resolve(), configured=False, limit=5)
    assert list(walk.notebooks) == [f"n{number}.ipynb" for number in range(5)]
    assert codes(walk) == ["too-many-notebooks"]
    assert "create a nbpipe.toml" in walk.diagnostics[0].message
    assert len(found(tmp_path)) == 7


def test_exactly_as_many_as_allowed_are_no_problem(tmp_path):
    touch(tmp_path, *(f"n{number}.ipynb" for number in range(5)))
    assert scan(tmp_path.resolve(), configured=False, limit=5).diagnostics == ()


def test_the_walk_does_not_descend_from_the_home_folder_unless_it_is_configured(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    touch(tmp_path, "a.ipynb", "work/b.ipynb")
    assert found(tmp_path, configured=False) == ["a.ipynb"]
    assert found(tmp_path) == ["a.ipynb", "work/b.ipynb"]
    assert found(tmp_path / "work", configured=False) == ["b.ipynb"]


def test_a_folder_that_cannot_be_read_is_a_warning(tmp_path):
    touch(tmp_path, "a.ipynb")
    walk = scan(tmp_path.resolve() / "gone", configured=True)
    assert codes(walk) == ["unreadable-folder"]
    assert walk.diagnostics[0].severity == "warning"
    assert walk.notebooks == {}


def test_a_name_that_is_not_text_is_reported(tmp_path):
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.ipynb", os.O_CREAT | os.O_WRONLY))
    walk = scan(tmp_path.resolve(), configured=True)
    assert codes(walk) == ["unreadable-name"]
    assert walk.notebooks == {}
    walk.diagnostics[0].notebook.encode()


def test_all_files_are_remembered_with_the_folders_not_entered(tmp_path):
    touch(tmp_path, "a.ipynb", "data/x.csv", ".env", "node_modules/y.js")
    os.mkfifo(tmp_path / "pipe")
    walk = scan(tmp_path.resolve(), configured=True)
    assert walk.files == {"a.ipynb", "data/x.csv", ".env"}
    assert walk.folders == {"", "data"}
    assert walk.skipped == {"node_modules"}


def test_a_stamp_changes_when_the_file_is_replaced(tmp_path):
    touch(tmp_path, "a.ipynb", "b")
    before = scan(tmp_path.resolve(), configured=True).notebooks
    (tmp_path / "b").replace(tmp_path / "a.ipynb")
    assert scan(tmp_path.resolve(), configured=True).notebooks != before
