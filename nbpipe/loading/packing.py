"""Definitions as the index keeps them: what starts runs without a person apart, since most projects have none of it."""

from __future__ import annotations

import msgspec

from nbpipe.core.definitions import AssetSpec, Definitions, Diagnostic, NotebookDef
from nbpipe.loading.cache import encode


class _Packed(msgspec.Struct, array_like=True):
    assets: dict[str, AssetSpec]
    notebooks: dict[str, NotebookDef]
    diagnostics: tuple[Diagnostic, ...]
    hash: str
    automation: bytes
    """Empty: there is nothing."""


def pack(definitions: Definitions) -> bytes:
    """Return definitions as bytes."""
    automation = definitions.automation
    return encode(
        (
            definitions.assets,
            definitions.notebooks,
            definitions.diagnostics,
            definitions.hash,
            encode(automation) if any(automation) else b"",
        )
    )


def unpack(data: bytes) -> Definitions:
    """Return what `pack` packed."""
    packed = msgspec.msgpack.decode(data, type=_Packed)
    found = Definitions(
        assets=packed.assets, notebooks=packed.notebooks, diagnostics=packed.diagnostics, hash=packed.hash
    )
    if not packed.automation:
        return found
    from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef

    kinds = tuple[dict[str, JobDef], dict[str, ScheduleDef], dict[str, SensorDef], dict[str, str]]
    jobs, schedules, sensors, unusable = msgspec.msgpack.decode(packed.automation, type=kinds)
    return msgspec.structs.replace(found, jobs=jobs, schedules=schedules, sensors=sensors, unusable=unusable)
