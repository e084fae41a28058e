"""Assets with and without partitions next to each other: small tables, and a model that goes key by key."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbpipe.core.partitions.state import STATUSES
from tests.unit.core.assets import changed
from tests.unit.core.partitions.worlds import Project, status_of

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
