"""Setting a project up, and looking after it."""

from __future__ import annotations

import tomllib
from datetime import timedelta

import pytest

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import Run
from nbpipe.loading.config import load_config
from tests.notebooks import read_notebook, write_notebook
from tests.stored import store_values


def problems(checks):
    return {each["check"]: each for each in checks if each["level"] == "problem"}


# --- init ---


def test_init_makes_a_project_that_can_be_used_at_once(tmp_path, monkeypatch, terminal):
    monkeypatch.chdir(tmp_path)
    found = terminal.json("init", "new project", "--example")
    root = tmp_path / "new project"
    assert found == {"root": str(root), "created": ["nbpipe.toml", ".nbpipe/", "example.ipynb"]}
    assert (root / ".nbpipe" / ".gitignore").read_text() == "*\n"
    monkeypatch.chdir(root)
    assert [row["asset"] for row in terminal.json("list")] == ["celsius", "mean"]
    assert terminal("validate").out == "nothing is wrong with the definitions\n"


def test_init_overwrites_nothing(shop, terminal):
    (shop / "nbpipe.toml").write_text("[retention]\nvalues = 5\n")
    write_notebook(shop / "example.ipynb", ["mine = 1"])
    assert terminal.json("init", "--example")["created"] == [".nbpipe/"]
    assert terminal.json("init")["created"] == []
    assert (shop / "nbpipe.toml").read_text() == "[retention]\nvalues = 5\n"
    assert read_notebook(shop / "example.ipynb")["cells"][0]["source"] == "mine = 1"


def test_init_respects_a_configuration_in_pyproject(tmp_path, monkeypatch, terminal):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.nbpipe]\n")
    assert terminal.json("init")["created"] == [".nbpipe/"]


def test_every_commented_setting_of_the_new_configuration_is_valid(tmp_path, monkeypatch, terminal):
    monkeypatch.chdir(tmp_path)
    terminal("init")
    file = tmp_path / "nbpipe.toml"
    lines = [line.removeprefix("# ") for line in file.read_text().splitlines()]
    settings = [line for line in lines if line.startswith("[") or " = " in line]
    seen: set[str] = set()
    kept = []
    for line in settings:
        name = line.partition(" = ")[0]
        if not (line.startswith("[") or name not in seen):
            continue
        seen = set() if line.startswith("[") else seen | {name}
        kept.append(line)
    file.write_text("\n".join(kept))
    tables = {"state", "storage", "locations", "io", "jobs", "schedules", "executor", "limits", "retention", "env"}
    assert set(tomllib.loads(file.read_text())) == tables
    assert load_config(tmp_path, "prod").storage == "s3://my-bucket/prod"


# --- doctor ---


def test_doctor_finds_nothing_wrong_with_a_good_project(shop, terminal):
    checks = terminal.json("doctor")
    assert [list(each) for each in checks] == [["check", "level", "message", "remedy"]] * len(checks)
    assert problems(checks) == {}
    assert {"python", "packages", "project", "definitions", "file system", "state", "storage files"} <= {
        each["check"] for each in checks
    }
    assert "kernel python3: " in terminal("doctor").out


def test_doctor_names_a_remedy_for_each_problem(shop, terminal):
    write_notebook(shop / "more.ipynb", ["%%asset report\nreport = nothing"], kernelspec={"name": "julia-1.9"})
    answer = terminal("doctor", "--json")
    found = problems(answer.data)
    assert answer.status == 1
    assert set(found) == {"definitions", "kernel julia-1.9"}
    assert all(each["remedy"] for each in found.values())


def test_doctor_tells_of_a_damaged_state(shop, terminal):
    store_values(shop, orders=[1])
    state = shop / ".nbpipe" / "state.db"
    content = bytearray(state.read_bytes())
    content[4096:8192] = b"\x55" * 4096
    state.write_bytes(content)
    answer = terminal("doctor", "--json")
    assert answer.status == 1
    assert "state" in problems(answer.data)


def test_doctor_tells_of_a_configuration_that_cant_be_read(shop, terminal):
    (shop / "nbpipe.toml").write_text("storag = 1\n")
    answer = terminal("doctor")
    assert answer.status == 1
    assert "did you mean 'storage'" in answer.out


def test_doctor_tells_of_storage_that_cant_be_written(shop, terminal):
    (shop / "occupied").write_text("a file")
    (shop / "nbpipe.toml").write_text("storage = 'occupied/values'\n")
    answer = terminal("doctor", "--json")
    assert answer.status == 1
    assert any("occupied" in each["message"] for each in problems(answer.data).values())


def test_doctor_tells_of_a_run_that_no_process_takes(shop, terminal):
    with Workspace.open(shop) as workspace:
        run = Run(id="01a", env="default", created_at=clock.now() - timedelta(hours=3))
        workspace.store.create_run(run, [], [], b"")
    found = problems(terminal("doctor", "--json").data)
    assert found["runs"]["remedy"] == "nbpipe daemon, or nbpipe runs cancel 01a"
    assert terminal.json("runs", "cancel", "01a")["status"] == "canceled"
    assert problems(terminal("doctor", "--json").data) == {}


# --- what can't be written ---


@pytest.mark.parametrize("command", ["list", "status", "validate", "lineage"])
def test_looking_at_a_project_in_a_folder_that_cant_be_written(shop, terminal, monkeypatch, command):
    import nbpipe.loading.roots

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(nbpipe.loading.roots.Path, "mkdir", refuse)
    assert terminal(command).status == 0
