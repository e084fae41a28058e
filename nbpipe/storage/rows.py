"""From rows to records."""

from __future__ import annotations

from typing import Any, cast

from nbpipe.core.records import AssetState, Event, Materialization, Run, RunAsset, Step, StoredValue, WorkerState
from nbpipe.storage import codec
from nbpipe.storage.database import Row


def materialization(env: str, asset: str, row: Row) -> Materialization:
    """Read a row of `asset_queries.MATERIALIZATION`."""
    number, partition, version, code_version, components, run_id, created_at, expired, content = row
    facts = codec.decode_facts(content)
    return Materialization(
        id=number,
        env=env,
        asset=asset,
        partition=partition,
        version=version,
        stored=facts.stored,
        code=codec.decode_components(components),
        code_version=code_version,
        inputs=facts.inputs,
        input_versions=facts.input_versions,
        files=facts.files,
        parameters=facts.parameters,
        parameter_defaults=facts.parameter_defaults,
        notebook=facts.notebook,
        cell_id=facts.cell_id,
        run_id=run_id,
        created_at=codec.moment(created_at),
        duration=facts.duration,
        peak_memory=facts.peak_memory,
        metadata=facts.metadata,
        expired=bool(expired),
    )


def asset_state(env: str, row: Row) -> AssetState | None:
    """Read a row of `asset_queries.select_states`; None if nothing is known but the name."""
    name, failed_at, error, failed_run, held, activity, *rest = row
    current = None if rest[0] is None else materialization(env, name, tuple(rest))
    if current is None and failed_at is None and not held and not activity:
        return None
    return AssetState(
        asset=name,
        current=current,
        failed_at=codec.moment_or_none(failed_at),
        error=error,
        failed_run=failed_run,
        held=bool(held),
        activity=activity or "",
    )


def stored_value(facts: str) -> StoredValue:
    """Read the column `facts` of a materialization."""
    return codec.decode_facts(facts).stored


def event(row: Row) -> Event:
    """Read a row of `run_queries.select_events`."""
    number, at, env, kind, asset, partition, run_id, data = row
    return Event(
        id=number,
        at=codec.moment(at),
        env=env,
        kind=kind,
        asset=asset,
        partition=partition,
        run_id=run_id,
        data=codec.decode_mapping(data),
    )


def run(row: Row) -> Run:
    """Read a row of `run_queries.RUN`."""
    (number, env, status, job, trigger, selection, names, partition, parameters, tags, parent, *later) = row
    created_at, started_at, ended_at, error, cancel_requested, worker, rank, pools, not_before, timeout = later
    return Run(
        id=number,
        env=env,
        status=status,
        job=job,
        trigger=trigger,
        selection=selection,
        assets=codec.decode_names(names),
        partition=partition,
        parameters=codec.decode_mapping(parameters),
        tags=codec.decode_mapping(tags),
        parent=parent,
        created_at=codec.moment(created_at),
        started_at=codec.moment_or_none(started_at),
        ended_at=codec.moment_or_none(ended_at),
        error=error,
        cancel_requested=bool(cancel_requested),
        worker=codec.decode_worker(worker),
        priority=-rank,
        pools=codec.decode_names(pools),
        not_before=codec.moment_or_none(not_before),
        timeout=timeout,
    )


def step(row: Row) -> Step:
    """Read a row of the table `steps`."""
    (run_id, index, notebook, output, planned, executed, status, *later) = row
    started_at, ended_at, error, kernel, record_hash = later
    return Step(
        run_id=run_id,
        index=index,
        notebook=notebook,
        output=output,
        planned=codec.decode_names(planned),
        executed=codec.decode_names(executed),
        status=status,
        started_at=codec.moment_or_none(started_at),
        ended_at=codec.moment_or_none(ended_at),
        error=error,
        kernel=codec.decode_worker(kernel),
        record_hash=record_hash,
    )


def run_asset(run_id: str, row: Row) -> RunAsset:
    """Read a row of `run_queries.select_run_assets`."""
    name, partition, step_index, outcome, version, error = row
    return RunAsset(
        run_id=run_id, asset=name, partition=partition, step=step_index, outcome=outcome, version=version, error=error
    )


def but_partition(value: RunAsset) -> tuple[str, int, str, int | None, str | None]:
    """Return what partitions of an asset share that a run places one after the other."""
    return value.asset, value.step, value.outcome, value.version, value.error


def run_asset_values(value: RunAsset, number: int, position: int) -> dict[str, object]:
    """Return the columns of a new place in a run."""
    return {
        "run_id": value.run_id,
        "asset_id": number,
        "partition": value.partition,
        "position": position,
        "step": value.step,
        "outcome": value.outcome,
        "version": value.version,
        "error": value.error,
    }


def worker(row: Row) -> WorkerState:
    """Read a row of `run_queries.select_workers`."""
    identity, kind, beats = row
    return WorkerState(worker=cast("Any", codec.decode_worker(identity)), kind=kind, beats=beats)


def run_values(value: Run, *, created_event: int) -> dict[str, object]:
    """Return the columns of a new run."""
    return {
        "id": value.id,
        "env": value.env,
        "status": value.status,
        "job": value.job,
        "trigger": value.trigger,
        "selection": value.selection,
        "assets": codec.encode_text(value.assets),
        "partition": value.partition,
        "parameters": codec.encode_text(value.parameters),
        "tags": codec.encode_text(value.tags),
        "parent": value.parent,
        "created_at": codec.stamp(value.created_at),
        "started_at": None if value.started_at is None else codec.stamp(value.started_at),
        "ended_at": None if value.ended_at is None else codec.stamp(value.ended_at),
        "error": value.error,
        "cancel_requested": int(value.cancel_requested),
        "worker": None if value.worker is None else codec.encode_text(value.worker),
        "created_event": created_event,
        "rank": -value.priority,
        "pools": codec.encode_text(value.pools),
        "not_before": None if value.not_before is None else codec.stamp(value.not_before),
        "timeout": value.timeout,
    }


def step_values(value: Step) -> dict[str, object]:
    """Return the columns of a new step."""
    return {
        "run_id": value.run_id,
        "position": value.index,
        "notebook": value.notebook,
        "output": value.output,
        "planned": codec.encode_text(value.planned),
        "executed": codec.encode_text(value.executed),
        "status": value.status,
        "started_at": None if value.started_at is None else codec.stamp(value.started_at),
        "ended_at": None if value.ended_at is None else codec.stamp(value.ended_at),
        "error": value.error,
        "kernel": None if value.kernel is None else codec.encode_text(value.kernel),
        "record_hash": value.record_hash,
    }
