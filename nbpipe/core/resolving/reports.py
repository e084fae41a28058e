"""Collecting what `validate` reports about one notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nbpipe.core.definitions import Diagnostic
from nbpipe.core.keys import AMBIENT
from nbpipe.core.reading.notebooks import CellFacts
from nbpipe.errors import nearest


class Reports:
    """The diagnostics of one notebook, as they are found."""

    def __init__(self, notebook: str) -> None:
        """Collect for the notebook at this path."""
        self.notebook = notebook
        self.found: list[Diagnostic] = []
        self._once: set[tuple[str, str]] = set()

    def error(self, code: str, message: str, cell: CellFacts, line: int, assets: Iterable[str] = ()) -> None:
        """Report something that keeps `assets` from being run."""
        self.found.append(
            Diagnostic(
                severity="error",
                code=code,
                message=message,
                notebook=self.notebook,
                cell_id=cell.cell_id,
                cell=cell.index + 1,
                line=line,
                assets=tuple(assets),
            )
        )

    def warning(self, code: str, message: str, cell: CellFacts, line: int) -> None:
        """Report something that may surprise."""
        self.found.append(
            Diagnostic(
                severity="warning",
                code=code,
                message=message,
                notebook=self.notebook,
                cell_id=cell.cell_id,
                cell=cell.index + 1,
                line=line,
            )
        )

    def first(self, code: str, name: str) -> bool:
        """Tell whether this is the first time that `code` is about `name` in this notebook."""
        key = (code, name)
        if key in self._once:
            return False
        self._once.add(key)
        return True


def suggestion(name: str, *known: Collection[str]) -> str:
    """Return `: did you mean ...?` for the most similar known name, or nothing; earlier collections are preferred."""
    for names in known:
        likely = (n for n in names if abs(len(n) - len(name)) <= 3 and (n[:1] == name[:1] or n[-1:] == name[-1:]))
        found = nearest(name, likely)
        if found is not None:
            return f": did you mean {found!r}?"
    return ""


#: Names of Python and IPython, to suggest.
AMBIENT_NAMES = frozenset(name for name in AMBIENT if not name.startswith("_"))
