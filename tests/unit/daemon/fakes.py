"""A project and runs without kernels, to drive backfills in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from nbpipe import clock
from nbpipe.core.backfills.orders import Orders
from nbpipe.core.backfills.records import Backfill, Portion
from nbpipe.core.definitions import Definitions
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.ranges import range_texts
from nbpipe.core.partitions.subsets import PartitionSubset
from nbpipe.core.runs.plans import RunPlan, StepPlan
from nbpipe.core.runs.tasks import encoded
from nbpipe.daemon.backfill_parts import PlannedRun
from nbpipe.daemon.backfills import BackfillDriver
from nbpipe.errors import RefusedError
from nbpipe.execution.workers import this_worker
from tests.notebooks import write_notebook
from tests.unit.core.backfills.models import NOW, book_of, subset


class FakeProject:
    """Assets of one notebook file."""

    def __init__(self, root: Path, specs) -> None:
        self._specs = specs
        self.refusing = False
        write_notebook(root / "n.ipynb", ["1"])

    def specs(self, assets):
        return tuple(spec for spec in self._specs if spec.key in assets)

    def book(self):
        return book_of(self._specs)

    def there(self):
        return {}

    def plan(self, backfill: Backfill, partitions: Mapping[str, PartitionSubset]) -> PlannedRun:
        if self.refusing:
            raise RefusedError("the notebook is broken")
        specs = self.specs(partitions)
        plan = RunPlan(
            env=backfill.env,
            selection=" ".join(partitions),
            assets=specs,
            steps=(StepPlan(index=0, notebook="n.ipynb", assets=tuple(partitions)),),
            partitions={key: range_texts(found) for key, found in partitions.items() if found.of != WHOLE},
            sets={spec.key: spec.options.partitions for spec in specs if spec.options.partitions},
        )
        return PlannedRun(plan=plan, definitions=Definitions())


class Died(BaseException):
    """The process is gone."""


class FakeRuns:
    """Carries out runs at once, each outcome by a function of asset and key.

    Outcomes: those of a `RunAsset`; `die` ends the process; `late` is a success after which the run fails. What comes
    after a failure in a run is skipped.
    """

    def __init__(self, store, outcome: Callable[[str, str], str]) -> None:
        self._store, self._outcome = store, outcome
        self.executed: list[tuple[str, str]] = []
        self.runs: list[str] = []

    def start(self, run_id: str, *, parallel: int, done: Callable[[str], None]) -> None:
        assert parallel == 1  # there is one step
        self.runs.append(run_id)
        store = self._store
        if not store.claim_run(run_id, this_worker(), at=clock.now()):
            assert store.run(run_id).status == "canceled"
            done(run_id)
            return
        store.advance_run(run_id, "running", at=clock.now())
        lost: set[str] = set()
        late = False
        for row in store.run_assets(run_id):
            became = "skipped" if row.partition in lost else self._outcome(row.asset, row.partition)
            if became == "die":
                raise Died
            if became == "late":
                became, late = "success", True
            if became != "skipped":
                self.executed.append((row.asset, row.partition))
            if became in ("failed", "skipped"):
                lost.add(row.partition)
            if row.partition:
                store.end_partitions(run_id, row.asset, became, at=clock.now(), keys=(row.partition,), error="x")
            else:
                store.update_run_assets(run_id, [row.asset], became, at=clock.now(), error="x")
        failed = late or bool(lost)
        store.advance_run(run_id, "failure" if failed else "success", at=clock.now(), error="x" if failed else None)
        done(run_id)

    def close(self) -> None:
        pass


def made(store, specs, requested, **changes) -> Backfill:
    """Record a backfill; `requested` are ranges by asset."""
    book = book_of(specs)
    portions = {one.key: Portion(requested=subset(book, one.key, requested[one.key]).families) for one in specs}
    backfill = Backfill(
        id=clock.new_id(),
        env="default",
        assets=tuple(one.key for one in specs),
        created_at=NOW,
        total=sum(portion.counts["total"] for portion in portions.values()),
    )
    orders = Orders(sets={one.key: one.options.partitions for one in specs if one.options.partitions}, **changes)
    store.backfills.create(backfill, portions, encoded(orders))
    return backfill


def keys(store, specs, backfill_id, side):
    """Return what is `done`, `failed`, `skipped` or `lost`, as `ASSET@KEY`."""
    book = book_of(specs)
    return [
        f"{asset}@{key}"
        for asset, portion in store.backfills.portions(backfill_id).items()
        for key in PartitionSubset(book.of(asset) or WHOLE, getattr(portion, side))
    ]


def succeed(asset, key):
    return "success"


def driver(store, root, specs, outcome=succeed, *, parallel=2, news=None, queued=False):
    runs = FakeRuns(store, outcome)
    project = FakeProject(root, specs)
    listening = {} if news is None else {"on_news": news}
    return BackfillDriver(store, project, runs, root=root, parallel=parallel, queued=queued, **listening), runs
