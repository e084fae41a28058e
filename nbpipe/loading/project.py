"""A project as it is saved: its configuration and all its definitions."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from nbpipe.clock import now_ns
from nbpipe.core.definitions import CellRef, Definitions
from nbpipe.core.reading.notebooks import NotebookFacts
from nbpipe.core.resolving.resolution import OutsideNames, Project, resolve_notebook
from nbpipe.loading.config import DEFAULT_ENVIRONMENT, Config, load_config
from nbpipe.loading.files import FileFinder, FileHashes
from nbpipe.loading.index import Index
from nbpipe.loading.locations import DEFAULT_LOCATION, locate
from nbpipe.loading.modules import ProjectModules
from nbpipe.loading.remembered import Entry
from nbpipe.loading.resolving import Material, resolve_again
from nbpipe.loading.roots import STATE_FOLDER, find_root
from nbpipe.loading.scan import UNKNOWN, scan


@dataclass(frozen=True)
class LoadedProject:
    """A project as it was saved when it was loaded."""

    root: Path
    """Absolute, without links."""
    config: Config
    definitions: Definitions
    locations: Mapping[str, str]
    """Location of each notebook."""
    file_hash: FileHashes = field(repr=False)
    """Tells what is in a file now: by its path relative to the root, or `glob:PATTERN`; empty if it is missing."""
    _index: Index = field(repr=False)
    _entries: Mapping[str, Entry] = field(repr=False)

    @property
    def env(self) -> str:
        """Name of the environment that was chosen."""
        return self.config.env

    @cached_property
    def facts(self) -> Mapping[str, NotebookFacts]:
        """What the notebooks say, by path; decoded when first asked for."""
        remembered = self._index.notebooks
        return MappingProxyType({path: remembered.facts(path, entry) for path, entry in self._entries.items()})

    def facts_of(self, notebook: str) -> NotebookFacts | None:
        """Return what one notebook says, None if there is none; the others are not decoded for it."""
        entry = self._entries.get(notebook)
        return None if entry is None else self._index.notebooks.facts(notebook, entry)

    @cached_property
    def imported(self) -> frozenset[str]:
        """First parts of the names of all modules that notebooks, and the project's own modules, import."""
        return self._index.imported.of((self._entries, self._index.modules.entries))

    def surroundings(self, notebook: str) -> Project:
        """Return what the cells of `notebook` can be resolved against, be they saved or those of a live kernel.

        Assets of other notebooks are those that were saved when the project was loaded; files and modules are
        looked up anew.
        """
        finder = FileFinder(self.root, UNKNOWN)
        return Project(
            outside=self._outside,
            find_file=finder.find,
            modules=ProjectModules(finder, self._index.modules),
            location=self.locations.get(notebook, DEFAULT_LOCATION),
        )

    def sources(self, notebooks: Iterable[str]) -> dict[str, str]:
        """Return the source text of each code component that assets of these notebooks reach, by its hash."""
        found: dict[str, str] = {}
        for notebook in sorted(set(notebooks) & self._entries.keys()):
            facts = self._index.notebooks.facts(notebook, self._entries[notebook])
            found.update(resolve_notebook(facts, self.surroundings(notebook), sources=True).sources)
        return found

    @cached_property
    def _outside(self) -> OutsideNames:
        places: dict[str, list[CellRef]] = {}
        for notebook in self.definitions.notebooks.values():
            for cell in notebook.cells:
                for asset in cell.assets:
                    places.setdefault(asset, []).append(cell.ref)
        return OutsideNames(assets=places)

    def reload(self) -> LoadedProject:
        """Return the project as it is saved now: this very object if nothing has changed.

        Raises:
            ConfigError: the configuration has become unreadable.
        """
        loaded = _load(self.root, load_config(self.root, self.env), self._index, self)
        return self if loaded.definitions is self.definitions and loaded.config == self.config else loaded


def load_project(start: Path, *, env: str = DEFAULT_ENVIRONMENT) -> LoadedProject:
    """Load the project that the folder or notebook `start` belongs to, for one environment.

    No code of the project is executed. What is wrong with notebooks is in the definitions' diagnostics.

    Raises:
        ConfigError: the configuration can't be read.
    """
    root = find_root(start)
    return _load(root, load_config(root, env), Index(root, now_ns=now_ns), None)


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Pause the search for reference cycles: loading makes many objects and no cycles, which saves a quarter."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_collecting_later()
def _load(root: Path, config: Config, index: Index, previous: LoadedProject | None) -> LoadedProject:
    walk = scan(root, configured=config.file is not None)
    locations = locate(config.locations, walk.notebooks)
    entries = {path: index.notebooks.refresh(path, walk.notebooks[path]) for path in locations}
    index.notebooks.keep_only(walk.notebooks)
    resolve_again(Material(root, config, walk, locations, entries), index)
    definitions = index.definitions()
    ours = bool(definitions.assets) or any(definitions.automation)
    if ours or (root / STATE_FOLDER).is_dir():  # else it is no project of ours: leave no trace in it
        index.save()
    return LoadedProject(
        root=root,
        config=config,
        definitions=definitions,
        locations=MappingProxyType(locations),
        file_hash=previous.file_hash if previous else FileHashes(root, now_ns=now_ns),
        _index=index,
        _entries=entries,
    )
