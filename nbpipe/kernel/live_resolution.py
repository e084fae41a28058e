"""The definitions of a live notebook, resolved again only if something that they follow from has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from nbpipe.core.definitions import AssetSpec, CellDef, Diagnostic
from nbpipe.core.reading.notebooks import UNREADABLE, NotebookFacts
from nbpipe.core.resolving.fit import misfits
from nbpipe.core.resolving.resolution import ResolvedNotebook, resolve_notebook
from nbpipe.loading.files import FileFinder
from nbpipe.loading.modules import ProjectModules
from nbpipe.loading.project import LoadedProject
from nbpipe.loading.stamps import Stamp


class LiveResolution:
    """What the cells of one live notebook mean in their project, at one moment."""

    def __init__(self, facts: NotebookFacts, project: LoadedProject) -> None:
        """Resolve the notebook against what is saved of its project now."""
        self._facts, self._project = facts, project
        around = project.surroundings(facts.path)
        self.resolved = _with_misfits(resolve_notebook(facts, around, sources=True), facts, project)
        self.outside = around.outside
        self._cells = {cell.ref.cell_id: position for position, cell in enumerate(self.resolved.notebook.cells)}
        self._files = _answers(around.find_file)
        modules = around.modules.used if isinstance(around.modules, ProjectModules) else set()
        self._modules = {path: _stamp(project.root / path) for path in modules}

    def holds(self, facts: NotebookFacts, project: LoadedProject) -> bool:
        """Tell whether resolving again would give the same."""
        return (
            facts is self._facts
            and project is self._project
            and all(_stamp(project.root / path) == stamp for path, stamp in self._modules.items())
            and all((project.root / path).is_file() == found for path, found in self._files.items())
        )

    def has(self, cell_id: str) -> bool:
        """Tell whether there is such a cell."""
        return cell_id in self._cells

    def cell(self, cell_id: str) -> CellDef:
        """Return the definition of one cell."""
        return self.resolved.notebook.cells[self._cells[cell_id]]

    def assets(self, cell: CellDef) -> tuple[AssetSpec, ...]:
        """Return the assets of a cell in the order of their declaration."""
        by_key = {spec.key: spec for spec in self.resolved.assets}
        return tuple(by_key[key] for key in cell.assets)

    def names_above(self, cell_id: str) -> frozenset[str]:
        """Return the names that setup and parameters cells above a cell bind (`*`: some that can't be known)."""
        above = self.resolved.notebook.cells[: self._cells[cell_id]]
        return frozenset(name for cell in above for name in cell.binds)

    @property
    def setup_names(self) -> frozenset[str]:
        """Every name that a setup or parameters cell binds."""
        return frozenset(name for cell in self.resolved.notebook.cells for name in cell.binds)

    @property
    def defaults(self) -> Mapping[str, str]:
        """Source of the default of each parameter."""
        return {parameter.name: parameter.default for parameter in self.resolved.notebook.parameters}


def _with_misfits(resolved: ResolvedNotebook, facts: NotebookFacts, project: LoadedProject) -> ResolvedNotebook:
    """Add where partitions don't fit: those of this notebook as it is, of the others as they are saved."""
    mine = {spec.key: spec for spec in resolved.assets}
    mine = {key: spec for key, spec in mine.items() if not _is_unreadable(key, resolved.diagnostics)}

    def known(name: str) -> AssetSpec | None:
        spec = mine.get(name) or project.definitions.assets.get(name)
        if spec is None or spec is mine.get(name):
            return spec
        elsewhere = spec.cell.notebook != facts.path and not _is_unreadable(name, project.definitions.diagnostics)
        return spec if elsewhere else None

    found = tuple(misfits(resolved.assets, known, {facts.path: facts}))
    if not found:
        return resolved
    return msgspec.structs.replace(resolved, diagnostics=(*resolved.diagnostics, *found))


def _is_unreadable(name: str, diagnostics: Iterable[Diagnostic]) -> bool:
    return any(each.code == UNREADABLE and name in each.assets for each in diagnostics)


def _answers(find: object) -> dict[str, bool]:
    finder = getattr(find, "__self__", None)
    return dict(finder.answers) if isinstance(finder, FileFinder) else {}


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path.stat())
    except OSError:
        return None
