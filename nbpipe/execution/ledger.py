"""What became of the assets of one step, and what went wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nbpipe import clock
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Outcome, StepStatus, kept_error
from nbpipe.core.runs.readiness import LOST
from nbpipe.core.runs.tasks import StepOutcome, StepTask


class Ledger:
    """The outcomes of one step's assets; each change is in the store before the next cell starts."""

    def __init__(self, task: StepTask, store: StateStore, redact: Callable[[str], str]) -> None:
        """Start with nothing settled; `redact` blots secrets out of error texts."""
        self._task = task
        self._request = task.request
        self._specs = {spec.key: spec for spec in task.request.assets}
        self._store = store
        self._redact = redact
        self._outcomes: dict[str, Outcome] = {}
        self._errors: list[str] = []
        self._executed: list[str] = []

    def load(self) -> None:
        """Learn what earlier steps of the run did to assets upstream of this one, and to those that its views show."""
        wanted = {up for spec in self._specs.values() for up in spec.upstream}
        wanted |= {shown for cell in self._request.step.cells for shown in cell.shows}
        wanted -= set(self._request.step.assets)
        if wanted:
            found = self._store.run_assets(self._request.run_id)
            self._outcomes.update({each.asset: each.outcome for each in found if each.asset in wanted})

    def succeeded(self, assets: Iterable[str]) -> bool:
        """Tell whether this run has materialized any of `assets`."""
        return any(self._outcomes.get(key) == "success" for key in assets)

    def status(self, assets: Iterable[str]) -> Outcome:
        """Return the outcome of the first of a cell's assets."""
        return next((self._outcomes[key] for key in assets if key in self._outcomes), "success")

    def lost_upstream(self, assets: Iterable[str]) -> str | None:
        """Return an asset that one of `assets` depends on and that did not succeed, if there is one."""
        return next((up for key in assets for up in self._specs[key].upstream if self._outcomes.get(up) in LOST), None)

    def start(self, assets: Iterable[str]) -> None:
        """Note that a cell is about to compute assets."""
        planned = [key for key in assets if key in self._specs]
        if planned:
            self._store.update_run_assets(self._request.run_id, planned, "running", at=clock.now())

    def skip(self, assets: Iterable[str], reason: str) -> None:
        """Note that assets can't be computed in this run."""
        self._settle(list(assets), "skipped", reason)

    def settle(self, assets: Iterable[str]) -> None:
        """Ask the store what a cell that ended well did for its assets: success is a stored value, nothing less."""
        planned = [key for key in assets if key in self._specs]
        stored = self._stored(planned)
        for key in planned:
            if key in stored:
                self._outcomes[key] = "success"
                self._executed.append(key)
            elif self._request.mode == "stale" or self._request.step.whole:  # it was loaded
                self._outcomes[key] = "unchanged"
            elif self._request.mode == "verify":
                self._settle([key], "unchanged", None)
            else:
                self.fail((key,), f"the cell of asset {key} ended, but stored no value")

    def fail(self, assets: Iterable[str], error: str) -> None:
        """Note an error, and the failure of assets, which the kernel may have been too dead to note."""
        self.note(error)
        error = self.readable(error)
        planned = [key for key in assets if key in self._specs]
        states = self._store.states(self._request.env, planned)
        run_id = self._request.run_id
        silent = [key for key in planned if key not in states or states[key].failed_run != run_id]
        if silent and self._request.mode != "verify":  # what is stored is as good as before
            self._store.record_failure(self._request.env, silent, error, at=clock.now(), run_id=run_id)
        self._settle(planned, "failed", error)

    def note(self, error: str) -> None:
        """Note an error that fails the step."""
        self._errors.append(self.readable(error))

    def readable(self, error: str) -> str:
        """Return an error text as it may be kept: without secrets, and not endless."""
        return kept_error(self._redact(error))

    def close(self, status: StepStatus, error: str | None) -> StepOutcome:
        """End the step: settle the assets that were not reached, and say how it went."""
        step = self._request.step
        if error is not None and self.readable(error) not in self._errors:
            self.note(error)
        rest = [key for key in step.assets if key not in self._outcomes]
        if rest and status != "success":
            self._settle(rest, "canceled" if status == "canceled" else "skipped", self._errors[-1])
        mine = {key: self._outcomes[key] for key in step.assets if key in self._outcomes}
        lost = [key for key, outcome in mine.items() if outcome in LOST]
        if status == "success" and self._errors:
            status = "failure"
        elif status == "success" and lost:
            status = "skipped" if len(lost) == len(mine) else "failure"
            self.note(f"skipped: {', '.join(lost)}: something upstream did not succeed")
        return StepOutcome(
            index=step.index,
            status=status,
            error=self.readable("; ".join(self._errors)) if self._errors else None,
            executed=tuple(self._executed),
            outcomes=mine,
        )

    def _stored(self, assets: list[str]) -> set[str]:
        run_id = self._request.run_id
        states = self._store.states(self._request.env, assets)
        stored = {key for key, state in states.items() if state.current and state.current.run_id == run_id}
        if len(stored) < len(assets):  # perhaps another process has stored a newer value since
            stored |= {each.asset for each in self._store.run_assets(run_id) if each.outcome == "success"}
        return stored

    def _settle(self, assets: list[str], outcome: Outcome, error: str | None) -> None:
        self._outcomes.update(dict.fromkeys(assets, outcome))
        text = None if error is None else self.readable(error)
        self._store.update_run_assets(self._request.run_id, assets, outcome, at=clock.now(), error=text)
