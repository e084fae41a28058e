"""Short ways to write the values that the tables of core are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from nbpipe.core.definitions import AssetOptions, AssetSpec, CellDef, CellRef, Definitions, NotebookDef
from nbpipe.core.records import AssetState, Materialization, StoredValue

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def spec(
    key: str,
    upstream: str = "",
    *,
    notebook: str = "a.ipynb",
    index: int = 0,
    options: AssetOptions | None = None,
    **fields: Any,
) -> AssetSpec:
    """Write an asset; `upstream` are names apart by spaces, `~name` is order only."""
    names = upstream.split()
    fields.setdefault("code", (("body", f"hash of {key}"),))
    return AssetSpec(
        key=key,
        cell=CellRef(notebook, index, f"{notebook}:{index}"),
        siblings=fields.pop("siblings", (key,)),
        options=options or AssetOptions(),
        upstream=tuple(sorted(name.lstrip("~") for name in names)),
        inputs=tuple(sorted(name for name in names if not name.startswith("~"))),
        code_version=repr(fields["code"]),
        **fields,
    )


def project(*specs: AssetSpec, cells: Mapping[str, Iterable[CellDef]] | None = None, **fields: Any) -> Definitions:
    """Write a project; the cells of a notebook are those of its assets, and others at free places."""
    notebooks: dict[str, dict[int, CellDef]] = {}
    for one in specs:
        place = notebooks.setdefault(one.cell.notebook, {})
        before = place.get(one.cell.index)
        place[one.cell.index] = CellDef(
            ref=one.cell, kind="asset", source_hash="", assets=(*(before.assets if before else ()), one.key)
        )
    for path, others in (cells or {}).items():
        notebooks.setdefault(path, {}).update({cell.ref.index: cell for cell in others})
    parameters = fields.pop("parameters", {})
    return Definitions(
        assets={one.key: one for one in sorted(specs, key=lambda one: one.key)},
        notebooks={
            path: NotebookDef(
                path=path,
                cells=tuple(place[index] for index in sorted(place)),
                parameters=parameters.get(path, ()),
                content_hash=f"content of {path}",
            )
            for path, place in sorted(notebooks.items())
        },
        **fields,
    )


def chain(*names: str, notebook: str = "a.ipynb") -> list[AssetSpec]:
    """Write assets that each feed the next."""
    return [
        spec(name, names[index - 1] if index else "", notebook=notebook, index=index)
        for index, name in enumerate(names)
    ]


def made(one: AssetSpec, data: str = "", *, version: int = 1, at: datetime = NOON, **fields: Any) -> AssetState:
    """Write the state of an asset that was materialized as it is defined now."""
    opaque = fields.pop("opaque", False)
    state = {name: fields.pop(name) for name in ("failed_at", "error", "held", "activity") if name in fields}
    fields.setdefault("inputs", {name: f"data of {name}" for name in one.inputs})
    fields.setdefault("input_versions", dict.fromkeys(one.inputs, 1))
    current = Materialization(
        id=1,
        env="default",
        asset=one.key,
        partition="",
        version=version,
        stored=StoredValue(
            io="file", format="json", path="p", size=1, data_version=data or f"data of {one.key}", opaque=opaque
        ),
        code=fields.pop("code", one.code),
        code_version=fields.pop("code_version", one.code_version),
        created_at=at,
        **fields,
    )
    return AssetState(asset=one.key, current=current, **state)


def changed(one: AssetSpec, **fields: Any) -> AssetSpec:
    """Return a changed copy; new code gets a new version."""
    if "code" in fields:
        fields["code_version"] = repr(fields["code"])
    return msgspec.structs.replace(one, **fields)
