"""`why`: the reasons of an asset and of what feeds it, and what changed in the code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import click
import msgspec

from nbpipe.commands.references import whole_asset
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.reasons import component_name
from nbpipe.core.records import AssetState
from nbpipe.core.staleness import Assessment


class CodeChange(msgspec.Struct, frozen=True, kw_only=True):
    """One changed component of an asset's code."""

    component: str
    """As a person would say it: `code`, `helper clean()`."""
    diff: str
    """Unified, from the recorded source to today's; empty if one of them is not known."""


class WhyNode(msgspec.Struct, frozen=True, kw_only=True):
    """One asset in the tree of reasons."""

    asset: str
    status: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    changes: tuple[CodeChange, ...]
    upstream: tuple[str, ...]
    """Those of its inputs that are a reason, and are explained in a node of their own."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an asset is as it is: its own node first, then those that it leads to."""

    asset: str
    nodes: tuple[WhyNode, ...]


@click.command("why")
@click.argument("asset")
@click.pass_obj
def command(workspace: Workspace, asset: str) -> Explanation:
    """Explain why an asset is stale: the reasons, through everything upstream, and what changed in the code."""
    return explain(workspace, whole_asset(asset, "why").asset)


def explain(workspace: Workspace, asset: str) -> Explanation:
    """Return the tree of reasons of an asset.

    Raises:
        UnknownNameError: there is no such asset.
    """
    workspace.asset(asset)
    workspace.settle()
    states = workspace.states()
    found = workspace.assess(states=states)
    keys = {asset: None}  # a set in order
    above: dict[str, tuple[str, ...]] = {}
    pending = [asset]
    for key in pending:  # grows while it is walked
        above[key] = tuple(up for up in workspace.graph.upstream(key) if found[up].stale)
        pending.extend(up for up in above[key] if up not in keys)
        keys.update(dict.fromkeys(above[key]))
    changes = _Changes(workspace, keys, states)
    return Explanation(asset=asset, nodes=tuple(_node(found[key], above[key], changes.of(key)) for key in keys))


def _node(found: Assessment, above: tuple[str, ...], changes: tuple[CodeChange, ...]) -> WhyNode:
    return WhyNode(
        asset=found.asset,
        status=found.status,
        reasons=found.reasons,
        notes=found.notes,
        changes=changes,
        upstream=above,
    )


class _Changes:
    """Compares the recorded sources of assets with today's."""

    def __init__(self, workspace: Workspace, keys: Iterable[str], states: Mapping[str, AssetState]) -> None:
        assets = workspace.definitions.assets
        self._changed: dict[str, list[tuple[str, str, str]]] = {}
        for key in keys:
            changed = _changed(assets[key], states.get(key))
            if changed:
                self._changed[key] = changed
        hashes = {digest for changed in self._changed.values() for _, *both in changed for digest in both}
        self._sources = workspace.store.sources(hashes) if hashes else {}
        if hashes:
            self._sources.update(workspace.project.sources({assets[key].cell.notebook for key in self._changed}))

    def of(self, key: str) -> tuple[CodeChange, ...]:
        return tuple(self._change(*changed) for changed in self._changed.get(key, ()))

    def _change(self, component: str, before: str, after: str) -> CodeChange:
        known = before in self._sources and after in self._sources
        lines = difflib.unified_diff(
            self._sources.get(before, "").splitlines(),
            self._sources.get(after, "").splitlines(),
            "recorded",
            "today",
            lineterm="",
        )
        return CodeChange(component=component_name(component), diff="\n".join(lines) if known else "")


def _changed(spec: AssetSpec, state: AssetState | None) -> list[tuple[str, str, str]]:
    if state is None or state.current is None:
        return []
    recorded = dict(state.current.code)
    return [
        (component, recorded[component], digest)
        for component, digest in spec.code
        if recorded.get(component, digest) != digest
    ]
