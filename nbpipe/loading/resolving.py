"""From facts to definitions, resolved again only if something that they follow from has changed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import xxhash

from nbpipe.core.definitions import DEFAULT_IO, Definitions, Diagnostic
from nbpipe.core.reading.fingerprints import combine
from nbpipe.core.reading.notebooks import NotebookFacts
from nbpipe.core.resolving.resolution import resolve
from nbpipe.errors import nearest
from nbpipe.loading.cache import encode
from nbpipe.loading.config import Config
from nbpipe.loading.files import FileFinder, file_exists
from nbpipe.loading.index import Index, Resolved
from nbpipe.loading.modules import ProjectModules
from nbpipe.loading.packing import pack
from nbpipe.loading.remembered import Entry
from nbpipe.loading.scan import Walk


class Material(NamedTuple):
    """What definitions are made from."""

    root: Path
    config: Config
    walk: Walk
    locations: Mapping[str, str]
    """Location of each notebook that belongs to the project."""
    entries: Mapping[str, Entry]
    """What is known of each of these notebooks."""


def resolve_again(material: Material, index: Index) -> None:
    """Bring the definitions of the index up to date."""
    for module in tuple(index.modules.entries):
        index.modules.look_up(module)
    kept = index.resolved
    if kept is not None and kept.key == _key(material, index) and _answers_hold(material, kept):
        return
    finder = FileFinder(material.root, material.walk)
    modules = ProjectModules(finder, index.modules)
    definitions = _with_reading(
        resolve(
            {path: _facts(path, material, index) for path in material.entries},
            resources=(),
            find_file=finder.find,
            modules=modules,
            locations=material.locations,
            configured=material.config.configured(),
        ),
        material,
    )
    index.modules.keep_only(modules.used)
    index.resolved = Resolved(
        _key(material, index),  # with the modules that are used now
        tuple(path for path, found in finder.answers.items() if found),
        _by_folder(path for path, found in finder.answers.items() if not found),
        pack(definitions),
    )


def _facts(path: str, material: Material, index: Index) -> NotebookFacts:
    facts = index.notebooks.facts(path)
    location = material.config.locations.get(material.locations[path])
    if location is None or location.kernel is None:
        return facts
    return msgspec.structs.replace(facts, kernel=location.kernel)


def _key(material: Material, index: Index) -> str:
    digest = xxhash.xxh3_128()
    config = material.config
    declared = config.configured()
    if declared is not None:
        digest.update(encode((declared.declared, sorted(declared.notifiers))))
    digest.update(encode((material.locations, config.locations, sorted(config.io), material.walk.diagnostics)))
    for path, entry in sorted(material.entries.items()):
        digest.update(encode((path, entry.content, entry.diagnostics)))
    for path, entry in sorted(index.modules.entries.items()):
        digest.update(encode((path, entry.content)))
    return digest.hexdigest()


def _answers_hold(material: Material, kept: Resolved) -> bool:
    """Tell whether all files that were there still are, and none has appeared that was looked for."""
    walk = material.walk
    if not all(file_exists(material.root, walk, path) for path in kept.present):
        return False
    for folder, paths in kept.absent.items():
        if folder in walk.folders:
            if not walk.files.isdisjoint(paths):
                return False
        elif any(file_exists(material.root, walk, path) for path in paths):
            return False
    return True


def _by_folder(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(posixpath.dirname(path), []).append(path)
    return {folder: tuple(found) for folder, found in folders.items()}


def _with_reading(definitions: Definitions, material: Material) -> Definitions:
    """Add what was found wrong while the notebooks were looked for and read, and compared with the configuration."""
    found: tuple[Diagnostic, ...] = material.walk.diagnostics
    found += tuple(each for _, entry in sorted(material.entries.items()) for each in entry.diagnostics)
    found += tuple(_without_io_manager(definitions, material.config))
    if not found:
        return definitions
    version = combine([("definitions", definitions.hash), *((str(n), repr(each)) for n, each in enumerate(found))])
    return msgspec.structs.replace(definitions, diagnostics=(*found, *definitions.diagnostics), hash=version)


def _without_io_manager(definitions: Definitions, config: Config) -> Iterator[Diagnostic]:
    """Report `--io NAME` where the configuration has no such I/O manager."""
    known = {DEFAULT_IO, *config.io}
    for spec in definitions.assets.values():
        name = spec.options.io
        if name is not None and name not in known:
            near = nearest(name, known)
            remedy = f"did you mean {near!r}?" if near else f"declare it as [io.{name}] in nbpipe.toml"
            yield Diagnostic(
                severity="error",
                code="unknown-io",
                message=f"--io: there is no I/O manager {name!r}: {remedy}",
                notebook=spec.cell.notebook,
                cell_id=spec.cell.cell_id,
                cell=spec.cell.index + 1,
                line=1,
                assets=(spec.key,),
            )
