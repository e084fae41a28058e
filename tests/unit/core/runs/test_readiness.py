import pytest

from nbpipe.core.graph import AssetGraph
from nbpipe.core.runs.planning import plan_notebook, plan_run
from nbpipe.core.runs.readiness import readiness
from tests.unit.core.assets import project, spec

# steps: 0 = a.ipynb (a, x), 1 = b.ipynb (b reads a, y reads x), 2 = c.ipynb (c reads b), 3 = d.ipynb (d)
DEFINITIONS = project(
    spec("a", notebook="a.ipynb"),
    spec("x", notebook="a.ipynb", index=1),
    spec("b", "a", notebook="b.ipynb"),
    spec("y", "x", notebook="b.ipynb", index=1),
    spec("c", "b", notebook="c.ipynb"),
    spec("d", notebook="d.ipynb"),
)
PLAN = plan_run(DEFINITIONS, AssetGraph.of(DEFINITIONS), DEFINITIONS.assets, env="default", materialized=())


def test_the_plan_is_as_the_table_says():
    assert [step.assets for step in PLAN.steps] == [("a", "x"), ("b", "y"), ("c",), ("d",)]


@pytest.mark.parametrize(
    ("steps", "outcomes", "ready", "blocked", "lost"),
    [
        ({}, {}, (0, 3), {}, {}),
        ({0: "running"}, {"a": "success"}, (3,), {}, {}),
        ({0: "success"}, {"a": "success", "x": "success"}, (1, 3), {}, {}),
        ({0: "success"}, {"a": "unchanged", "x": "success"}, (1, 3), {}, {}),
        # a failed asset stops only what depends on it
        (
            {0: "failure"},
            {"a": "failed", "x": "success"},
            (1, 3),
            {2: "upstream a did not succeed"},
            {"b": "a", "c": "a"},
        ),
        # known already while the step goes on
        ({0: "running"}, {"a": "failed"}, (3,), {2: "upstream a did not succeed"}, {"b": "a", "c": "a"}),
        # a setup cell that fails loses all that the step had not made
        (
            {0: "failure"},
            {},
            (3,),
            {1: "upstream a, x did not succeed", 2: "upstream a did not succeed"},
            {"b": "a", "c": "a", "y": "x"},
        ),
        # a view cell that fails loses no asset
        ({0: "failure"}, {"a": "success", "x": "success"}, (1, 3), {}, {}),
        ({0: "success", 1: "success", 2: "success", 3: "success"}, dict.fromkeys("abxycd", "success"), (), {}, {}),
        (
            {0: "success", 1: "canceled"},
            {"a": "success", "x": "success", "y": "success"},
            (3,),
            {2: "upstream b did not succeed"},
            {"c": "b"},
        ),
    ],
)
def test_what_may_start(steps, outcomes, ready, blocked, lost):
    found = readiness(PLAN, steps, outcomes)
    assert found.ready == ready
    assert found.blocked == blocked
    assert found.lost == lost


def test_a_run_is_over_when_nothing_can_happen_any_more():
    assert not readiness(PLAN, {}, {}).over
    assert not readiness(PLAN, {0: "failure", 3: "running"}, {}).over
    assert readiness(PLAN, {0: "failure", 3: "success"}, {"d": "success"}).over


def test_every_way_through_a_run_ends():
    steps, outcomes = {}, {}
    while not (now := readiness(PLAN, steps, outcomes)).over:
        index = now.ready[-1]
        steps[index] = "success"
        outcomes.update(dict.fromkeys(PLAN.steps[index].assets, "success"))
    assert set(steps) == {0, 1, 2, 3}


def test_a_whole_notebook_may_start_at_once():
    plan = plan_notebook(DEFINITIONS, "b.ipynb", env="default")
    assert readiness(plan, {}, {}).ready == (0,)
    assert readiness(plan, {0: "failure"}, {}).over


def test_a_run_without_steps_is_over():
    definitions = project()
    plan = plan_run(definitions, AssetGraph.of(definitions), (), env="default", materialized=())
    assert readiness(plan, {}, {}).over
