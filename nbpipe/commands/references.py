"""Finds what `ASSET[@PARTITION][#VERSION]` names in the state store."""

from __future__ import annotations

import shlex

from nbpipe.commands.partition_references import (
    has_partition_facts,
    is_partitioned,
    key_needed,
    no_version,
    partition_history,
    partition_skip,
    partition_value,
)
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import AssetState, Materialization
from nbpipe.core.references import Reference, parse_reference, reference_text
from nbpipe.errors import MissingValueError, RefusedError, UnknownNameError, UsageError

_MANY = 1_000


def find(workspace: Workspace, what: str | Reference) -> Materialization:
    """Return the materialization that a reference names.

    Raises:
        UsageError: it can't be read, names no partition of a partitioned asset, or one of an asset without.
        UnknownNameError: there is no such asset, or it has no such partition or version.
        MissingValueError: it was never materialized.
    """
    reference = parse_reference(what) if isinstance(what, str) else what
    asset, partition, version = reference
    if not partition and is_partitioned(workspace, asset):
        raise key_needed(workspace, asset)
    if partition:
        found = partition_value(workspace, reference)
    else:
        found = workspace.store.materialization(workspace.env, asset, version=version)
    if found is not None:
        return found
    known_asset(workspace, asset)
    versions = history(workspace, asset, partition)
    if version is not None and versions:
        raise no_version(reference, versions)
    option = f" --partition {shlex.quote(partition)}" if partition else ""
    skipped = partition_skip(workspace, reference) if partition else None
    why = "" if skipped is None else f", because its last run skipped it{f' ({skipped})' if skipped else ''}"
    raise MissingValueError(
        f"{_named(asset, partition)} has no value in environment {workspace.env!r}{why}: "
        f"`nbpipe materialize {asset}{option}` {'computes one' if skipped is None else 'tries again'}"
    )


def find_kept(workspace: Workspace, what: str | Reference) -> Materialization:
    """Return the materialization that a reference names, if its value is still there.

    Raises:
        UsageError: it can't be read, names no partition of a partitioned asset, or one of an asset without.
        UnknownNameError: there is no such asset, or it has no such partition or version.
        MissingValueError: it was never materialized, or retention has removed the value.
    """
    found = find(workspace, what)
    if found.expired:
        raise MissingValueError(
            f"the value of version {found.version} of {_named(found.asset, found.partition)} was removed by retention: "
            f"`nbpipe show {reference_text(found.asset, found.partition)}` lists those that are kept"
        )
    return found


def version_of(workspace: Workspace, reference: Reference, version: int) -> Materialization:
    """Return a version of an asset or partition whose value is still there.

    Raises:
        UsageError: the asset has no partitions, or it has and none is named.
        UnknownNameError: there is no such asset, partition or version.
        RefusedError: retention has removed its value.
    """
    asset, partition, _ = reference
    known_asset(workspace, asset)
    if not partition and is_partitioned(workspace, asset):
        raise key_needed(workspace, asset)
    versions = history(workspace, asset, partition)
    found = next((each for each in versions if each.version == version), None)
    if found is None:
        raise no_version(Reference(asset, partition, version), versions)
    if found.expired:
        kept = ", ".join(str(each.version) for each in reversed(versions) if not each.expired)
        raise RefusedError(
            f"the value of version {version} of {reference_text(asset, partition)} was removed by retention; "
            f"kept: {kept or 'none'}"
        )
    return found


def history(workspace: Workspace, asset: str, partition: str = "") -> list[Materialization]:
    """Return the versions of an asset or partition, newest first."""
    if partition:
        return partition_history(workspace, Reference(asset, partition))
    return workspace.store.history(workspace.env, asset, limit=_MANY)


def known_asset(workspace: Workspace, asset: str) -> AssetState | None:
    """Return the state of an asset that is defined or was stored; None if nothing is known of it but its definition.

    Raises:
        UnknownNameError: it is neither.
    """
    state = workspace.states([asset]).get(asset)
    if state == AssetState(asset=asset) and not history(workspace, asset):
        state = None
    if state is None and asset not in workspace.definitions.assets and not has_partition_facts(workspace, asset):
        known = {*workspace.definitions.assets, *workspace.states()}
        raise UnknownNameError("asset", asset, sorted(known), hint="`nbpipe list` shows all")
    return state


def read_reference(text: str, *, partition: str | None = None, version: int | None = None) -> Reference:
    """Read a reference whose partition and version may be given beside it.

    Raises:
        UsageError: it can't be read, or something is given twice.
    """
    found = parse_reference(text)
    if partition is not None and found.partition:
        raise UsageError(f"{text!r} names a partition already: leave out partition={partition!r}")
    if version is not None and found.version is not None:
        raise UsageError(f"{text!r} names a version already: leave out version={version}")
    if partition is not None and not partition:
        raise UsageError(f"a partition key can't be empty: leave out partition={partition!r}, or name a key")
    return Reference(
        found.asset,
        found.partition if partition is None else partition,
        found.version if version is None else version,
    )


def without_version(text: str, command: str) -> Reference:
    """Read a reference to an asset or partition, that must not name a version.

    Raises:
        UsageError: it does, or can't be read.
    """
    reference = parse_reference(text)
    if reference.version is not None:
        what = "a whole partition" if reference.partition else "a whole asset"
        raise UsageError(f"{command} is about {what}: leave out #{reference.version}{_quoting(reference)}")
    return reference


def whole_asset(text: str, command: str) -> Reference:
    """Read a reference that must name neither a version nor a partition.

    Raises:
        UsageError: it does, or can't be read.
    """
    reference = without_version(text, command)
    if reference.partition:
        raise UsageError(f"{command} is about a whole asset: leave out @{reference.partition}")
    return reference


def refuse_active(state: AssetState | None, asset: str, command: str) -> None:
    """Refuse to change an asset that a run is working on.

    Raises:
        RefusedError: there is such a run.
    """
    if state is not None and state.activity:
        raise RefusedError(
            f"{asset} is {state.activity} in a run: wait for its end, or cancel it (`nbpipe runs`), then {command}"
        )


def _named(asset: str, partition: str) -> str:
    return f"partition {partition} of asset {asset}" if partition else f"asset {asset}"


def _quoting(reference: Reference) -> str:
    if not reference.partition:
        return ""
    key = f"{reference.partition}#{reference.version}"
    return f", or, if it belongs to the key, write {reference_text(reference.asset, key)}"
