"""Do the partitions of assets fit those of what they read? Asked where all assets of a project are known.

A link that fits may still leave out the first partitions of an asset, if what it reads begins later: that is a warning.

A project without partitions pays one look at each asset; the algebra of partitions is loaded when there are some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from nbpipe.core.definitions import AssetSpec, CellRef, Diagnostic
from nbpipe.core.reading.notebooks import NotebookFacts
from nbpipe.core.resolving.bodies import declaring_line
from nbpipe.errors import DeclarationError

if TYPE_CHECKING:
    from nbpipe.core.partitions.book import PartitionBook
    from nbpipe.core.partitions.links import Link

CODE = "mapping"

_Alike = tuple[str | None, str | None, str | None]
"""Partitions of the upstream and of the asset, and the mapping between them."""

Known = Callable[[str], AssetSpec | None]
"""Looks an asset up; None for one that is not defined, or whose declaration can't be read."""


def misfits(specs: Iterable[AssetSpec], known: Known, notebooks: Mapping[str, NotebookFacts]) -> Iterator[Diagnostic]:
    """Yield an error for each link between assets that doesn't fit their partitions, and warnings of others.

    Links to and from assets that are not known are left alone: another error is about them. Whether registered keys
    exist plays no part.

    Args:
        specs: assets to look at.
        known: looks these up, and all that they read.
        notebooks: the notebooks of `specs`.
    """
    linker = _Linker()
    seen: set[CellRef] = set()
    for spec in specs:
        if not _concerned(spec, known) or spec.cell in seen or known(spec.key) is None:
            continue
        seen.add(spec.cell)  # assets of one cell share their options and what they read
        for name in sorted({*spec.upstream, *spec.inputs}):
            upstream = known(name)
            if upstream is None:
                continue
            message = _idle(spec, upstream)
            if message is None and (spec.options.partitions or upstream.options.partitions):
                message = linker.misfit(spec, upstream)
                if message is None and (caution := linker.caution(spec, upstream)):
                    yield _diagnostic(spec, caution, notebooks, severity="warning")
            if message is not None:
                yield _diagnostic(spec, message, notebooks)


def _concerned(spec: AssetSpec, known: Known) -> bool:
    options = spec.options
    if options.partitions is not None or options.map or options.concat:
        return True
    return any((up := known(name)) is not None and up.options.partitions is not None for name in spec.upstream)


def _idle(spec: AssetSpec, upstream: AssetSpec) -> str | None:
    """Say that an option is for partitions where there are none."""
    name, options = upstream.key, spec.options
    if upstream.options.partitions is not None:
        return None
    if name in spec.inputs and any(joined == name for joined, _ in options.concat):
        return f"--concat {name}: {name} has no partitions: take it out"
    rule = dict(options.map).get(name)
    if rule is not None and options.partitions is None:
        return f"--map {name}={rule}: neither {spec.key} nor {name} has partitions: take it out"
    return None


class _Linker:
    """Tries the link between two assets, equal ones once."""

    def __init__(self) -> None:
        self._declared: dict[str, str] = {}
        self._book: PartitionBook | None = None
        self._fine: set[_Alike] = set()
        self._first: dict[_Alike, str | None] = {}

    def misfit(self, spec: AssetSpec, upstream: AssetSpec) -> str | None:
        """Say why the partitions of two assets, or of one and its earlier ones, don't fit."""
        own, alike = spec.key == upstream.key, _alike(spec, upstream)
        if alike in self._fine and not own:
            return None
        try:
            self._link(spec, upstream)
        except DeclarationError as error:
            return str(error) if own else f"asset {spec.key!r}: {error}"
        self._fine.add(alike)
        return None

    def caution(self, spec: AssetSpec, upstream: AssetSpec) -> str | None:
        """Say which first partitions of an asset find nothing of another one, because that begins later."""
        if spec.key == upstream.key or None in (spec.options.partitions, upstream.options.partitions):
            return None
        alike = _alike(spec, upstream)
        if alike not in self._first:
            from nbpipe.core.partitions.links import first_fed

            self._first[alike] = first_fed(self._link(spec, upstream))
        first = self._first[alike]
        if first is None:
            return None
        which = f"partitions of {spec.key} before {first}" if first else f"no partition of {spec.key}"
        verb = "find nothing of it" if first else "finds any of it"
        return f"{upstream.key} begins later than {spec.key}: {which} {verb}. Begin both at the same time"

    def _link(self, spec: AssetSpec, upstream: AssetSpec) -> Link:
        if self._book is None:
            from nbpipe.core.partitions.book import PartitionBook

            self._book = PartitionBook(self._declared, None, "")
        for each in (spec, upstream):
            if each.options.partitions is not None:
                self._declared[each.key] = each.options.partitions
        return self._book.link(spec, upstream.key)


def _alike(spec: AssetSpec, upstream: AssetSpec) -> _Alike:
    return upstream.options.partitions, spec.options.partitions, dict(spec.options.map).get(upstream.key)


def _diagnostic(
    spec: AssetSpec,
    message: str,
    notebooks: Mapping[str, NotebookFacts],
    *,
    severity: Literal["error", "warning"] = "error",
) -> Diagnostic:
    cell = next(cell for cell in notebooks[spec.cell.notebook].cells if cell.index == spec.cell.index)
    return Diagnostic(
        severity=severity,
        code=CODE,
        message=message,
        notebook=spec.cell.notebook,
        cell_id=spec.cell.cell_id,
        cell=spec.cell.index + 1,
        line=declaring_line(cell),
        assets=spec.siblings if severity == "error" else (),
    )
