"""Store values as a kernel would, without starting one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.chunks import PartitionFacts, whole_facts
from nbpipe.core.partitions.inputs import Inputs, link_version
from nbpipe.core.partitions.ranges import parse_ranges
from nbpipe.core.partitions.records import NewPartition
from nbpipe.core.records import NewMaterialization
from nbpipe.io.targets import StoreTarget


def store_values(folder: Path, **values: Any) -> None:
    """Make values current, in this order, as made by today's definitions from the current inputs."""
    with Workspace.open(folder) as workspace:
        for key, value in values.items():
            _store(workspace, key, value)


def store_partitions(folder: Path, asset: str, values: Mapping[str, Any], *, code_version: str | None = None) -> None:
    """Make values of partitions current, by key, as made by today's definition from what is current upstream.

    Args:
        folder: of the project.
        asset: its key.
        values: by partition key.
        code_version: of an older definition.
    """
    with Workspace.open(folder) as workspace:
        commit_partitions(workspace, asset, values, code_version=code_version)


def commit_partitions(
    workspace: Workspace, asset: str, values: Mapping[str, Any], *, code_version: str | None = None
) -> None:
    """Do what `store_partitions` does, in an open project."""
    now, spec = clock.now(), workspace.definitions.assets[asset]
    partitions = workspace.store.partitions  # opened before the book, so that the book can register
    workspace.book.register(asset, at=now)
    of = workspace.book.of(asset)
    assert of is not None, asset
    inputs = Inputs([(link, _facts(workspace, link.upstream)) for link in workspace.book.links(spec)], now)
    older = {} if code_version is None else {"code": (), "code_version": code_version}
    partitions.commit(
        [
            NewPartition(
                position=of.position(key),
                value=msgspec.structs.replace(_new(workspace, asset, value, key), **older),
                inputs=inputs.fingerprint(*of.position(key)),
            )
            for key, value in values.items()
        ]
    )


def fail_partitions(folder: Path, asset: str, *texts: str, error: str) -> None:
    """Note that the latest attempts of some partitions failed."""
    with Workspace.open(folder) as workspace:
        of = workspace.book.of(asset)
        assert of is not None
        which = parse_ranges(of, texts, clock.now())
        workspace.store.partitions.fail(workspace.env, asset, which.families, error, at=clock.now())


def _facts(workspace: Workspace, asset: str) -> PartitionFacts:
    if workspace.book.has(asset):
        return workspace.store.partitions.facts(workspace.env, asset)
    found = workspace.store.materialization(workspace.env, asset)
    return whole_facts(found.stored.data_version if found else None)


def _data_version(workspace: Workspace, spec: AssetSpec, upstream: str, partition: str) -> str | None:
    """Return what is recorded as the data version of an input."""
    if workspace.book.has(upstream):
        link = workspace.book.link(spec, upstream)
        return link_version(link, _facts(workspace, upstream), *link.down.position(partition), clock.now())
    found = workspace.store.materialization(workspace.env, upstream)
    return found.stored.data_version if found else None


def _store(workspace: Workspace, key: str, value: Any) -> None:
    workspace.store.commit([_new(workspace, key, value)])


def _new(workspace: Workspace, key: str, value: Any, partition: str = "") -> NewMaterialization:
    spec = workspace.definitions.assets[key]
    target = StoreTarget(env=workspace.env, asset=key, partition=partition, uid=clock.new_id())
    inputs = {name: workspace.store.materialization(workspace.env, name) for name in spec.inputs}
    versions = {name: _data_version(workspace, spec, name, partition) for name in spec.inputs}
    defaults = {p.name: p.default for p in workspace.definitions.notebooks[spec.cell.notebook].parameters}
    parameters = {name: defaults[name] for name in spec.parameters}
    return NewMaterialization(
        env=workspace.env,
        asset=key,
        partition=partition,
        stored=workspace.io.manager(spec.options.io).store(value, target),
        code=spec.code,
        code_version=spec.code_version,
        sources=workspace.project.sources([spec.cell.notebook]),
        inputs={name: version for name, version in versions.items() if version is not None},
        input_versions={name: found.version for name, found in inputs.items() if found},
        files={path: workspace.project.file_hash(path) for path in spec.files},
        parameters=parameters,
        parameter_defaults=parameters,
        notebook=spec.cell.notebook,
        cell_id=spec.cell.cell_id,
        created_at=clock.now(),
    )
