"""The notebook of a live kernel: what is saved, overlaid by what was executed here.

In a live kernel the sources executed in that kernel count. Cells that did not run yet are taken as saved, so
that names and dependencies are known before everything has run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from nbpipe.core.cells import CellText, NotebookText
from nbpipe.core.fingerprints import text_hash
from nbpipe.core.notebooks import PARAMETERS_TAG, CellFacts, NotebookFacts, cell_facts, relocate


class LiveNotebook:
    """Cells by id: the saved text of each, and the text executed in this kernel."""

    def __init__(self, path: str, transform: Callable[[str], str]) -> None:
        """Begin with nothing saved and nothing executed.

        Args:
            path: of the notebook relative to the root, or a name in `<>` for a session without a file.
            transform: IPython's transformer.
        """
        self.path = path
        self._transform = transform
        self._saved: dict[str, CellText] = {}
        self._kernel: str | None = None
        self._executed: dict[str, str] = {}
        self._known: dict[tuple[str, bool], CellFacts] = {}
        self.revision = 0

    def read(self, text: NotebookText) -> None:
        """Take over what is saved now."""
        saved = {cell.cell_id: cell for cell in text.cells}
        if saved != self._saved:
            self._saved, self._kernel = saved, text.kernel
            self.revision += 1

    def execute(self, cell_id: str | None, source: str, assets: tuple[str, ...] = ()) -> str:
        """Note that a cell runs; return the id under which it is known here.

        Args:
            cell_id: as the frontend tells it, if it does.
            source: the text that is executed.
            assets: the assets that it declares.
        """
        known = self._identify(cell_id, source, assets)
        if self._executed.get(known) != source:
            self._executed[known] = source
            self.revision += 1
        return known

    def replaced(self, cell_id: str, assets: Iterable[str]) -> tuple[str, ...]:
        """Forget other executed cells that declare one of these assets; return the assets they declared."""
        mine = set(assets)
        lost: list[str] = []
        for other in [each for each in self._executed if each != cell_id]:
            names = set(self._facts_of(other).names) & mine
            if names:
                lost += sorted(names)
                del self._executed[other]
                self._saved.pop(other, None)
                self.revision += 1
        return tuple(lost)

    def facts(self) -> NotebookFacts:
        """Return the facts of the notebook as this kernel knows it, in document order; new cells come last."""
        order = [*self._saved, *(cell for cell in self._executed if cell not in self._saved)]
        cells = []
        last = max((cell.index for cell in self._saved.values()), default=-1)
        for cell_id in order:
            facts = self._facts_of(cell_id)
            if cell_id not in self._saved:
                last += 1
                facts = msgspec.structs.replace(facts, index=last)
            cells.append(facts)
        return NotebookFacts(path=self.path, kernel=self._kernel, content_hash="", cells=tuple(cells))

    def unsaved(self) -> tuple[int, ...]:
        """Return the 1-based positions of cells whose executed text differs from the saved one."""
        return tuple(
            sorted(
                cell.index + 1
                for cell_id, cell in self._saved.items()
                if cell_id in self._executed and _text(self._executed[cell_id]) != _text(cell.source)
            )
        )

    def new_assets(self) -> tuple[str, ...]:
        """Return assets that were executed here but are in no saved cell."""
        new = [cell for cell in self._executed if cell not in self._saved]
        return tuple(name for cell in new for name in self._facts_of(cell).names)

    def found_in(self, notebooks: Mapping[str, NotebookFacts]) -> str | None:
        """Return the path of the notebook that most of our cells are in, by their ids: this one, renamed."""
        mine = {*self._saved, *self._executed}
        shared = {path: sum(cell.cell_id in mine for cell in facts.cells) for path, facts in notebooks.items()}
        best = max(sorted(shared), key=lambda path: shared[path], default=None)
        return best if best is not None and shared[best] * 2 > len(mine) else None

    def _identify(self, cell_id: str | None, source: str, assets: tuple[str, ...]) -> str:
        if cell_id is not None and (cell_id in self._saved or not self._saved):
            return cell_id
        if cell_id in self._executed:
            return str(cell_id)
        for saved in self._saved.values():
            if _text(saved.source) == _text(source):
                return saved.cell_id
        if cell_id is None and assets:
            for saved_id in self._saved:
                if self._facts_of(saved_id).names == assets:
                    return saved_id
            return "asset:" + " ".join(assets)
        return cell_id or f"text:{text_hash(source)}"

    def _facts_of(self, cell_id: str) -> CellFacts:
        saved = self._saved.get(cell_id)
        source = self._executed.get(cell_id)
        base = saved or CellText(index=0, cell_id=cell_id, source=source or "")
        cell = base if source is None else msgspec.structs.replace(base, source=source)
        key = (cell.source, PARAMETERS_TAG in cell.tags)
        facts = self._known.get(key)
        if facts is None:
            facts = self._known[key] = cell_facts(cell, transform=self._transform)
        return relocate(facts, cell)


def _text(source: str) -> str:
    """Return a source without what editors add or remove at its end."""
    return source.rstrip("\n")
