from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.errors import ConfigError, RefusedError
from nbpipe.loading.roots import find_root, holds_home, state_folder


def below(folder: Path, path: str) -> Path:
    (folder / path).mkdir(parents=True, exist_ok=True)
    return folder / path


@pytest.mark.parametrize(
    ("files", "root"),
    [
        (["nbpipe.toml"], "."),
        (["a/nbpipe.toml"], "a"),
        (["nbpipe.toml", "a/nbpipe.toml"], "a"),
        ([".nbpipe/state.db"], "."),
        (["nbpipe.toml", "a/.nbpipe/state.db"], "a"),
        (["a/pyproject.toml=[tool.nbpipe]"], "a"),
        (["nbpipe.toml", "a/pyproject.toml=[tool.ruff]"], "."),
        (["nbpipe.toml", "a/pyproject.toml=dependencies = nbpipe [[["], "."),
        (["a/pyproject.toml=[tool]\nnbpipe = {}"], "a"),
        ([], "a/b"),
    ],
)
def test_the_nearest_mark_upward_is_the_root(tmp_path, files, root):
    for file in files:
        name, _, content = file.partition("=")
        below(tmp_path, str(Path(name).parent))
        (tmp_path / name).write_text(content)
    start = below(tmp_path, "a/b")
    assert find_root(start) == (tmp_path / root).resolve()


def test_a_file_may_be_the_start(tmp_path):
    (tmp_path / "nbpipe.toml").touch()
    notebook = below(tmp_path, "a") / "x.ipynb"
    notebook.touch()
    assert find_root(notebook) == tmp_path.resolve()


def test_a_broken_pyproject_that_configures_nbpipe_is_named(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.nbpipe]\nstate = \n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml is not TOML"):
        find_root(tmp_path)


def test_state_left_in_the_home_folder_claims_nothing_below(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    below(tmp_path, ".nbpipe")
    start = below(tmp_path, "work/project")
    assert find_root(start) == start.resolve()
    assert find_root(tmp_path) == tmp_path.resolve()


def test_a_configured_home_folder_is_a_root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "nbpipe.toml").touch()
    assert find_root(below(tmp_path, "work")) == tmp_path.resolve()


def test_home_and_what_is_above_it_hold_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(below(tmp_path, "home/me")))
    assert holds_home(tmp_path / "home" / "me")
    assert holds_home(tmp_path)
    assert not holds_home(tmp_path / "home" / "you")


def test_our_folder_ignores_itself_and_stays_as_it_is(tmp_path):
    folder = state_folder(tmp_path)
    assert (folder / ".gitignore").read_text() == "*\n"
    (folder / ".gitignore").write_text("mine")
    assert state_folder(tmp_path) == folder
    assert (folder / ".gitignore").read_text() == "mine"


def test_a_root_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / ".nbpipe").write_text("a file in the way")
    with pytest.raises(RefusedError, match=r"\.nbpipe can't be written"):
        state_folder(tmp_path)
