"""Store values as a kernel would, without starting one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import NewMaterialization
from nbpipe.io.targets import StoreTarget


def store_values(folder: Path, **values: Any) -> None:
    """Make values current, in this order, as made by today's definitions from the current inputs."""
    with Workspace.open(folder) as workspace:
        for key, value in values.items():
            _store(workspace, key, value)


def _store(workspace: Workspace, key: str, value: Any) -> None:
    spec = workspace.definitions.assets[key]
    target = StoreTarget(env=workspace.env, asset=key, uid=clock.new_id())
    inputs = {name: workspace.store.materialization(workspace.env, name) for name in spec.inputs}
    defaults = {p.name: p.default for p in workspace.definitions.notebooks[spec.cell.notebook].parameters}
    parameters = {name: defaults[name] for name in spec.parameters}
    workspace.store.commit(
        [
            NewMaterialization(
                env=workspace.env,
                asset=key,
                stored=workspace.io.manager(spec.options.io).store(value, target),
                code=spec.code,
                code_version=spec.code_version,
                sources=workspace.project.sources([spec.cell.notebook]),
                inputs={name: found.stored.data_version for name, found in inputs.items() if found},
                input_versions={name: found.version for name, found in inputs.items() if found},
                files={path: workspace.project.file_hash(path) for path in spec.files},
                parameters=parameters,
                parameter_defaults=parameters,
                notebook=spec.cell.notebook,
                cell_id=spec.cell.cell_id,
                created_at=clock.now(),
            )
        ]
    )
