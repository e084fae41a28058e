"""Commands called by name, as the magics do."""

from __future__ import annotations

import importlib

import click
import pytest

from nbpipe.commands.invoke import Usage, command, invoke, parse
from nbpipe.commands.registry import COMMANDS, HIDDEN, MAGIC_COMMANDS
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import UnknownNameError, UsageError


@pytest.mark.parametrize("name", [*COMMANDS, *HIDDEN])
def test_every_command_has_a_definition_of_its_name(name):
    found = command(name)
    assert isinstance(found, click.Command)
    assert found.name == name
    assert found.help


def test_a_magic_is_a_command_of_the_terminal():
    assert MAGIC_COMMANDS.items() <= COMMANDS.items()


def test_an_unknown_command_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'status'"):
        command("statu")


def test_a_command_returns_its_data(shop):
    with Workspace.open(shop) as workspace:
        rows = invoke("status", ["total"], workspace)
    assert [(row.asset, row.status) for row in rows] == [("total", "missing")]


def test_the_words_of_a_command_are_read_without_carrying_it_out():
    words = ["group:a", "or", "b", "--stale", "--param", "n=3"]
    none = {"partition": None, "partitions": None}
    assert parse("materialize", words) == {"selection": "group:a or b", "stale": True, "parameters": {"n": 3}, **none}
    assert parse("materialize", []) == {"selection": "", "stale": False, "parameters": {}, **none}


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("status", ["--help"], "Usage: status [OPTIONS] [SELECTION]"),
        ("runs", ["retry", "--help"], "Usage: runs retry [OPTIONS] ID"),
        ("runs", ["--help"], "retry"),
    ],
)
def test_help_is_an_answer(shop, name, words, expected):
    for answer in (parse(name, words), invoke(name, words, Workspace.open(shop))):
        assert isinstance(answer, Usage)
        assert expected in str(answer)


def test_wrong_words_are_our_errors(shop):
    with pytest.raises(UsageError, match=r"there is no option --stael: did you mean --stale\?"):
        parse("materialize", ["--stael"])
    with pytest.raises(UsageError, match="give only one of them"):
        invoke("materialize", ["*", "--partition", "x", "--partitions", "x..y"], Workspace.open(shop))
    with pytest.raises(UsageError, match="no option --jso"):
        invoke("status", ["--jso"], Workspace.open(shop))


@pytest.mark.parametrize("name", ["list", "status", "validate", "show", "why"])
def test_what_only_looks_needs_no_execution(name):
    module = importlib.import_module(f"nbpipe.commands.{name}")
    assert not [
        each for each in vars(module).values() if getattr(each, "__module__", "").startswith("nbpipe.execution")
    ]
