"""Commands about single partitions do the same on every state store."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe import clock
from nbpipe.commands.dynamic_keys import keys_named
from nbpipe.commands.invoke import invoke
from nbpipe.commands.partitions import partitions_found
from nbpipe.commands.references import find, history
from nbpipe.commands.workspace import Workspace
from nbpipe.core.ports import StateStore
from nbpipe.errors import MissingValueError, RefusedError
from tests.notebooks import write_notebook
from tests.stored import commit_partitions

CELLS = (
    "%%asset daily --partitions daily:2024-01-01..2024-01-31\ndaily = 1",
    "%%asset city --partitions 'date=daily:2024-01-01..2024-01-03 x town=dynamic:towns'\ncity = 1",
    "%%asset static --partitions static:b,a\nstatic = 1",
)
DAYS = [f"2024-01-{day:02}" for day in range(1, 32)]


@pytest.fixture
def workspace(project: Path, store: StateStore) -> Workspace:
    """Return a project whose state is in the store under test."""
    write_notebook(project / "shop.ipynb", CELLS)
    opened = Workspace.open(project)
    opened._store = store
    return opened


def ranges(workspace: Workspace, asset: str) -> dict[str, tuple[str, ...]]:
    return dict(partitions_found(workspace, asset).ranges)


def test_wiping_a_range_leaves_the_rest_and_versions_go_on_counting(workspace):
    commit_partitions(workspace, "daily", dict.fromkeys(DAYS, 1))
    commit_partitions(workspace, "daily", dict.fromkeys(DAYS[:3], 2))
    found = invoke("wipe", ["daily@2024-01-02..2024-01-20", "--yes"], workspace)
    assert (found.partitions, found.values) == (19, 21)
    assert ranges(workspace, "daily") == {
        "missing": ("2024-01-02..2024-01-20",),
        "fresh": ("2024-01-01", "2024-01-21..2024-01-31"),
    }
    commit_partitions(workspace, "daily", {DAYS[1]: 3})
    assert find(workspace, "daily@2024-01-02").version == 3
    assert [each.expired for each in history(workspace, "daily", DAYS[1])] == [False, True, True]
    assert invoke("wipe", ["daily", "--yes"], workspace).partitions == 13
    assert ranges(workspace, "daily") == {"missing": ("2024-01-01..2024-01-31",)}


def test_a_box_of_two_dimensions_is_wiped(workspace):
    invoke("partitions", ["add", "towns", "x|y", "New York", "ü"], workspace)
    towns = ['"x|y"', '"New York"', "ü"]
    commit_partitions(workspace, "city", {f"{day}|{town}": town for day in DAYS[:3] for town in towns})
    found = invoke("wipe", ['city@2024-01-01..2024-01-02|"x|y".."New York"', "--yes"], workspace)
    assert (found.partitions, found.values) == (4, 4)
    assert ranges(workspace, "city") == {
        "missing": ('2024-01-01..2024-01-02|"x|y"', '2024-01-01..2024-01-02|"New York"'),
        "fresh": ('2024-01-03|"x|y"', '2024-01-03|"New York"', "2024-01-01..2024-01-03|ü"),
    }
    with pytest.raises(MissingValueError):
        find(workspace, 'city@2024-01-02|"x|y"')
    assert find(workspace, 'city@2024-01-03|"x|y"').version == 1


def test_a_rollback_of_one_partition(workspace):
    for value in (1, 2, 3):
        commit_partitions(workspace, "daily", dict.fromkeys(DAYS[:2], value))
    found = invoke("rollback", ["daily@2024-01-02", "1"], workspace)
    assert (found.partition, found.version, found.previous) == ("2024-01-02", 1, 3)
    assert [find(workspace, f"daily@{day}").version for day in DAYS[:2]] == [3, 1]
    invoke("wipe", ["daily@2024-01-02", "--yes"], workspace)
    with pytest.raises(RefusedError, match="kept: none"):
        invoke("rollback", ["daily@2024-01-02", "1"], workspace)


def test_deleted_keys_take_their_partitions_with_them_and_bring_them_back(workspace):
    assert invoke("partitions", ["add", "towns", "a", "b"], workspace).added == ("a", "b")
    commit_partitions(workspace, "city", {f"{DAYS[0]}|{town}": 1 for town in "ab"})
    assert invoke("partitions", ["delete", "towns", "a"], workspace).deleted == ("a",)
    assert partitions_found(workspace, "city").total == 3
    assert list(keys_named(workspace, "towns")) == ["b"]
    assert invoke("partitions", ["add", "towns", "c", "a"], workspace).added == ("c", "a")
    assert list(keys_named(workspace, "towns")) == ["a", "b", "c"]
    assert partitions_found(workspace, "city").fresh == 2
    assert find(workspace, f"city@{DAYS[0]}|a").version == 1


def test_a_rename_moves_what_is_known_of_partitions(workspace):
    commit_partitions(workspace, "static", {"a": 1, "b": 2})
    invoke("rename", ["static", "fixed"], workspace)
    write_notebook(workspace.root / "shop.ipynb", ["%%asset fixed --partitions static:c,a,b\nfixed = 1"])
    workspace.reload()
    assert [find(workspace, f"fixed@{key}").partition for key in "ab"] == ["a", "b"]
    assert ranges(workspace, "fixed")["missing"] == ("c",)


def test_a_failure_alone_is_forgotten_too(workspace):
    from pyroaring import BitMap

    outer, inner = workspace.book.of("daily").position(DAYS[4])
    workspace.store.partitions.fail("default", "daily", {outer: BitMap([inner])}, "boom", at=clock.now())
    assert ranges(workspace, "daily")["failed"] == (DAYS[4],)
    found = invoke("wipe", ["daily@2024-01-05", "--yes"], workspace)
    assert (found.partitions, found.values) == (1, 0)
    assert ranges(workspace, "daily") == {"missing": ("2024-01-01..2024-01-31",)}


# --- other partitions than before ---


def declare(workspace: Workspace, spec: str) -> None:
    write_notebook(workspace.root / "shop.ipynb", [f"%%asset daily --partitions '{spec}'\ndaily = 1"])
    workspace.reload()


@pytest.mark.parametrize(
    "spec", ["dynamic:towns", "hourly:2024-01-01T00..2024-01-02T00", "d=daily:2024-01-01..2024-01-31 x s=static:a"]
)
def test_what_is_stored_is_never_taken_for_other_partitions(workspace, spec):
    commit_partitions(workspace, "daily", {DAYS[0]: 1})
    declare(workspace, spec)
    with pytest.raises(RefusedError, match=r"\(daily\).*nbpipe wipe daily"):
        partitions_found(workspace, "daily")
    with pytest.raises(RefusedError, match="nbpipe wipe daily"):
        find(workspace, "daily@x")
    assert workspace.assess()["daily"].status == "missing"
    with pytest.raises(RefusedError, match="nbpipe wipe daily"):
        workspace.book.register("daily", at=clock.now())
    assert invoke("wipe", ["daily", "--yes"], workspace).values == 1
    workspace.book.register("daily", at=clock.now())
    assert partitions_found(workspace, "daily").materialized == 0


def test_a_change_that_is_undone_finds_everything_again(workspace):
    commit_partitions(workspace, "daily", {DAYS[0]: 1})
    declare(workspace, "static:a,b")
    declare(workspace, "daily:2023-12-01..2024-12-31@Europe/Berlin")
    assert find(workspace, f"daily@{DAYS[0]}").version == 1


def test_partitions_of_which_nothing_is_stored_any_more_may_change(workspace):
    commit_partitions(workspace, "daily", {DAYS[0]: 1})
    invoke("wipe", [f"daily@{DAYS[0]}", "--yes"], workspace)
    declare(workspace, "static:a,b")
    commit_partitions(workspace, "daily", {"b": 2})
    assert ranges(workspace, "daily") == {"missing": ("a",), "fresh": ("b",)}
    declare(workspace, "static:b,a,c")
    assert ranges(workspace, "daily") == {"missing": ("a", "c"), "fresh": ("b",)}
