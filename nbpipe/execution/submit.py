"""Turn a plan into a queued run: its rows in the store, and copies of its notebooks as they are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from nbpipe.core.definitions import Definitions, NotebookDef
from nbpipe.core.ports.partitions import PartitionStore
from nbpipe.core.reading.fingerprints import text_hash
from nbpipe.core.records import Run, RunAsset, Step, WorkerId
from nbpipe.core.runs.plans import RunPlan, StepPlan
from nbpipe.core.runs.tasks import encoded
from nbpipe.errors import ParameterError, RefusedError
from nbpipe.execution.parameters import check_representable, missing_parameters_cell
from nbpipe.execution.records import cleared, record_path, write_atomically


class SubmittedPlan(RunPlan, frozen=True, kw_only=True):
    """A plan with what its kernels must know besides; it can be read as a `RunPlan`."""

    sources: Mapping[str, str] = MappingProxyType({})
    """Source text by component hash."""
    known: tuple[str, ...] = ()
    """Every asset of the project."""
    parameter_defaults: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    """By notebook: source of the default of each parameter."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is a run."""

    job: str | None = None
    trigger: str = "manual"
    tags: Mapping[str, str] = MappingProxyType({})
    parent: str | None = None
    """The run that this one retries."""
    worker: WorkerId | None = None
    """The process that is about to carry it out, or to have it carried out: should it end before, so does the run.
    Without one, the run waits until a process takes it."""
    priority: int = 0
    """See `Run`."""
    not_before: datetime | None = None
    """See `Run`."""
    timeout: float | None = None
    """See `Run`."""


class RunKeeper(Protocol):
    """What records a new run."""

    def create_run(self, run: Run, steps: Sequence[Step], assets: Sequence[RunAsset], plan: bytes) -> None:
        """Do `RunStore.create_run`."""

    @property
    def partitions(self) -> PartitionStore:
        """Return the part of the state store that is about partitions; only asked for if the plan has some."""


def submit(
    store: RunKeeper,
    plan: RunPlan,
    *,
    root: Path,
    run_id: str,
    at: datetime,
    origin: Origin = Origin(),  # noqa: B008 - immutable
    definitions: Definitions | None = None,
    sources: Mapping[str, str] = MappingProxyType({}),
    durable: bool = True,
) -> Run:
    """Queue a run and copy its notebooks, without outputs, to where their records will be.

    Args:
        store: where the run is kept.
        plan: what to do.
        root: the project's root.
        run_id: a new identifier.
        at: now.
        origin: why there is a run.
        definitions: what the plan was made from.
        sources: source text by component hash, kept with what is materialized.
        durable: the copies survive the loss of power; otherwise the caller sees to that, for many runs at once.

    Raises:
        RefusedError: a notebook is gone, can't be read, or was changed since the plan was made.
        ParameterError: a parameter can't be represented, or its notebook takes none.
    """
    steps = tuple(
        Step(
            run_id=run_id,
            index=step.index,
            notebook=step.notebook,
            output=record_path(run_id, step.index, step.notebook),
            planned=step.assets,
        )
        for step in plan.steps
    )
    parameters = {name: value for step in plan.steps for name, value in step.parameters.items()}
    known = {} if definitions is None else definitions.notebooks
    copies = {
        row.output: _copy(root, step, known.get(step.notebook)) for row, step in zip(steps, plan.steps, strict=True)
    }
    for output, content in copies.items():
        write_atomically(root / output, content, durable=durable)
    partition, assets = _places(store, plan, run_id, at)
    run = Run(
        id=run_id,
        env=plan.env,
        job=origin.job,
        trigger=origin.trigger,
        selection=plan.selection,
        assets=tuple(spec.key for spec in plan.assets),
        partition=partition,
        parameters=parameters,
        tags=origin.tags,
        parent=origin.parent,
        priority=origin.priority,
        pools=tuple(dict.fromkeys(spec.options.pool for spec in plan.assets if spec.options.pool is not None)),
        not_before=origin.not_before,
        timeout=origin.timeout,
        created_at=at,
        worker=origin.worker,
    )
    store.create_run(run, steps, assets, _submitted(plan, definitions, sources))
    return run


def _places(store: RunKeeper, plan: RunPlan, run_id: str, at: datetime) -> tuple[str | None, list[RunAsset]]:
    """Return a label of the partitions, and a place in the run for each asset, or each of its partitions."""
    if not plan.partitions:
        return None, [RunAsset(run_id=run_id, asset=key, step=step.index) for step in plan.steps for key in step.assets]
    from nbpipe.core.partitions.book import PartitionBook
    from nbpipe.core.runs.planned_partitions import planned_subset, run_label

    book = PartitionBook(plan.sets, store.partitions, plan.env)
    subsets = {}
    for key, texts in plan.partitions.items():
        book.register(key, at=at)  # kernels write by position
        subsets[key] = planned_subset(book, key, texts, at)
    places = [
        RunAsset(run_id=run_id, asset=key, partition=partition, step=step.index)
        for step in plan.steps
        for key in step.assets
        for partition in subsets.get(key, ("",))
    ]
    return run_label(plan, subsets), places


def _copy(root: Path, step: StepPlan, planned: NotebookDef | None) -> bytes:
    notebook = step.notebook
    try:
        saved = (root / notebook).read_bytes()
    except OSError as error:
        raise RefusedError(f"{notebook} can't be read: {error.strerror or error}") from error
    content = cleared(saved, notebook)
    if planned is not None and _differ(_sources(content), [cell.source_hash for cell in planned.cells]):
        raise RefusedError(f"{notebook} was changed while the run was planned: start the run again")
    _check_parameters(content, notebook, step.parameters)
    return content


def _differ(saved: list[str], planned: list[str]) -> bool:
    """Tell whether cells changed; a file of an old format, or of another language, has none that can be compared."""
    return bool(saved and planned) and saved != planned


def _sources(content: bytes) -> list[str]:
    """Return the hash of the text of each code cell, as definitions have it."""
    cells = msgspec.json.decode(content).get("cells", [])
    texts = [cell.get("source", "") for cell in cells if cell.get("cell_type") == "code"]
    return [text_hash(text if isinstance(text, str) else "".join(text)) for text in texts]


def _check_parameters(content: bytes, notebook: str, parameters: Mapping[str, Any]) -> None:
    if not parameters:
        return
    check_representable(parameters)
    cells = msgspec.json.decode(content).get("cells", [])
    if not any("parameters" in cell.get("metadata", {}).get("tags", []) for cell in cells):
        raise ParameterError(missing_parameters_cell(notebook))


def _submitted(plan: RunPlan, definitions: Definitions | None, sources: Mapping[str, str]) -> bytes:
    fields = {field: getattr(plan, field) for field in RunPlan.__struct_fields__}
    needed = {digest for spec in plan.assets for _, digest in spec.code}
    notebooks = {} if definitions is None else definitions.notebooks
    return encoded(
        SubmittedPlan(
            **fields,
            sources={digest: text for digest, text in sources.items() if digest in needed},
            known=() if definitions is None else tuple(definitions.assets),
            parameter_defaults={
                step.notebook: {p.name: p.default for p in notebooks[step.notebook].parameters}
                for step in plan.steps
                if step.notebook in notebooks
            },
        )
    )
