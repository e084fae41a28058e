"""Which steps of a run may start, and which never can, from what has become of the others.

A failing asset stops only what depends on it: a step starts although something before it failed, as long as one
of its assets is still possible.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nbpipe.core.records import Outcome, StepStatus
from nbpipe.core.runs.plans import RunPlan, StepPlan

ENDED: frozenset[str] = frozenset({"success", "failure", "canceled", "skipped"})
"""Statuses of a step after which nothing happens in it any more."""

DONE: frozenset[str] = frozenset({"success", "unchanged"})
"""Outcomes of an asset after which what needs it can go on."""

LOST: frozenset[str] = frozenset({"failed", "skipped", "canceled"})
"""Outcomes of an asset after which what needs it never can."""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What may happen next in a run."""

    ready: tuple[int, ...] = ()
    """Steps that may start now."""
    blocked: Mapping[int, str]
    """Steps that have not started and never can, with the reason."""
    lost: Mapping[str, str]
    """Assets that were not executed and never can be, with the asset upstream that is to blame."""
    waiting: tuple[int, ...] = ()
    """Steps whose turn has not come."""
    running: tuple[int, ...] = ()

    @property
    def over(self) -> bool:
        """Nothing runs, and nothing may start any more."""
        return not (self.ready or self.running or self.waiting)


def readiness(plan: RunPlan, steps: Mapping[int, StepStatus], outcomes: Mapping[str, Outcome]) -> Readiness:
    """Return what may happen next.

    Args:
        plan: the run.
        steps: status of each step; one that is not named is `queued`.
        outcomes: what has become of assets so far; one that is not named is `queued`.
    """
    lost = _lost(plan, steps, outcomes)
    over = {index for index, status in steps.items() if status in ENDED}
    ready, waiting, running, blocked = [], [], [], {}
    for step in plan.steps:
        status = steps.get(step.index, "queued")
        if status == "running":
            running.append(step.index)
        elif status != "queued":
            continue
        elif not step.whole and step.assets and all(key in lost for key in step.assets):
            blocked[step.index] = _blame(step, lost)
            over.add(step.index)  # steps are in a workable order: those that wait for this one come later
        elif over.issuperset(step.after):
            ready.append(step.index)
        else:
            waiting.append(step.index)
    return Readiness(
        ready=tuple(ready),
        blocked=blocked,
        lost={key: blame for key, blame in lost.items() if blame != key},
        waiting=tuple(waiting),
        running=tuple(running),
    )


def _lost(plan: RunPlan, steps: Mapping[int, StepStatus], outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Return the assets that did not succeed and never will, with the first one upstream that is to blame."""
    ended = {key for step in plan.steps if steps.get(step.index) in ENDED for key in step.assets}
    lost: dict[str, str] = {}
    for spec in plan.assets:  # in topological order
        outcome = outcomes.get(spec.key, "queued")
        if outcome in DONE:
            continue
        blame = next((lost[above] for above in spec.upstream if above in lost), None)
        if blame is not None:
            lost[spec.key] = blame
        elif outcome in LOST or spec.key in ended:
            lost[spec.key] = spec.key
    return lost


def _blame(step: StepPlan, lost: Mapping[str, str]) -> str:
    names = sorted({lost[key] for key in step.assets})
    return f"upstream {', '.join(names)} did not succeed"
