"""Assets with and without partitions next to each other: small tables, and a model that goes key by key."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.partitions.explaining import partition_notes, partition_reasons
from nbpipe.core.partitions.records import NewPartition
from nbpipe.core.partitions.state import STATUSES
from tests.unit.core.assets import changed
from tests.unit.core.partitions.worlds import ENV, NOW, Project, status_of

SPAN = "2024-01-08..2024-01-13"
SHAPES = {
    "both kinds": [
        ("raw", None, "", {}, {"parameters": ("n",), "files": ("f.csv",)}),
        ("daily", f"daily:{SPAN}", "raw", {}, {"parameters": ("n",)}),
        ("weekly", "weekly:2024-01-08", "daily", {}, {}),
        ("every", None, "daily", {}, {"parameters": ("n",)}),
        ("newest", None, "daily raw", {"daily": "latest"}, {}),
        ("parts", "static:x,y", "every raw", {}, {"files": ("f.csv",)}),
        ("end", None, "parts weekly", {"parts": "keys(x)"}, {}),
    ],
    "grains and dimensions": [
        ("hourly", "hourly:2024-01-13T20..2024-01-14T03", "", {}, {"files": ("f.csv",)}),
        ("daily", "daily:2024-01-13..2024-01-15", "hourly daily", {"daily": "offset(-1)"}, {"parameters": ("n",)}),
        ("sales", "date=daily:2024-01-13..2024-01-15 x r=static:eu,us", "daily", {}, {}),
        ("regions", "static:eu,us", "sales", {}, {}),
        ("monthly", "monthly:2023-12-01", "sales", {"sales": "r=all"}, {"parameters": ("n",)}),
        ("sum", None, "regions monthly", {}, {}),
        ("again", "daily:2024-01-12..2024-01-14", "sum daily", {}, {}),
    ],
}
WHOLE_EVENTS = ["materialize", "materialize", "fail", "wipe", "hold"]
EVENTS = [*WHOLE_EVENTS, "materialize", "skip", "start", "stop"]
CHANGES = ["code", "parameter", "file"]


def actual(world):
    found, states = world.assessed()
    statuses = {}
    for name in world.specs:
        for key in world.keys(name):
            statuses[name, key] = states[name].status_of(key) if key else found[name].status
    return statuses


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=30)
@given(data=st.data())
def test_state_is_that_of_a_model_after_any_events_and_changes_of_definitions(shape, data):
    world = Project(*SHAPES[shape])
    if data.draw(st.integers(0, 3)):
        fill(world)
    for _ in range(data.draw(st.integers(0, 10))):
        name = data.draw(st.sampled_from(sorted(world.specs)))
        event = data.draw(st.sampled_from([*EVENTS, *CHANGES]))
        if event in CHANGES:
            value = str(data.draw(st.integers(1, 2)))
            change(world, event, name, value)
            continue
        key = data.draw(st.sampled_from(world.keys(name)))
        if key or event in WHOLE_EVENTS:
            world.do(event, name, key, content=data.draw(st.sampled_from([None, "x", "y"])))
    assert actual(world) == world.expected()
    assert actual(world) == world.expected()  # from what is remembered
    found, states = world.assessed()
    for name, state in states.items():
        counts = state.counts
        assert counts.total == len(world.keys(name)) == sum(getattr(counts, status) for status in STATUSES)
        assert found[name].status == status_of(found[name], state)
        assert found[name].partitions == counts
        assert bool(found[name].reasons) == bool(counts.failed or counts.missing or counts.stale)


def change(world, what, name, value):
    if what == "code":
        world.specs[name] = changed(world.specs[name], code=(("body", value),))
    elif what == "parameter":
        world.defaults["n"] = value
    else:
        world.files["f.csv"] = f"f{value}"


def fill(world):
    for name in world.specs:
        for key in world.keys(name):
            world.do("materialize", name, key)
    return world


# --- in words ---


def lines(world, **options):
    found, states = world.assessed(**options)
    return {name: found[name].reasons for name in states if found[name].reasons}


def fresh(*assets):
    return fill(Project(*assets))


DAILY = ("daily", "daily:2024-01-08..2024-01-13", "", {}, {"parameters": ("n",), "files": ("f.csv",)})
WHOLE = ("raw", None, "", {}, {})
DAYS = [f"2024-01-{day:02}" for day in range(8, 14)]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (lambda world: change(world, "code", "daily", "2"), "6 of 6 partitions are stale: code changed"),
        (lambda world: change(world, "parameter", "daily", "2"), "6 of 6 partitions are stale: parameter n: 1 -> 2"),
        (lambda world: change(world, "file", "daily", "2"), "6 of 6 partitions are stale: file f.csv changed"),
        (lambda world: world.files.clear(), "6 of 6 partitions are stale: file f.csv is gone"),
        (lambda world: world.do("fail", "daily", DAYS[0]), "1 of 6 partitions failed: 2024-01-08"),
        (lambda world: world.do("wipe", "daily", DAYS[5]), "1 of 6 partitions is missing: 2024-01-13"),
        (
            lambda world: [world.do("wipe", "daily", key) for key in DAYS[1:3]],
            "2 of 6 partitions are missing: 2024-01-09..2024-01-10",
        ),
        (lambda world: [world.do("wipe", "daily", key) for key in DAYS], "never materialized"),
    ],
)
def test_reasons_have_numbers_and_ranges(what, expected):
    world = fresh(DAILY)
    assert lines(world) == {}
    what(world)
    assert lines(world) == {"daily": (expected,)}


def test_reasons_of_several_recipes_are_counted_apart():
    world = fresh(DAILY)
    change(world, "code", "daily", "2")
    for key in DAYS[:2]:
        world.do("materialize", "daily", key)
    change(world, "parameter", "daily", "2")
    world.do("materialize", "daily", DAYS[0])
    world.do("hold", "daily", DAYS[5])
    assert lines(world)["daily"] == (
        "3 of 6 partitions are stale: code changed",
        "4 of 6 partitions are stale: parameter n: 1 -> 2",
    )
    found, states = world.assessed()
    assert found["daily"].notes == ("1 of 6 partitions is held (rolled back)",)
    assert partition_reasons(states["daily"], DAYS[1]) == ("parameter n: 1 -> 2",)
    assert partition_reasons(states["daily"], DAYS[2]) == ("code changed", "parameter n: 1 -> 2")
    assert partition_reasons(states["daily"], DAYS[0]) == partition_reasons(states["daily"], DAYS[5]) == ()


def test_with_parameters_of_a_run_what_was_made_with_others_is_stale():
    world = fresh(DAILY)
    assert lines(world, parameters={"n": "7"}) == {"daily": ("6 of 6 partitions are stale: parameter n: 1 -> 7",)}
    assert lines(world) == {}


def test_what_was_made_with_other_values_than_the_defaults_is_noted():
    world = fresh(DAILY)
    with_parameters(world, "daily", DAYS[1], n="7")
    found, states = world.assessed()
    assert (found["daily"].status, found["daily"].reasons) == ("fresh", ())
    assert found["daily"].notes == ("1 of 6 partitions made with n=7 (default 1)",)
    assert partition_notes(states["daily"], DAYS[1]) == ("made with n=7 (default 1)",)
    assert partition_notes(states["daily"], DAYS[2]) == ()


def with_parameters(world, name, key, **values):
    """Store a partition that was made with values of parameters other than the defaults."""
    position = world.book.of(name).position(key)
    new = msgspec.structs.replace(world.new(name, key, "v"), parameters=values)
    world.store.partitions.commit([NewPartition(position=position, value=new)])


@pytest.mark.parametrize(
    ("event", "key", "expected"),
    [
        ("materialize", DAYS[0], {"weekly": "upstream daily has newer data", "every": "upstream daily has newer data"}),
        ("fail", DAYS[0], {"weekly": "upstream daily failed", "every": "upstream daily failed"}),
        ("wipe", DAYS[0], {"weekly": "upstream daily has newer data", "every": "upstream daily has newer data"}),
        ("skip", DAYS[0], {}),
        ("fail", DAYS[5], {"newest": "upstream daily failed"}),
    ],
)
def test_trouble_goes_down_through_every_kind_of_link(event, key, expected):
    world = fresh(
        ("daily", "daily:2024-01-08..2024-01-19", "", {}, {}),
        ("weekly", "weekly:2024-01-08..2024-01-08", "daily", {}, {}),
        ("every", None, "daily", {}, {}),
        ("newest", None, "daily", {"daily": "keys(2024-01-13)"}, {}),
    )
    world.do(event, "daily", key)
    found, _ = world.assessed()
    for name in ("weekly", "every", "newest"):
        told = [reason.removeprefix("1 of 1 partition is stale: ") for reason in found[name].reasons]
        if name in expected:
            assert told[0] == expected[name]
        elif event != "fail" or name == "newest":
            assert told == []


def test_a_partition_that_was_never_there_makes_nothing_stale_that_reads_all():
    world = Project(DAILY, ("every", None, "daily", {}, {}), ("parts", "static:x", "daily", {"daily": "all"}, {}))
    for key in DAYS[:4]:
        world.do("materialize", "daily", key)
    world.do("materialize", "every")
    world.do("materialize", "parts", "x")
    assert lines(world) == {"daily": ("2 of 6 partitions are missing: 2024-01-12..2024-01-13",)}
    assert world.assessed()[0]["every"].status == "fresh"
    world.do("materialize", "daily", DAYS[4])
    found, _ = world.assessed()
    assert found["every"].reasons == ("upstream daily has newer data",)
    assert found["parts"].reasons == ("1 of 1 partition is stale: upstream daily has newer data",)


def test_a_new_window_is_missing_as_soon_as_it_has_ended():
    world = fresh(("daily", "daily:2024-01-08", "", {}, {}), ("newest", None, "daily", {"daily": "latest"}, {}))
    assert lines(world) == {}
    found, states = world.assessed(now=NOW + timedelta(hours=23, minutes=59))
    assert found["daily"].status == found["newest"].status == "fresh"
    found, states = world.assessed(now=NOW + timedelta(days=1))
    assert found["daily"].reasons == ("1 of 13 partitions is missing: 2024-01-20",)
    assert states["daily"].status_of("2024-01-20") == "missing"
    assert found["newest"].status == "stale"


def test_keys_that_are_registered_later_are_missing_and_removed_ones_are_not_counted():
    world = Project(("orders", "dynamic:customers", "", {}, {}), ("every", None, "orders", {}, {}))
    found, _ = world.assessed()
    assert (found["orders"].status, found["orders"].reasons) == ("missing", ("it has no partitions yet",))
    world.store.partitions.add_keys(ENV, "customers", ["ann", "bob"], at=NOW)
    for key in ("ann", "bob"):
        world.do("materialize", "orders", key)
    world.do("materialize", "every")
    assert world.assessed()[0]["every"].status == "fresh"
    world.store.partitions.add_keys(ENV, "customers", ["cid"], at=NOW)
    assert lines(world) == {"orders": ("1 of 3 partitions is missing: cid",)}
    world.store.partitions.remove_keys(ENV, "customers", ["bob", "cid"], at=NOW)
    assert lines(world) == {}
    assert world.assessed()[0]["every"].reasons == ("upstream daily has newer data".replace("daily", "orders"),)


def test_a_declaration_that_can_not_be_used_is_a_reason_and_spoils_no_other_asset():
    world = fresh(WHOLE, DAILY, ("weekly", "weekly:2024-01-08", "daily", {}, {}), ("end", None, "weekly raw", {}, {}))
    world.specs["weekly"] = changed(world.specs["weekly"], options=AssetOptions(partitions="weekly:2024-13-01"))
    found, states = world.assessed()
    assert (found["weekly"].status, found["weekly"].partitions) == ("missing", None)
    assert "2024-13-01" in found["weekly"].reasons[0]
    assert (found["daily"].status, found["raw"].status, list(states)) == ("fresh", "fresh", ["daily"])
    assert found["end"].reasons == ("upstream weekly is missing",)


def test_only_what_a_change_concerns_is_judged_again():
    world = fresh(*SHAPES["grains and dimensions"])
    _, before = world.assessed()
    world.do("materialize", "monthly", "2023-12-01")
    _, after = world.assessed()
    assert [name for name in before if before[name] is not after[name]] == ["monthly", "again"]
