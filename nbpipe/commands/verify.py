"""`verify`: compute an asset again in a fresh process, and compare it with what is stored."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from nbpipe import settings
from nbpipe.commands.materialize import has_partitions, run_plan
from nbpipe.commands.references import find
from nbpipe.commands.workspace import Workspace
from nbpipe.core.parameters import canonical_source
from nbpipe.core.records import Materialization, RunStatus
from nbpipe.core.references import Reference, parse_reference, reference_text
from nbpipe.core.runs.planning import plan_run
from nbpipe.core.runs.plans import VERIFIED, Computed, RunPlan
from nbpipe.errors import RefusedError, UsageError

Result = Literal["equal", "different", "unknown", "failed"]

_MESSAGES: Mapping[Result, str] = {
    "equal": "computing it again gave the same content",
    "different": "computing it again gave other content: it depends on something that is not watched, such as time, "
    "chance, a URL or a database",
    "unknown": "its bytes differ, but it is a pickle: equal content may have other bytes, so nothing can be promised",
    "failed": "it could not be computed again: see the record",
}


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """One asset: the data versions of what is stored and of what came out now."""

    asset: str
    version: int
    result: Result
    message: str
    stored: str
    computed: str | None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The run that computed again, and what it found."""

    run_id: str
    status: RunStatus
    error: str | None
    records: tuple[str, ...]
    assets: tuple[Verified, ...]


@click.command("verify")
@click.argument("asset", metavar="ASSET[@KEY]")
@click.pass_obj
def command(workspace: Workspace, asset: str) -> Verification:
    """Compute an asset again in a fresh process and compare its content with what is stored; nothing is replaced."""
    reference = parse_reference(asset)
    if reference.version is not None:
        raise UsageError(f"verify compares with what is current: leave out #{reference.version}")
    key, partition = reference.asset, reference.partition
    spec = workspace.asset(key)
    workspace.settle()
    stored = {each: find(workspace, Reference(each, partition)) for each in spec.siblings}
    _refuse_changed(workspace, stored)
    if settings.current_run_id() is not None:
        raise RefusedError("verify starts a run, and can't be used in a job")
    run = run_plan(workspace, _plan(workspace, key, partition, stored[key]), trigger="verify")
    records = tuple(step.output for step in workspace.store.steps(run.id))
    computed = _reported(workspace.root, records)
    return Verification(
        run_id=run.id,
        status=run.status,
        error=run.error,
        records=records,
        assets=tuple(_compared(found, computed.get(each)) for each, found in stored.items()),
    )


def _refuse_changed(workspace: Workspace, stored: Mapping[str, Materialization]) -> None:
    """Refuse what was made from other code, inputs or files than there are now.

    Raises:
        RefusedError: names what changed.
    """
    assessments = workspace.assess()
    for key, found in stored.items():
        reasons = assessments[key].reasons if assessments[key].out_of_date and not found.partition else ()
        if found.partition and found.partition in workspace.partition_states()[key].out_of_date():
            reasons = (f"see `nbpipe why {reference_text(key, found.partition)}`",)
        if not reasons and found.code_version != workspace.definitions.assets[key].code_version:
            reasons = ("code changed",)
        if reasons:
            raise RefusedError(
                f"{key} can't be compared with what would be computed now ({'; '.join(reasons)}): materialize it first"
            )


def _plan(workspace: Workspace, key: str, partition: str, stored: Materialization) -> RunPlan:
    request = None
    if has_partitions(workspace):
        from nbpipe.commands.partition_requests import Wording
        from nbpipe.commands.partition_requests import request as requested

        request = requested(workspace, [key], Wording(partition or None, None))
    return plan_run(
        workspace.definitions,
        workspace.graph,
        [key],
        env=workspace.env,
        materialized={each for each, state in workspace.states().items() if state.current is not None},
        selection=key,
        mode="verify",
        parameters=_recorded_parameters(stored),
        partitions=request,
    )


def _recorded_parameters(stored: Materialization) -> dict[str, Any]:
    """Return the parameters that the value was made with, where they were not the defaults."""
    return {
        name: ast.literal_eval(source)
        for name, source in stored.parameters.items()
        if canonical_source(source) != canonical_source(stored.parameter_defaults.get(name, ""))
    }


def _reported(root: Path, records: tuple[str, ...]) -> dict[str, Computed]:
    found: dict[str, Computed] = {}
    for record in records:
        report = (root / record).with_suffix(VERIFIED)
        if report.exists():
            found.update(msgspec.json.decode(report.read_bytes(), type=dict[str, Computed]))
            report.unlink()
    return found


def _compared(stored: Materialization, computed: Computed | None) -> Verified:
    result: Result = "failed"
    if computed is not None:
        result = "equal" if computed.data_version == stored.stored.data_version else "different"
        if result == "different" and stored.stored.opaque and computed.opaque:
            result = "unknown"
    return Verified(
        asset=reference_text(stored.asset, stored.partition),
        version=stored.version,
        result=result,
        message=_MESSAGES[result],
        stored=stored.stored.data_version,
        computed=computed.data_version if computed is not None else None,
    )
