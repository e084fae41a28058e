"""Plans of runs with partitions, and why there is none."""

import re

import pytest

from nbpipe.core.graph import AssetGraph
from nbpipe.core.partitions.ranges import parse_ranges
from nbpipe.core.runs.partition_plans import PartitionRequest, read_roots
from nbpipe.core.runs.planning import plan_run
from nbpipe.core.selection import resolve
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.errors import DeclarationError, RefusedError, UnknownNameError
from tests.unit.core.assets import project
from tests.unit.core.runs.test_partition_choice import DAILY, JANUARY, MONTHLY, NOW, asset, book_of

SHOP = (
    asset("raw"),
    asset("day", "raw", DAILY, index=1),
    asset("month", "day", MONTHLY, notebook="b.ipynb"),
    asset("total", "month", index=2),
    asset("last", "day", index=3, map=["day=latest"]),
    asset("other", "", "static:eu,us", index=4),
    asset("balance", "day", DAILY, own=True, map=["balance=offset(-1)"], index=5),
)


def plan(selection, text=None, *, stored=None, materialized=("raw",), specs=SHOP, one=None, **wanted):
    """Plan a run with `--partitions text`, or `--partition text` if it is a key."""
    definitions, book = project(*specs), book_of(*specs)
    graph = AssetGraph.of(definitions)
    keys = graph.arrange(resolve(parse_selection(selection), graph, definitions.assets))
    one = ".." not in (text or "") if one is None else one
    chosen = [definitions.assets[key] for key in keys]
    executed = {key: parse_ranges(book.of(key), found.split(), NOW) for key, found in (stored or {}).items()}
    executed = {
        key: executed.get(key, parse_ranges(book.of(key), [], NOW)) for key in definitions.assets if book.of(key)
    }
    request = PartitionRequest(
        book=book,
        roots=None if text is None else read_roots(chosen, book, text, NOW, one=one),
        executed=executed,
        now=NOW,
        words="" if text is None else f"--partition{'' if one else 's'} {text}",
        **wanted,
    )
    return plan_run(
        definitions, graph, keys, env="default", materialized=materialized, selection=selection, partitions=request
    )


def test_a_plan_names_the_partitions_of_each_asset_and_the_sets_that_are_read():
    found = plan("month total", "2024-01-01..2024-02-01", stored={"day": "2024-01-01..2024-02-29"})
    assert found.partitions == {"month": ("2024-01-01..2024-02-01",)}
    assert found.sets == {"day": DAILY, "month": MONTHLY}
    assert [step.assets for step in found.steps] == [("month",), ("total",)]
    assert found.notes == ()


def test_days_and_their_months_run_together_and_what_is_incomplete_is_left_out():
    found = plan("day month total", "2024-01-01..2024-02-10")
    assert found.partitions == {"day": ("2024-01-01..2024-02-10",), "month": ("2024-01-01",)}
    assert found.notes == ("left out: month@2024-02-01 needs 2024-02-11..2024-02-29 of day, which have no value",)


def test_partitions_that_no_partition_upstream_feeds_need_none_of_it():
    late = (asset("late", "", "daily:2024-01-05"), asset("day", "late", DAILY, index=1), asset("all", "late", index=2))
    found = plan("day", "2024-01-01..2024-01-04", specs=late)
    assert found.partitions == {"day": ("2024-01-01..2024-01-04",)}
    with pytest.raises(RefusedError, match="day@2024-01-05 needs 2024-01-05 of late"):
        plan("day", "2024-01-05", specs=late)
    with pytest.raises(RefusedError, match="all needs late, which has never been materialized"):
        plan("all", specs=late)


def test_an_asset_of_which_nothing_is_executed_is_not_in_the_plan():
    found = plan("day month", "2024-01-05")
    assert [spec.key for spec in found.assets] == ["day"]
    assert [step.notebook for step in found.steps] == ["a.ipynb"]
    assert "month@2024-01-01 needs" in found.notes[0]


def test_what_needs_what_is_left_out_is_left_out_too():
    found = plan("day month total last", "2024-01-05")
    assert [spec.key for spec in found.assets] == ["day"]
    assert [note.partition(" needs ")[0] for note in found.notes] == [
        "left out: last",
        "left out: month@2024-01-01",
        "left out: total",
    ]
    found = plan("day month total", "2024-01-05", stored={"month": "2024-02-01"})
    assert [spec.key for spec in found.assets] == ["day", "total"]


def test_without_partitions_nothing_is_different():
    found = plan("raw")
    assert (found.partitions, found.sets) == ({}, {})


@pytest.mark.parametrize(
    ("selection", "text", "stored", "message", "works"),
    [
        ("day", None, {}, "day has partitions: say which with --partition 2024-04-14 (the latest complete one)", None),
        ("raw day month", None, {}, "day has partitions (so has month)", None),
        (
            "month",
            "2024-02-01",
            {"day": JANUARY},
            "month@2024-02-01 needs 2024-02-01..2024-02-29 of day, which have no value",
            "day month --partitions 2024-02-01..2024-02-29",
        ),
        (
            "month",
            "2024-01-01..2024-02-01",
            {"day": "2024-01-01..2024-01-30"},
            "2024-01-01..2024-02-01 of month need 2024-01-31..2024-02-29 of day",
            "day month --partitions 2024-01-01..2024-02-29",
        ),
        ("month", "2024-04-01", {"day": "2024-01-01..2024-04-14"}, "(the time has not come)", None),
        ("last", None, {"day": JANUARY}, "last needs 2024-04-14 of day", "day last --partition 2024-04-14"),
        ("balance", "2024-01-05", {"day": JANUARY}, "balance@2024-01-05 needs 2024-01-04 of balance", None),
        ("raw", "2024-01-05", {}, "nothing that is selected has partitions: leave out --partition 2024-01-05", None),
        ("total", None, {}, "total needs month, which has never been materialized", None),
    ],
)
def test_what_cannot_run_is_refused_with_what_works(selection, text, stored, message, works):
    with pytest.raises(RefusedError) as caught:
        plan(selection, text, stored=stored)
    assert message in str(caught.value)
    if works:
        assert str(caught.value).endswith(f"This selection would work: {works}")
        names, option = works.split(" --")
        assert plan(names, option.split()[1], stored=stored).partitions


def test_an_upstream_without_partitions_is_missing_as_ever():
    with pytest.raises(RefusedError, match=re.escape("would work: day raw --partition 2024-01-05")):
        plan("day", "2024-01-05", materialized=())
    with pytest.raises(RefusedError, match=re.escape("would work: raw day month --partitions 2024-02-01..2024-02-29")):
        plan("month", "2024-02-01", materialized=())


def test_what_is_not_strict_leaves_out_unless_nothing_remains():
    found = plan("month", "2024-01-01..2024-02-01", stored={"day": JANUARY}, strict=False)
    assert found.partitions == {"month": ("2024-01-01",)}
    with pytest.raises(RefusedError, match="month@2024-02-01 needs"):
        plan("month", "2024-02-01", stored={"day": JANUARY}, strict=False)


@pytest.mark.parametrize(
    ("selection", "text", "kind", "message"),
    [
        ("other", "uk", UnknownNameError, "there is no partition of other 'uk': keys are eu, us"),
        ("other", "euu", UnknownNameError, "there is no partition of other 'euu': did you mean 'eu'?"),
        ("day", "2024-13-01", UnknownNameError, "there is no partition of day '2024-13-01': "),
        ("day", "2024-02-10..2024-02-01", DeclarationError, "day (daily:2024-01-01): "),
        ("day", "2024-02-10..", DeclarationError, "a key is missing"),
        ("day other", "2024-02-01..2024-02-02", DeclarationError, "other (static:eu,us): "),
    ],
)
def test_a_wrong_key_or_range_is_explained(selection, text, kind, message):
    with pytest.raises(kind) as caught:
        plan(selection, text)
    assert message in str(caught.value)
    if kind is DeclarationError:
        assert caught.value.column is not None


def test_before_the_first_window_has_ended_there_is_nothing_to_run():
    specs = [asset("day", "", "daily:2024-04-15"), asset("each", "", "dynamic:customers", index=1)]
    with pytest.raises(RefusedError, match="day has no partitions yet: the first window, 2024-04-15, has not ended"):
        plan("day", "*", specs=specs, one=False)
    with pytest.raises(RefusedError, match="each has no partitions yet: add keys with `nbpipe partitions add"):
        plan("each", "*", specs=specs, one=False)
    with pytest.raises(RefusedError, match="it has none yet"):
        plan("day", None, specs=specs)
