"""Which waiting runs start, and why the others wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nbpipe.core.automation.queue import Decision, QueueLimits, decide
from nbpipe.core.records import Run

NOON = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)


def run(name: str, second: int = 0, **options: object) -> Run:
    return Run(id=name, env="default", created_at=NOON + timedelta(seconds=second), **options)


def decided(waiting: list[Run], active: list[Run] | None = None, **limits: object) -> Decision:
    return decide(waiting, active or [], QueueLimits(**limits), NOON)


def test_the_oldest_start_up_to_the_limit():
    found = decided([run("a", 1), run("b", 2), run("c", 3)], [run("x")], runs=3)
    assert found.start == ("a", "b")
    assert found.waits == {"c": "waits for a place: 3 of 3 runs are active"}


def test_a_higher_priority_comes_first():
    assert decided([run("a", 1), run("b", 2, priority=5)], runs=1).start == ("b",)


def test_sources_take_turns():
    backfill = [run(f"b{n}", n, trigger="backfill:1") for n in range(50)]
    nightly = [run("n", 99, job="nightly")]
    assert decided([*backfill, *nightly], runs=2).start == ("b0", "n")
    assert decided([*backfill, *nightly], [run("x", trigger="backfill:1")], runs=2).start == ("n",)


@pytest.mark.parametrize(
    ("options", "limits", "text"),
    [
        ({"pools": ("warehouse",)}, {}, "waits for pool warehouse, held by run x"),
        ({"pools": ("warehouse",)}, {"pools": {"warehouse": 1}}, "waits for pool warehouse, held by run x"),
        ({"tags": {"team": "data"}}, {"tags": {"team=data": 1}}, "waits for tag team=data, held by run x"),
        ({"tags": {"team": "data"}}, {"tags": {"team=*": 1}}, "waits for tag team=data, held by run x"),
    ],
)
def test_who_holds_what_a_run_waits_for_is_told(options: dict, limits: dict, text: str):
    found = decided([run("a", 1, **options), run("b", 2)], [run("x", **options)], **limits)
    assert found.waits == {"a": text}
    assert found.start == ("b",)


def test_each_value_of_a_tag_has_a_limit_of_its_own():
    waiting = [run("a", 1, tags={"team": "x"}), run("b", 2, tags={"team": "y"}), run("c", 3, tags={"team": "x"})]
    assert decided(waiting, tags={"team=*": 1}).start == ("a", "b")


def test_several_holders_are_counted():
    active = [run("x", pools=("p",)), run("y", pools=("p",))]
    found = decided([run("a", pools=("p",))], active, pools={"p": 2})
    assert found.waits["a"] == "waits for pool p, held by run x and 1 more"


def test_a_retry_waits_for_its_delay():
    later = NOON + timedelta(seconds=30)
    found = decided([run("a", not_before=later), run("b", 1, not_before=NOON)])
    assert found.start == ("b",)
    assert found.again_at == later
    assert found.waits["a"] == "waits until 2024-03-01 12:00:30 UTC to be tried again"


def test_a_retry_does_not_wait_for_an_hour_that_comes_twice():
    found = decided([run("a", 3600, not_before=NOON + timedelta(seconds=3630))])
    assert found.start == ("a",)


def test_the_places_of_a_run_end_with_it():
    waiting = [run("a", pools=("p",))]
    assert decided(waiting, [run("x", pools=("p",))]).start == ()
    assert decided(waiting, []).start == ("a",)
