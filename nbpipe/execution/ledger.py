"""What became of the assets of one step, and what went wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nbpipe import clock
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Outcome, StepStatus, kept_error
from nbpipe.core.runs.outcomes import AssetOutcome
from nbpipe.core.runs.readiness import LOST
from nbpipe.core.runs.tasks import StepOutcome, StepTask
from nbpipe.execution.partition_outcomes import RunPartitions


class Ledger:
    """The outcomes of one step's assets; each change is in the store before the next cell starts."""

    def __init__(self, task: StepTask, store: StateStore, redact: Callable[[str], str]) -> None:
        """Start with nothing settled; `redact` blots secrets out of error texts."""
        self._task = task
        self._request = task.request
        self._specs = {spec.key: spec for spec in task.request.assets}
        self._store = store
        self._redact = redact
        self._partitions = RunPartitions(
            store,
            run_id=task.request.run_id,
            env=task.request.env,
            partitions=task.request.partitions,
            sets=task.request.sets,
        )
        self._outcomes: dict[str, Outcome] = {}
        self._partial: set[str] = set()
        self._idle: dict[str, str | None] = {}
        """Assets whose bodies had nothing to do for any partition; for one partition, why."""
        self._errors: list[str] = []
        self._executed: list[str] = []

    def load(self) -> None:
        """Learn what earlier steps of the run did to assets upstream of this one, and to those that its views show."""
        wanted = {up for spec in self._specs.values() for up in spec.upstream}
        wanted |= {shown for cell in self._request.step.cells for shown in cell.shows}
        wanted -= set(self._request.step.assets)
        if wanted:
            counts = self._store.outcome_counts(self._request.run_id)
            for key in wanted & counts.keys():
                self._take(key, AssetOutcome(counts[key]))

    def succeeded(self, assets: Iterable[str]) -> bool:
        """Tell whether this run has materialized any of `assets`."""
        return any(self._outcomes.get(key) == "success" or key in self._partial for key in assets)

    def status(self, assets: Iterable[str]) -> Outcome:
        """Return the outcome of the first of a cell's assets."""
        return next((self._outcomes[key] for key in assets if key in self._outcomes), "success")

    def ending(self, assets: Iterable[str]) -> tuple[Outcome, str | None]:
        """Return what people are told of a cell that ended well: its status, and why it had nothing to do."""
        keys = [key for key in assets if key in self._idle]
        return ("skipped", self._idle[keys[0]]) if keys else (self.status(assets), None)

    def lost_upstream(self, assets: Iterable[str]) -> str | None:
        """Return an asset that did not succeed and without which nothing can be done for `assets`, if there is one."""
        for key in assets:
            spec = self._specs[key]
            for up in spec.upstream:
                if self._outcomes.get(up) in LOST and (up not in self._partitions or self._partitions.loses(spec, up)):
                    return up
        return None

    def executions(self, assets: Iterable[str]) -> int:
        """Return how often the body of a cell is executed."""
        return max((self._partitions.executions(self._specs[key]) for key in assets if key in self._specs), default=1)

    def start(self, assets: Iterable[str]) -> None:
        """Note that a cell is about to compute assets; of partitions, its kernel notes which."""
        planned = [key for key in assets if key in self._specs and key not in self._partitions]
        if planned:
            self._store.update_run_assets(self._request.run_id, planned, "running", at=clock.now())

    def skip(self, assets: Iterable[str], reason: str) -> None:
        """Note that assets can't be computed in this run."""
        self._settle(list(assets), "skipped", reason)

    def settle(self, assets: Iterable[str]) -> None:
        """Ask the store what a cell that ended well did for its assets: success is a stored value, nothing less."""
        planned = self._whole(assets)
        for key in self._partitioned(assets):
            self._settle_partitions(key)
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

    def fail(self, assets: Iterable[str], error: str, *, where: str = "") -> str:
        """Note an error, and the failure of assets, which the kernel may have been too dead to note; return the error.

        Of partitions, those fail that were worked on; what was not reached is skipped, and what is stored stays.
        """
        error = self.readable(error)
        partitioned = self._partitioned(assets)
        for key in partitioned:
            self._fail_partitions(key, error)
        account = error
        counted = next((key for key in partitioned if self._partitions.outcome(key).failed), None)
        if counted is not None:
            account = self._partitions.account(counted)
            account = f"{account} ({where})" if where and where not in account else account
        self.note(account)
        planned = self._whole(assets)
        if not planned:
            return account
        states = self._store.states(self._request.env, planned)
        run_id = self._request.run_id
        silent = [key for key in planned if key not in states or states[key].failed_run != run_id]
        if silent and self._request.mode != "verify":  # what is stored is as good as before
            self._store.record_failure(self._request.env, silent, error, at=clock.now(), run_id=run_id)
        self._settle(planned, "failed", error)
        return account

    def note(self, error: str) -> None:
        """Note an error that fails the step."""
        self._errors.append(self.readable(error))

    def readable(self, error: str) -> str:
        """Return an error text as it may be kept: without secrets, and not endless."""
        return kept_error(self._redact(error))

    def close(self, status: StepStatus, error: str | None) -> StepOutcome:
        """End the step: settle the assets that were not reached, and say how it went."""
        step = self._request.step
        if error is not None and not any(self.readable(error) in each for each in self._errors):
            self.note(error)
        rest = [key for key in step.assets if key not in self._outcomes]
        if rest and status != "success":
            self._settle(rest, "canceled" if status == "canceled" else "skipped", self._errors[-1])
        mine = {key: self._outcomes[key] for key in step.assets if key in self._outcomes}
        lost = [key for key, outcome in mine.items() if outcome in LOST]
        if status == "success" and self._errors:
            status = "failure"
        elif status == "success" and lost:
            status = "skipped" if len(lost) == len(mine) and self._partial.isdisjoint(lost) else "failure"
            self.note(f"skipped: {', '.join(lost)}: something upstream did not succeed")
        return StepOutcome(
            index=step.index,
            status=status,
            error=self.readable("; ".join(self._errors)) if self._errors else None,
            executed=tuple(self._executed),
            outcomes=mine,
            partial=tuple(key for key in mine if key in self._partial),
        )

    def _whole(self, assets: Iterable[str]) -> list[str]:
        """Return those of a cell's assets that the step makes and that have no partitions."""
        return [key for key in assets if key in self._specs and key not in self._partitions]

    def _partitioned(self, assets: Iterable[str]) -> list[str]:
        return [key for key in assets if key in self._specs and key in self._partitions]

    def _settle_partitions(self, key: str) -> None:
        """Ask the store what a cell that ended well did for partitions; it left out what its inputs kept from it."""
        if self._request.mode in {"stale", "verify"} or self._request.step.whole:
            self._end_partitions(key, "unchanged", None)
        else:
            self._end_partitions(key, "skipped", "something upstream did not succeed")

    def _fail_partitions(self, key: str, error: str) -> None:
        if self._request.mode == "verify":  # what is stored is as good as before
            self._end_partitions(key, "failed", error)
            return
        self._partitions.fail_started(key, error)
        self._end_partitions(key, "skipped", error)

    def _end_partitions(self, key: str, outcome: Outcome, error: str | None) -> None:
        """Settle what was not reached of an asset's partitions; the others say what became of the asset."""
        self._partitions.end(key, outcome, None if error is None else self.readable(error))
        found = self._partitions.outcome(key)
        self._take(key, found)
        if found.is_idle:
            self._idle[key] = self._partitions.reason(key) if found.total == 1 else None
        if found.counts.get("success") and key not in self._executed:
            self._executed.append(key)

    def _take(self, key: str, found: AssetOutcome) -> None:
        self._outcomes[key] = found.outcome
        if found.partial:
            self._partial.add(key)

    def _stored(self, assets: list[str]) -> set[str]:
        run_id = self._request.run_id
        states = self._store.states(self._request.env, assets)
        stored = {key for key, state in states.items() if state.current and state.current.run_id == run_id}
        if len(stored) < len(assets):  # perhaps another process has stored a newer value since
            stored |= {each.asset for each in self._store.run_assets(run_id) if each.outcome == "success"}
        return stored

    def _settle(self, assets: list[str], outcome: Outcome, error: str | None) -> None:
        for key in self._partitioned(assets):
            self._end_partitions(key, outcome, error)
        assets = self._whole(assets)
        if not assets:
            return
        self._outcomes.update(dict.fromkeys(assets, outcome))
        text = None if error is None else self.readable(error)
        self._store.update_run_assets(self._request.run_id, assets, outcome, at=clock.now(), error=text)
