"""Assets that are declared more than once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from nbpipe.core.definitions import CellRef, Diagnostic
from nbpipe.core.reading.notebooks import NotebookFacts
from nbpipe.core.resolving.bodies import declaring_line

#: How file managers and JupyterLab call a copy.
_COPY_NAME = re.compile(r"(-copy\d*|[ _-]copy( ?\(?\d+\)?)?|\(\d+\)|^copy of .*)$", re.IGNORECASE)

#: Part of the smaller notebook's cells that the other one must have too, for one to look like a copy.
_MOSTLY = 0.6


def duplicate_assets(
    notebooks: Mapping[str, NotebookFacts], places: Mapping[str, Sequence[CellRef]]
) -> Iterator[Diagnostic]:
    """Yield an error for each declaration of an asset beyond its first."""
    alike: dict[tuple[str, str], str] = {}
    for name, refs in places.items():
        first = refs[0]
        for other in refs[1:]:
            pair = (first.notebook, other.notebook)
            if pair not in alike:
                alike[pair] = _copy_hint(notebooks[pair[0]], notebooks[pair[1]])
            cell = next(c for c in notebooks[other.notebook].cells if c.index == other.index)
            yield Diagnostic(
                severity="error",
                code="duplicate-asset",
                message=(
                    f"asset {name!r} is declared in {first}, and again in {other}"
                    f"{alike[pair] or ': rename one of them'}"
                ),
                notebook=other.notebook,
                cell_id=other.cell_id,
                cell=other.index + 1,
                line=declaring_line(cell),
                assets=(name,),
            )


def _copy_hint(first: NotebookFacts, other: NotebookFacts) -> str:
    if first.path == other.path:
        return ""
    ours = {cell.source_hash for cell in first.cells}
    theirs = {cell.source_hash for cell in other.cells}
    if len(ours & theirs) < _MOSTLY * max(1, min(len(ours), len(theirs))):
        return ""
    for copy, original in ((other, first), (first, other)):
        if _COPY_NAME.search(PurePosixPath(copy.path).stem):
            return f"; {copy.path} looks like a copy of {original.path}: move it out of the project"
    return f"; {first.path} and {other.path} look like copies of each other: move one of them out of the project"
