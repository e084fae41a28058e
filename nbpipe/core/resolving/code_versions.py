"""Code versions: which pieces of code the value of an asset is made by, each with its hash.

Parameters are not code: their defaults do not count here, they are compared by value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.reading.facts import Import
from nbpipe.core.reading.fingerprints import combine, text_hash
from nbpipe.core.reading.notebooks import CellFacts
from nbpipe.core.resolving.modules import ModuleIndex, import_hash
from nbpipe.core.resolving.reach import Reach
from nbpipe.core.resolving.setup_names import entries_source, lasting

BODY = "body"
OPTIONS = "options"

_NO_OPTIONS = text_hash("")


class CodeVersion(msgspec.Struct, frozen=True):
    """The code of one asset cell."""

    components: tuple[tuple[str, str], ...]
    """`(label, hash)`, sorted."""
    version: str
    sources: Mapping[str, str]
    """Source text by hash, for the components that have one; empty unless asked for."""


def code_version(
    cell: CellFacts, names: tuple[str, ...], reach: Reach, modules: ModuleIndex, *, sources: bool = False
) -> CodeVersion:
    """Return the code version of an asset cell.

    Args:
        cell: its facts.
        names: the assets that it declares.
        reach: what its body reaches.
        modules: the project's modules as its notebook imports them.
        sources: also collect the source text of each component.
    """
    options = cell.declaration.options if cell.declaration is not None else AssetOptions()
    found = {BODY: cell.code.fingerprint, OPTIONS: options_hash(names, options)}
    texts = {cell.code.fingerprint: cell.body} if sources else {}
    for name, info in reach.setup.items():
        if info.label is not None:
            found[info.label] = info.hash
            if sources:
                texts[info.hash] = entries_source(lasting(info))
        foreign = _foreign(info.imports, modules)
        if foreign:
            found[f"import:{name}"] = import_hash(foreign)
    for reached in modules.reach(reach.definitions):
        found[reached.label] = reached.hash
        if sources and reached.source:
            texts[reached.hash] = reached.source
    components = tuple(sorted(found.items()))
    return CodeVersion(components, combine(components), texts)


def options_hash(names: tuple[str, ...], options: AssetOptions) -> str:
    """Return the hash of the options that affect a value.

    The name of a single asset is not among them, so that a renamed asset keeps its history and its freshness. Nor are
    its partitions (a longer set leaves every partition as it is) and mappings (inputs are compared by what they are).
    """
    if len(names) == 1 and not options.use and options.io is None and not options.concat:
        return _NO_OPTIONS
    parts = [" ".join(names) if len(names) > 1 else "", " ".join(sorted(options.use)), options.io or ""]
    if options.concat:
        parts += (f"{upstream}={column}" for upstream, column in sorted(options.concat))
    return text_hash("\n".join(parts))


def _foreign(imports: Iterable[Import], modules: ModuleIndex) -> list[Import]:
    return [i for i in imports if not modules.is_project(i)]
