"""What a run will do, fixed before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from nbpipe.core.definitions import AssetSpec

Action = Literal["run", "asset", "view", "skip"]
"""`run`: a setup or parameters cell, or any cell of a notebook that runs whole; `asset`: a selected asset cell;
`view`: runs if it shows an asset that this step materialized; `skip`: stays empty in the record."""

Mode = Literal["all", "stale", "verify"]
"""`all`: execute everything selected; `stale`: an asset whose inputs prove unchanged when its turn comes is left;
`verify`: compute, commit nothing, and report what came out."""

#: Ending of the file, beside a step's record, in which a step in mode `verify` reports `Computed` by asset.
VERIFIED = ".verified.json"


class Computed(msgspec.Struct, frozen=True, kw_only=True):
    """What came out when an asset was computed again; see `StoredValue`."""

    data_version: str
    opaque: bool
    format: str
    size: int


class CellPlan(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What happens to one code cell of a step's notebook."""

    index: int
    cell_id: str
    action: Action
    assets: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    """`CellDef.binds`: names that asset bodies below may see."""


class StepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of one notebook."""

    index: int
    notebook: str
    kernel: str | None = None
    location: str = "default"
    whole: bool = False
    """Run every cell, as Run All does: a notebook as a job. An asset that is up to date is loaded."""
    cells: tuple[CellPlan, ...] = ()
    """In document order."""
    order: tuple[int, ...] = ()
    """`CellPlan.index` of the cells that may execute, in order of execution."""
    assets: tuple[str, ...] = ()
    """Selected assets in order of execution."""
    after: tuple[int, ...] = ()
    """Indexes of the steps that must have ended before."""
    parameters: Mapping[str, Any] = MappingProxyType({})


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    env: str
    selection: str
    mode: Mode = "all"
    assets: tuple[AssetSpec, ...] = ()
    """The selected assets, pinned as they are defined now, in topological order."""
    steps: tuple[StepPlan, ...] = ()
    """In an order in which one after the other would work."""
    partitions: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """By selected asset that has partitions: which of them, as `partitions.ranges.range_texts`. They are executed in
    the order of their keys."""
    sets: Mapping[str, str] = MappingProxyType({})
    """SPEC of the partitions of each asset that has some and is selected, or read by one that is."""
    notebooks: Mapping[str, str] = MappingProxyType({})
    """Content hash of each notebook when the plan was made."""
    notes: tuple[str, ...] = ()
    """What a person should be told before it starts, for example which assets come along."""
    memory: int | None = None
    """Bytes that each of its kernels may take; None: what the configuration says."""


class StepRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a step's kernel must know; written as JSON by the runner, read by the kernel before its first cell.

    Secrets are not in it: URLs keep their `${NAME}` references and are resolved inside the kernel.
    """

    run_id: str
    root: str
    """Absolute path of the project's root."""
    env: str
    state: str
    """SQLAlchemy URL of the state store, as configured."""
    storage: str
    """fsspec URL of the values, as configured."""
    io: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """The `[io.NAME]` tables, as configured."""
    notebook: str
    mode: Mode = "all"
    step: StepPlan
    assets: tuple[AssetSpec, ...] = ()
    """The step's selected assets."""
    partitions: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """See `RunPlan.partitions`; of the whole run."""
    sets: Mapping[str, str] = MappingProxyType({})
    """See `RunPlan.sets`."""
    sources: Mapping[str, str] = MappingProxyType({})
    """Source text by component hash."""
    known: tuple[str, ...] = ()
    """Every asset of the project: names that a view cell may load."""
    parameter_defaults: Mapping[str, str] = MappingProxyType({})
    """Source of each default of the notebook's parameters cell, before injection."""
    secrets: tuple[str, ...] = ()
    """References such as `${NAME}` to what no record may show."""
