"""Keys of dynamic sets, and single partitions, from cells of a notebook."""

from __future__ import annotations

import pytest

import nbpipe
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import UnknownNameError
from tests.live import person
from tests.stored import store_partitions

ORDERS = "%%asset orders --partitions dynamic:customers\norders = partition.key"
FINDER = "%%asset finder\nnames = ['a', 'New York']\nfinder = len(nbpipe.add_partitions('customers', names))"


@pytest.fixture
def me(project):
    with person(project, ["import nbpipe", ORDERS, FINDER]) as at_work:
        at_work.run(0).ok()
        yield at_work


def test_an_asset_finds_the_keys_of_another(me):
    me.run(2).ok()
    assert me.names["finder"] == 2
    assert list(nbpipe.partition_keys("orders")) == ["a", "New York"]
    assert me.type("list(nbpipe.partition_keys('customers'))").result.result == ["a", "New York"]


def test_a_partition_is_loaded_in_a_cell(me):
    me.run(2).ok()
    store_partitions(me.notebook.parent, "orders", {"New York": 3})
    assert me.type("nbpipe.load('orders', partition='New York')").result.result == 3
    assert me.type("nbpipe.load('orders@New York#1')").result.result == 3
    assert "did you mean 'New York'" in str(me.type("nbpipe.load('orders@New Yorc')").error)


def test_keys_are_added_also_where_the_working_folder_is_another(me, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert me.type("nbpipe.add_partitions('customers', ['x'])").result.result == ("x",)
    with Workspace.open(me.notebook) as workspace:
        assert workspace.book.of("orders").is_valid("x")


def test_after_the_kernel_the_working_folder_counts_again(me, tmp_path, monkeypatch):
    me.stop()
    monkeypatch.chdir(tmp_path)
    try:
        with pytest.raises(UnknownNameError, match="customers"):
            nbpipe.add_partitions("customers", ["x"])
    finally:
        me.start()


def test_a_set_that_an_unsaved_cell_declares_takes_keys(me):
    me.type("%%asset shops --partitions dynamic:towns\nshops = partition.key", "unsaved")
    assert me.type("nbpipe.add_partitions('towns', ['Zürich'])").ok().result.result == ("Zürich",)
    assert list(nbpipe.partition_keys("shops")) == ["Zürich"]
