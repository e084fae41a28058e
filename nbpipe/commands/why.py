"""`why`: the reasons of an asset or partition and of what feeds it, and what changed in the code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click
import msgspec

from nbpipe.commands.partition_references import position_of
from nbpipe.commands.references import without_version
from nbpipe.commands.why_nodes import CodeChange, Explanation, PartitionReason, WhyNode
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.drift import Made
from nbpipe.core.reasons import NEVER, component_name
from nbpipe.core.references import Reference, reference_text
from nbpipe.core.staleness import Assessment

#: Nodes of one explanation: an earlier partition may lead to one still earlier, and so on.
_MANY_NODES = 10_000
_MANY_PARTITIONS = 50
_LEFT_OUT = "what is behind it is left out: `nbpipe why` starts anywhere"

__all__ = ["CodeChange", "Explanation", "PartitionReason", "WhyNode", "command", "explain"]


@click.command("why")
@click.argument("asset")
@click.pass_obj
def command(workspace: Workspace, asset: str) -> Explanation:
    """Explain why an asset (or ASSET@KEY) is stale: the reasons, through everything upstream, and what changed."""
    reference = without_version(asset, "why")
    return explain(workspace, reference.asset, reference.partition)


def explain(workspace: Workspace, asset: str, partition: str = "") -> Explanation:
    """Return the tree of reasons of an asset, or of one of its partitions.

    Raises:
        UnknownNameError: there is no such asset, or no such partition.
        UsageError: a partition is asked for of an asset without.
    """
    workspace.asset(asset)
    workspace.settle()
    if partition:
        position_of(workspace, Reference(asset, partition))
        workspace.book.links(workspace.asset(asset))  # what can't be used says why
    steps = _Walk(workspace).from_(Reference(asset, partition))
    changes = _Changes(workspace, steps)
    nodes = tuple(msgspec.structs.replace(step.node, changes=changes.of(step)) for step in steps)
    return Explanation(asset=asset, partition=partition or None, nodes=nodes)


class _Step(NamedTuple):
    """One asset or partition on the way, and the records whose code is compared with today's."""

    node: WhyNode
    behind: Sequence[Reference]
    made: Sequence[Made]


class _Walk:
    """Goes from an asset or partition to what is behind it, each once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._states = workspace.states()
        self._found = workspace.assess(states=self._states)
        partitioned = any(each.partitions is not None for each in self._found.values())
        self._partitions = workspace.partition_states() if partitioned else {}

    def from_(self, start: Reference) -> list[_Step]:
        known = {start: None}  # a set in order
        steps = []
        pending = [start]
        room = {"": _MANY_NODES, "@": _MANY_PARTITIONS}
        for each in pending:  # grows while it is walked
            step = self._partition(each) if each.partition else self._asset(each.asset)
            behind, notes = [], step.node.notes
            for up in step.behind:
                if up not in known:
                    kind = "@" if up.partition else ""
                    if not room[kind]:
                        notes = (*step.node.notes, _LEFT_OUT)
                        continue
                    room[kind] -= 1
                    known[up] = None
                    pending.append(up)
                behind.append(up)
            names = tuple(reference_text(*up) for up in behind)
            steps.append(step._replace(node=msgspec.structs.replace(step.node, upstream=names, notes=notes)))
        return steps

    def _asset(self, key: str) -> _Step:
        found, state = self._found[key], self._states.get(key)
        partitions: tuple[PartitionReason, ...] = ()
        made: Sequence[Made] = [state.current] if state is not None and state.current is not None else []
        if key in self._partitions:
            from nbpipe.commands.why_partitions import drifted_recipes, partition_groups

            retold = self._workspace.unreadable.reason
            groups = partition_groups(self._partitions[key])
            partitions = tuple(msgspec.structs.replace(each, reason=retold(each.reason)) for each in groups)
            made = drifted_recipes(self._workspace, self._partitions[key])
        node = WhyNode(asset=key, status=found.status, reasons=found.reasons, notes=found.notes, partitions=partitions)
        behind = [Reference(up) for up in self._workspace.graph.upstream(key) if self._matters(up, found)]
        return _Step(node, behind, made)

    def _matters(self, up: str, below: Assessment) -> bool:
        """Tell whether an upstream is to be explained: of one with partitions, those that feed may be sound."""
        if not self._found[up].stale:
            return False
        partitioned = self._found[up].partitions is not None and below.partitions is None
        told = below.reasons
        return not partitioned or NEVER in told or any(reason.startswith(f"upstream {up} ") for reason in told)

    def _partition(self, reference: Reference) -> _Step:
        from nbpipe.commands.why_partitions import drifted_recipes, explained_partition

        asset, key, _ = reference
        node, behind = explained_partition(self._workspace, self._partitions, asset, key)
        node = msgspec.structs.replace(node, reasons=tuple(map(self._workspace.unreadable.reason, node.reasons)))
        return _Step(node, behind, drifted_recipes(self._workspace, self._partitions[asset], key))


class _Changes:
    """Compares the recorded sources of assets with today's."""

    def __init__(self, workspace: Workspace, steps: Iterable[_Step]) -> None:
        self._assets = workspace.definitions.assets
        changed = [(step.node.asset, _changed(self._assets[step.node.asset], step.made)) for step in steps]
        hashes = {digest for _, found in changed for _, *both in found for digest in both}
        self._sources = workspace.store.sources(hashes) if hashes else {}
        if hashes:
            notebooks = {self._assets[key].cell.notebook for key, found in changed if found}
            self._sources.update(workspace.project.sources(notebooks))

    def of(self, step: _Step) -> tuple[CodeChange, ...]:
        return tuple(self._change(*changed) for changed in _changed(self._assets[step.node.asset], step.made))

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


def _changed(spec: AssetSpec, records: Iterable[Made]) -> list[tuple[str, str, str]]:
    """Return the components that differ in any record: name, hash then and hash now."""
    found: dict[tuple[str, str, str], None] = {}  # a set in order
    for made in records:
        recorded = dict(made.code)
        for component, digest in spec.code:
            if recorded.get(component, digest) != digest:
                found[component, recorded[component], digest] = None
    return list(found)
