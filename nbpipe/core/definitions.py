"""What a project defines: assets, their cells and notebooks, and what is wrong with them.

All values are frozen and hold frozen parts, so that they can be cached, compared and shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:  # loaded where a project has some
    from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef

CellKind = Literal["asset", "parameters", "setup", "view", "skipped", "other", "broken"]
"""`other`: declares something that is not an asset, or is empty; `broken`: its source can't be analysed."""


#: The I/O manager of assets that name none.
DEFAULT_IO = "files"


class AssetOptions(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The options of `%%asset`, as written."""

    deps: tuple[str, ...] = ()
    use: tuple[str, ...] = ()
    partitions: str | None = None
    """SPEC of its partitions, as written."""
    map: tuple[tuple[str, str], ...] = ()
    """Upstream and mapping, as written."""
    concat: tuple[tuple[str, str], ...] = ()
    """Upstream whose partitions are given as one table, and the name of the column that holds the key."""
    io: str | None = None
    group: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    owners: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    description: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    retries: int = 0
    retry_delay: float = 0.0
    """Seconds before the first retry."""
    backoff: Literal["constant", "linear", "exponential"] = "constant"
    timeout: float | None = None
    """Seconds that one execution of the body may take."""
    fresh_for: float | None = None
    """Seconds after which a value counts as stale although nothing that we watch changed."""
    pool: str | None = None
    backfill: str | None = None
    """`single` or a number: how many partitions a run of a backfill takes, and one execution of a body for several."""


class CellRef(msgspec.Struct, frozen=True, gc=False, order=True):
    """Where a cell is."""

    notebook: str
    """Path relative to the project's root, with `/`."""
    index: int
    """0-based position among all cells."""
    cell_id: str

    def __str__(self) -> str:
        return f"{self.notebook}, cell {self.index + 1}"


class AssetSpec(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One asset, with all names resolved."""

    key: str
    cell: CellRef
    siblings: tuple[str, ...]
    """All assets of its cell in the order of their declaration, itself included."""
    options: AssetOptions = AssetOptions()
    description: str = ""
    upstream: tuple[str, ...] = ()
    """Every asset that it depends on, sorted."""
    inputs: tuple[str, ...] = ()
    """Those of `upstream` whose values are loaded and bound, sorted (order-only ones are not); and itself, if it reads
    earlier partitions of its own."""
    ranged: bool = False
    """One execution of the body can take several partitions: it reads `partition.keys`, and not its own earlier
    ones. `AssetOptions.backfill` says how many at most."""
    setup_names: tuple[str, ...] = ()
    """Names bound by setup and parameters cells above that the body may see and reads."""
    parameters: tuple[str, ...] = ()
    """Parameters that it reaches, also through setup names, sorted."""
    resources: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """File inputs relative to the root; a pattern starts with `glob:`. They need not exist."""
    code: tuple[tuple[str, str], ...] = ()
    """`(component, hash)`, sorted; components: `body`, `options`, `helper:clean`, `constant:LIMIT`, `import:pd`,
    `module:m.f()`, `module:m.LIMIT`, `module:m` (as a whole)."""
    code_version: str = ""
    """Hash of `code`."""


class CellDef(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One code cell, classified."""

    ref: CellRef
    kind: CellKind
    source_hash: str
    """Hash of the exact text; compared with what a live kernel executed."""
    assets: tuple[str, ...] = ()
    """Assets that the cell declares, in order."""
    shows: tuple[str, ...] = ()
    """For a view cell: the assets that it shows, directly or through names of other view cells, sorted."""
    binds: tuple[str, ...] = ()
    """For a setup or parameters cell: the names it binds. For a view cell: the imports, functions and classes
    that read no asset and therefore always run. `*` stands for names that the text does not show (a star import or
    `%run` of something outside of the project)."""
    uses: tuple[int, ...] = ()
    """For a view cell: indexes of the view cells above whose names it uses; they run when it does."""


class ParameterDef(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A name bound by the `parameters` cell."""

    name: str
    default: str
    """Source of the default value."""
    annotation: str | None = None
    line: int = 1


class NotebookDef(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One notebook: the repository of definitions found in it."""

    path: str
    location: str = "default"
    kernel: str | None = None
    """Name of its kernelspec."""
    cells: tuple[CellDef, ...] = ()
    """Its code cells in document order."""
    parameters: tuple[ParameterDef, ...] = ()
    content_hash: str = ""

    @property
    def assets(self) -> tuple[str, ...]:
        """All assets that it declares, in document order."""
        return tuple(key for cell in self.cells for key in cell.assets)


class Diagnostic(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One thing that `validate` reports."""

    severity: Literal["error", "warning"]
    code: str
    """A stable short name, for example `duplicate-asset`."""
    message: str
    notebook: str
    cell_id: str | None = None
    cell: int | None = None
    """1-based position among all cells."""
    line: int | None = None
    """1-based line within the cell."""
    assets: tuple[str, ...] = ()
    """Assets that can't be run because of it."""


_NONE: Mapping[str, Any] = MappingProxyType({})


class Automation(NamedTuple):
    """What starts runs without a person, by name in sorted order."""

    jobs: Mapping[str, JobDef] = _NONE
    schedules: Mapping[str, ScheduleDef] = _NONE
    sensors: Mapping[str, SensorDef] = _NONE
    unusable: Mapping[str, str] = _NONE
    """See `Definitions`."""


#: Of a project where a person starts everything.
NO_AUTOMATION = Automation()


class Definitions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a project defines: its workspace."""

    assets: Mapping[str, AssetSpec] = MappingProxyType({})
    """By key, in sorted order."""
    notebooks: Mapping[str, NotebookDef] = MappingProxyType({})
    """By path, in sorted order."""
    diagnostics: tuple[Diagnostic, ...] = ()
    hash: str = ""
    """Changes whenever anything else here does."""
    jobs: Mapping[str, JobDef] = _NONE
    """By name, in sorted order; like schedules and sensors, only those without an error."""
    schedules: Mapping[str, ScheduleDef] = _NONE
    sensors: Mapping[str, SensorDef] = _NONE
    unusable: Mapping[str, str] = _NONE
    """Jobs, schedules and sensors that are declared but have an error, as `job nightly`, with the error: they have not
    been taken away. Of a notebook that can't be read at all, nobody knows which ones it declares."""

    @property
    def automation(self) -> Automation:
        """What starts runs without a person."""
        return Automation(self.jobs, self.schedules, self.sensors, self.unusable)

    def blocked(self, key: str) -> Diagnostic | None:
        """Return the error that keeps the asset `key` from being run, if there is one."""
        return next((d for d in self.diagnostics if d.severity == "error" and key in d.assets), None)


def unreadable_notebooks(definitions: Definitions) -> frozenset[str]:
    """Return the notebooks that can't be read at all, so that nobody knows what they declare."""
    return frozenset(
        each.notebook
        for each in definitions.diagnostics
        if each.severity == "error" and each.notebook and not _cells(definitions, each.notebook)
    )


def _cells(definitions: Definitions, notebook: str) -> tuple[CellDef, ...]:
    found = definitions.notebooks.get(notebook)
    return () if found is None else found.cells
