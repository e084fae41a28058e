"""From facts of notebooks to definitions: kinds of cells, resolved names, code versions, and what is wrong.

`resolve_notebook` needs one notebook and the names outside of it, so that a live kernel can call it after each
edit; `resolve` does it for a whole project and adds what only the whole shows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from nbpipe.core.definitions import (
    NO_AUTOMATION,
    AssetOptions,
    AssetSpec,
    Automation,
    CellDef,
    CellRef,
    Definitions,
    Diagnostic,
    NotebookDef,
)
from nbpipe.core.keys import PARTITION
from nbpipe.core.reading.fingerprints import text_hash
from nbpipe.core.reading.notebooks import UNREADABLE, CellFacts, NotebookFacts
from nbpipe.core.resolving.bodies import OutsideNames, ResolvedBody, Surroundings, resolve_body
from nbpipe.core.resolving.cautions import warn_of_generators, warn_of_mutations
from nbpipe.core.resolving.checks import check_cells
from nbpipe.core.resolving.code_versions import CodeVersion, code_version
from nbpipe.core.resolving.duplicates import duplicate_assets
from nbpipe.core.resolving.fit import misfits
from nbpipe.core.resolving.kinds import classify, declares, declares_automation
from nbpipe.core.resolving.modules import ModuleIndex, ModuleSource, NoModules
from nbpipe.core.resolving.reach import Reaches
from nbpipe.core.resolving.reports import Reports

if TYPE_CHECKING:  # loaded where a project has jobs, schedules or sensors
    from nbpipe.core.resolving.declared import Configured, Declared

FindFile = Callable[[str, str], str | None]
"""`(path of the notebook, string literal)` -> path of the existing file it names, relative to the root, or None."""

DEFAULT_LOCATION = "default"

_NO_SOURCES: Mapping[str, str] = MappingProxyType({})


class ResolvedNotebook(msgspec.Struct, frozen=True, kw_only=True):
    """One notebook, resolved."""

    notebook: NotebookDef
    assets: tuple[AssetSpec, ...] = ()
    """In document order; those of broken cells too: a diagnostic keeps them from being run."""
    diagnostics: tuple[Diagnostic, ...] = ()
    declared: tuple[Declared, ...] = ()
    """Jobs, schedules and sensors, by themselves: what they name is not looked up."""
    sources: Mapping[str, str] = _NO_SOURCES
    """Source text by hash of code component, if asked for."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What notebooks are resolved against."""

    outside: OutsideNames = OutsideNames()
    find_file: FindFile | None = None
    modules: ModuleSource = NoModules()
    location: str = DEFAULT_LOCATION


def resolve(
    notebooks: Mapping[str, NotebookFacts],
    *,
    resources: Collection[str] = (),
    find_file: FindFile | None = None,
    modules: ModuleSource | None = None,
    locations: Mapping[str, str] = MappingProxyType({}),
    configured: Configured | None = None,
) -> Definitions:
    """Resolve all notebooks of a project; whatever is wrong becomes a diagnostic.

    Args:
        notebooks: facts by path.
        resources: names of resources.
        find_file: finds files that string literals name.
        modules: finds modules of the project.
        locations: name of the code location by path of the notebook.
        configured: jobs, schedules and sensors of the configuration.
    """
    places = asset_places(notebooks)
    outside = OutsideNames(assets=places, resources=frozenset(resources))
    resolved = [
        resolve_notebook(
            notebooks[path],
            Project(
                outside=outside,
                find_file=find_file,
                modules=modules or NoModules(),
                location=locations.get(path, DEFAULT_LOCATION),
            ),
        )
        for path in sorted(notebooks)
    ]
    assets: dict[str, AssetSpec] = {}
    for result in resolved:
        for spec in result.assets:
            assets.setdefault(spec.key, spec)
    diagnostics = [d for result in resolved for d in result.diagnostics]
    diagnostics += duplicate_assets(notebooks, places)
    unreadable = {key for d in diagnostics if d.code == UNREADABLE for key in d.assets}
    known = {key: spec for key, spec in assets.items() if key not in unreadable} if unreadable else assets
    diagnostics += misfits(assets.values(), known.get, notebooks)
    defs = {result.notebook.path: result.notebook for result in resolved}
    declared = [each for result in resolved for each in result.declared]
    automation = NO_AUTOMATION
    if declared or configured is not None:
        from nbpipe.core.resolving.automation import resolve_automation

        automation, found = resolve_automation(declared, assets, defs, configured)
        diagnostics += found
    diagnostics.sort(key=_order)
    return definitions(assets, defs, diagnostics, automation)


def definitions(
    assets: Mapping[str, AssetSpec],
    notebooks: Mapping[str, NotebookDef],
    diagnostics: Collection[Diagnostic],
    automation: Automation = NO_AUTOMATION,
) -> Definitions:
    """Put definitions together, sorted, with their hash."""
    specs = {key: assets[key] for key in sorted(assets)}
    defs = {path: notebooks[path] for path in sorted(notebooks)}
    found = tuple(diagnostics)
    encoded = msgspec.json.encode((list(specs.values()), list(defs.values()), found))
    if any(automation):
        encoded += msgspec.json.encode([sorted(each.items()) for each in automation])
    return Definitions(
        assets=specs,
        notebooks=defs,
        diagnostics=found,
        hash=text_hash(encoded.decode()),
        **{name: dict(sorted(each.items())) for name, each in automation._asdict().items() if each},
    )


def asset_places(notebooks: Mapping[str, NotebookFacts]) -> dict[str, list[CellRef]]:
    """Return where each asset is declared, in order of path and position."""
    places: dict[str, list[CellRef]] = {}
    for path in sorted(notebooks):
        for cell in notebooks[path].cells:
            if cell.names and declares(cell):
                ref = CellRef(path, cell.index, cell.cell_id)
                for name in cell.names:
                    places.setdefault(name, []).append(ref)
    return places


def resolve_notebook(facts: NotebookFacts, project: Project, *, sources: bool = False) -> ResolvedNotebook:
    """Resolve one notebook against the rest of its project.

    Args:
        facts: the notebook.
        project: names outside of it, its files and modules.
        sources: also return the source text of each code component.
    """
    return _NotebookResolver(facts, project, sources=sources).resolve()


class _NotebookResolver:
    """Resolves one notebook."""

    def __init__(self, facts: NotebookFacts, project: Project, *, sources: bool) -> None:
        self._facts = facts
        self._project = project
        self._reports = Reports(facts.path)
        self._modules = ModuleIndex(project.modules, facts.path)
        self._names = classify(facts, self._is_outside, self._modules)
        reaches = Reaches(self._names.setup, self._modules, self._names.assets.__contains__)
        self._around = Surroundings(facts, self._names, project.outside, self._modules, reaches, self._reports)
        self._files: dict[str, str | None] = {}
        self._want_sources = sources
        self._sources: dict[str, str] = {}

    def resolve(self) -> ResolvedNotebook:
        specs: list[AssetSpec] = []
        bodies: dict[int, ResolvedBody] = {}
        for position, cell in enumerate(self._facts.cells):
            if cell.names and declares(cell):
                body = bodies[position] = resolve_body(self._around, position)
                warn_of_mutations(cell, body, self._reports)
                specs.extend(self._specs(cell, body))
        warn_of_generators(self._facts, self._names, bodies, self._reports)
        check_cells(self._around, specs)
        declared = self._declared()
        first = {spec.key: spec for spec in reversed(specs)}  # of a duplicate, the one above counts
        return ResolvedNotebook(
            notebook=self._notebook(),
            assets=tuple(first[key] for key in dict.fromkeys(spec.key for spec in specs)),
            diagnostics=tuple(sorted(self._reports.found, key=_order)),
            declared=declared,
            sources=self._sources,
        )

    def _declared(self) -> tuple[Declared, ...]:
        if not any(map(declares_automation, self._facts.cells)):
            return ()
        from nbpipe.core.resolving.declared import declared_in

        return declared_in(self._around)

    def _is_outside(self, name: str) -> bool:
        return bool(self._project.outside.places(name, self._facts.path))

    def _specs(self, cell: CellFacts, body: ResolvedBody) -> list[AssetSpec]:
        options = cell.declaration.options if cell.declaration is not None else AssetOptions()
        code = code_version(cell, cell.names, body.reach, self._modules, sources=self._want_sources)
        self._sources.update(code.sources)
        first = self._spec(cell, body, options, code)
        return [first, *(msgspec.structs.replace(first, key=name) for name in cell.names[1:])]

    def _spec(self, cell: CellFacts, body: ResolvedBody, options: AssetOptions, code: CodeVersion) -> AssetSpec:
        return AssetSpec(
            key=cell.names[0],
            cell=CellRef(self._facts.path, cell.index, cell.cell_id),
            siblings=cell.names,
            options=options,
            description=options.description or cell.code.comment.strip() or cell.above.strip(),
            upstream=tuple(sorted((body.inputs | body.order).difference(cell.names))),
            inputs=tuple(sorted(body.inputs)),
            ranged=_is_ranged(cell, body, options),
            setup_names=tuple(sorted(body.reach.setup)),
            parameters=body.reach.parameters(self._names.setup.parameters),
            resources=tuple(sorted(body.resources)),
            files=self._found_files(body),
            code=code.components,
            code_version=code.version,
        )

    def _found_files(self, body: ResolvedBody) -> tuple[str, ...]:
        find = self._project.find_file
        found = set(body.patterns)
        for literal in body.reach.strings if find is not None else ():
            if literal not in self._files:
                self._files[literal] = find(self._facts.path, literal) if _maybe_path(literal) and find else None
            path = self._files[literal]
            if path is not None:
                found.add(path)
        return tuple(sorted(found))

    def _notebook(self) -> NotebookDef:
        kinds = {c.index: named.kind for c, named in zip(self._facts.cells, self._names.cells, strict=True)}
        cells = tuple(
            CellDef(
                ref=CellRef(self._facts.path, cell.index, cell.cell_id),
                kind=named.kind,
                source_hash=cell.source_hash,
                assets=cell.names if declares(cell) else (),
                shows=tuple(sorted(named.shows)),
                binds=named.binds,
                uses=self._used_views(position, cell) if named.kind == "view" else (),
            )
            for position, (cell, named) in enumerate(zip(self._facts.cells, self._names.cells, strict=True))
        )
        parameters = next((c for c in self._facts.cells if c.parameters and kinds[c.index] == "parameters"), None)
        return NotebookDef(
            path=self._facts.path,
            location=self._project.location,
            kernel=self._facts.kernel,
            cells=cells,
            parameters=parameters.parameters if parameters is not None else (),
            content_hash=self._facts.content_hash,
        )

    def _used_views(self, position: int, cell: CellFacts) -> tuple[int, ...]:
        views = self._names.views
        places = {views[read.name] for read in cell.code.reads if views.get(read.name, position) < position}
        return tuple(self._facts.cells[place].index for place in sorted(places))


def _is_ranged(cell: CellFacts, body: ResolvedBody, options: AssetOptions) -> bool:
    """Tell whether one execution of the body can take several partitions: it reads `partition.keys`.

    `--backfill` alone says nothing about the body: a cell that is written for one partition is executed for each of
    those that a run takes.
    """
    if options.partitions is None or not body.inputs.isdisjoint(cell.names):
        return False
    return any(read.name == PARTITION for read in cell.code.reads) and any(
        (PARTITION, "keys") in statement.attributes for statement in cell.code.statements
    )


def _maybe_path(literal: str) -> bool:
    return 0 < len(literal) < 1024 and literal.isprintable()


def _order(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    return (
        diagnostic.notebook,
        diagnostic.cell or 0,
        diagnostic.line or 0,
        diagnostic.code,
        diagnostic.message,
    )


__all__ = [
    "FindFile",
    "OutsideNames",
    "Project",
    "ResolvedNotebook",
    "asset_places",
    "definitions",
    "resolve",
    "resolve_notebook",
]
