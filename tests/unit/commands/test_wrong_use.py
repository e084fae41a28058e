"""Wrong use of each kind is refused with what, where and what to do; nothing is started."""

from __future__ import annotations

import pytest

from nbpipe.cli.main import main
from tests.notebooks import write_notebook
from tests.stored import store_values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["statsu"], "there is no command 'statsu': did you mean 'status'?", id="command"),
        pytest.param(["frobnicate"], "`nbpipe --help` lists all", id="command like no other"),
        pytest.param(["runs", "shwo", "x"], "did you mean 'show'?", id="command of runs"),
        pytest.param(["status", "--jsn"], "there is no option --jsn: did you mean --json?", id="option"),
        pytest.param(["runs", "retry", "--from-failur", "x"], "did you mean --from-failure?", id="option of runs"),
        pytest.param(["--evn", "x", "list"], "did you mean --env?", id="option of all"),
        pytest.param(["list", "--frobnicate"], "--frobnicate: the options are --json", id="other option"),
        pytest.param(["show"], "missing argument 'ASSET'", id="argument missing"),
        pytest.param(["show", "orders", "total"], "unexpected extra argument", id="argument too many"),
        pytest.param(["runs", "--limit", "no"], "'no' is not a valid integer", id="no number"),
        pytest.param(["lineage", "--format", "svgg"], "'svgg'", id="no format"),
        pytest.param(["show", "totl"], "there is no asset 'totl': did you mean 'total'?", id="asset"),
        pytest.param(["why", "totl"], "did you mean 'total'?", id="asset of why"),
        pytest.param(["load", "totl"], "did you mean 'total'?", id="asset of load"),
        pytest.param(["verify", "totl"], "did you mean 'total'?", id="asset of verify"),
        pytest.param(["wipe", "totl", "--yes"], "did you mean 'total'?", id="asset of wipe"),
        pytest.param(["rename", "totl", "sum_of_all"], "did you mean 'total'?", id="asset of rename"),
        pytest.param(["rename", "total", "class"], "it is a keyword of Python", id="new name"),
        pytest.param(["rename", "total", "total"], "is its name already", id="same name"),
        pytest.param(["status", "totl"], "did you mean 'total'?", id="selection of nothing"),
        pytest.param(["status", "grup:shop"], "did you mean group:?", id="attribute"),
        pytest.param(["status", "group:shp"], "did you mean group:shop?", id="group"),
        pytest.param(["status", "(total"], "this bracket is never closed", id="selection"),
        pytest.param(["materialize", "totl"], "did you mean 'total'?", id="asset to materialize"),
        pytest.param(["materialize"], "write '*' for all", id="nothing selected"),
        pytest.param(["materialize", "*", "--param", "n"], "write NAME=VALUE", id="parameter without value"),
        pytest.param(["materialize", "*", "--param", "limt=3"], "did you mean 'limit'?", id="parameter"),
        pytest.param(["materialize", "*", "--stale", "--param", "limt=3"], "did you mean 'limit'?", id="no use"),
        pytest.param(["materialize", "*", "--param", "limit=many"], "is a whole number", id="type of parameter"),
        pytest.param(["materialize", "*", "--partition", "x"], "leave out --partition x", id="partition"),
        pytest.param(["materialize", "*", "--partitions", "a..b"], "leave out --partitions a..b", id="partitions"),
        pytest.param(["load", "total@x"], "total has no partitions: leave out @x", id="partition of a value"),
        pytest.param(["load", "total#x"], "the version after # is a number", id="version that is no number"),
        pytest.param(["load", "total#7"], "there is no version 'total#7': total has 1", id="version"),
        pytest.param(["rollback", "total", "7"], "there is no version 'total#7': total has 1", id="old version"),
        pytest.param(["wipe", "total#1"], "leave out #1", id="version where none belongs"),
        pytest.param(["runs", "show", "zzz"], "there is no run 'zzz': `nbpipe runs` lists them", id="run"),
        pytest.param(["runs", "cancel", "zzz"], "there is no run 'zzz'", id="run to cancel"),
        pytest.param(["runs", "retry", "zzz"], "there is no run 'zzz'", id="run to retry"),
        pytest.param(["run", "shp.ipynb"], "did you mean 'shop.ipynb'?", id="notebook"),
        pytest.param(["run", "nbpipe.toml"], "is not a notebook of this project", id="no notebook"),
        pytest.param(["run", "shop.ipynb", "-p", "limt", "3"], "did you mean 'limit'?", id="parameter of a notebook"),
        pytest.param(["--project", "nowhere", "list"], "there is no folder 'nowhere'", id="project"),
        pytest.param(["--env", "a/b", "list"], "environment 'a/b'", id="environment"),
        pytest.param(["lineage", "-o", "no/such/folder.svg"], "can't be written", id="file"),
        pytest.param(["lineage", "-o", "graph.png"], "graph.png: .png can't be written: end the name", id="picture"),
    ],
)
def test_wrong_use_is_refused_and_says_what_to_do(shop, terminal, words, message):
    store_values(shop, orders=[3], cleaned=[3], total=3)
    answer = terminal(*words)
    assert message in answer.err
    assert answer.err.startswith("nbpipe: ")
    assert "Traceback" not in answer.err
    assert (answer.status, answer.out) == (2, "")
    assert terminal.json("runs") == []


def test_what_was_never_computed_upstream_is_refused_with_the_selection_that_works(shop, terminal):
    answer = terminal("materialize", "total")
    assert answer.status == 2
    assert "needs cleaned, which has never been materialized" in answer.err
    assert "This selection would work: total orders cleaned" in answer.err


def test_a_broken_asset_is_refused_with_its_place(shop, terminal):
    write_notebook(shop / "more.ipynb", ["%%asset report\nreport = totl + 1"])
    answer = terminal("materialize", "report")
    assert answer.status == 2
    assert "more.ipynb, cell 1" in answer.err
    assert terminal("materialize", "status:running").status == 0, "what is broken blocks only selections that touch it"


def test_a_configuration_that_cant_be_read_is_refused(shop, terminal):
    (shop / "nbpipe.toml").write_text("storag = 'values'\n")
    answer = terminal("list")
    assert answer.status == 2
    assert "did you mean 'storage'?" in answer.err


def test_a_wrong_io_manager_is_refused_while_there_is_no_run_yet(shop, terminal):
    (shop / "nbpipe.toml").write_text("[io.lake]\ntype = 'file'\n")
    answer = terminal("materialize", "*")
    assert answer.status == 2
    assert "io.lake.type: 'file' is no type of I/O manager: did you mean 'files'?" in answer.err
    assert terminal.json("runs") == []


def test_control_characters_in_a_message_are_escaped(shop, terminal):
    answer = terminal("show", "\x1b[31mred")
    assert "\x1b" not in answer.err
    assert "x1b[31mred" in answer.err


def test_a_bug_of_ours_shows_where_it_is(shop, monkeypatch):
    def broken(workspace):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("nbpipe.commands.workspace.Workspace.select", broken)
    with pytest.raises(TypeError):
        main(["list"])
