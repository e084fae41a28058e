"""Finds what `ASSET[#VERSION]` names in the state store."""

from __future__ import annotations

from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import AssetState, Materialization
from nbpipe.core.references import Reference, parse_reference
from nbpipe.errors import MissingValueError, RefusedError, UnknownNameError, UsageError

_MANY = 1_000


def find(workspace: Workspace, text: str) -> Materialization:
    """Return the materialization that a reference names.

    Raises:
        UsageError: it can't be read.
        UnknownNameError: there is no such asset, or it has no such version.
        MissingValueError: the asset was never materialized.
    """
    reference = parse_reference(text)
    found = workspace.store.materialization(workspace.env, reference.asset, version=reference.version)
    if found is not None:
        return found
    known_asset(workspace, reference.asset)
    versions = history(workspace, reference.asset)
    if reference.version is not None and versions:
        raise _no_version(reference.asset, reference.version, versions)
    raise MissingValueError(
        f"asset {reference.asset} has no value in environment {workspace.env!r}: "
        f"`nbpipe materialize {reference.asset}` computes one"
    )


def find_kept(workspace: Workspace, text: str) -> Materialization:
    """Return the materialization that a reference names, if its value is still there.

    Raises:
        UsageError: it can't be read.
        UnknownNameError: there is no such asset, or it has no such version.
        MissingValueError: the asset was never materialized, or retention has removed the value.
    """
    found = find(workspace, text)
    if found.expired:
        raise MissingValueError(
            f"the value of version {found.version} of asset {found.asset} was removed by retention: "
            f"`nbpipe show {found.asset}` lists those that are kept"
        )
    return found


def version_of(workspace: Workspace, asset: str, version: int) -> Materialization:
    """Return a version whose value is still there.

    Raises:
        UnknownNameError: there is no such asset or version.
        RefusedError: retention has removed its value.
    """
    known_asset(workspace, asset)
    versions = history(workspace, asset)
    found = next((each for each in versions if each.version == version), None)
    if found is None:
        raise _no_version(asset, version, versions)
    if found.expired:
        kept = ", ".join(str(each.version) for each in reversed(versions) if not each.expired)
        raise RefusedError(
            f"the value of version {version} of {asset} was removed by retention; kept: {kept or 'none'}"
        )
    return found


def history(workspace: Workspace, asset: str) -> list[Materialization]:
    """Return the versions of an asset, newest first."""
    return workspace.store.history(workspace.env, asset, limit=_MANY)


def known_asset(workspace: Workspace, asset: str) -> AssetState | None:
    """Return the state of an asset that is defined or was stored; None if nothing is known of it but its definition.

    Raises:
        UnknownNameError: it is neither.
    """
    state = workspace.states([asset]).get(asset)
    if state == AssetState(asset=asset) and not history(workspace, asset):
        state = None
    if state is None and asset not in workspace.definitions.assets:
        known = {*workspace.definitions.assets, *workspace.states()}
        raise UnknownNameError("asset", asset, sorted(known), hint="`nbpipe list` shows all")
    return state


def whole_asset(text: str, command: str) -> Reference:
    """Read a reference that must name neither a version nor a partition.

    Raises:
        UsageError: it does, or can't be read.
    """
    reference = parse_reference(text)
    if reference.version is not None:
        raise UsageError(f"{command} is about a whole asset: leave out #{reference.version}")
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


def _no_version(asset: str, version: int, versions: list[Materialization]) -> UnknownNameError:
    numbers = ", ".join(str(each.version) for each in reversed(versions[:10]))
    hint = f"{asset} has {numbers}" if versions else f"{asset} was never materialized"
    return UnknownNameError("version", f"{asset}#{version}", hint=hint)
