"""The notebook of a live kernel: what is saved, overlaid by what was executed here.

In a live kernel the sources executed in that kernel count. Cells that did not run yet are taken as saved, so
that names and dependencies are known before everything has run. Where a cell that is not saved yet stands, no
frontend tells: it is taken to stand above the asset cells that were executed after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from nbpipe.core.reading.cells import CellText, NotebookText
from nbpipe.core.reading.notebooks import PARAMETERS_TAG, CellFacts, NotebookFacts, cell_facts, relocate

_OWN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The ids that notebooks keep; some frontends send others, which no file knows."""


class Executed(NamedTuple):
    """A cell that was just executed."""

    cell_id: str
    """The id under which it is known here."""
    replaced: tuple[str, ...] = ()
    """Assets that another executed cell declared until now."""


class _Run(NamedTuple):
    """The latest execution of a cell."""

    source: str
    order: int
    """Counts all executions."""
    saved: str | None
    """What was saved of the cell at that time."""


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
        self._runs: dict[str, _Run] = {}
        self._before: tuple[str, _Run | None] | None = None
        self._count = 0
        self._aliases: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._stopped: dict[str, int] = {}
        self._known: dict[tuple[str, bool], CellFacts] = {}
        self._facts: NotebookFacts | None = None
        """None: something happened since they were put together."""
        self._latest = NotebookFacts(path=path)

    # --- what happens ---

    def move(self, path: str) -> None:
        """Take over a new path: the notebook was renamed, or is only now known."""
        self.path, self._facts = path, None

    def read(self, text: NotebookText) -> None:
        """Take over what is saved now: a cell that it does not have any more was deleted."""
        saved = {cell.cell_id: cell for cell in text.cells}
        if saved == self._saved:
            return
        first = not self._saved
        self._saved, self._kernel, self._facts = saved, text.kernel, None
        for cell_id in [each for each in self._runs if each not in saved]:
            self._place_again(cell_id, deleted=not first and not _is_nameless(cell_id))

    def execute(self, cell_id: str | None, source: str) -> Executed:
        """Note that a cell runs.

        Args:
            cell_id: as the frontend tells it, if it does.
            source: the text that is executed.
        """
        text = CellText(index=0, cell_id=cell_id or "", source=source)
        facts = self._facts_of(text)
        known = self._identify(cell_id, facts)
        self._count += 1
        before = self._runs.get(known)
        self._before = (known, before)
        if known not in self._saved or (before.source if before else self._saved[known].source) != source:
            self._facts = None
        if _is_nameless(known):
            self._runs.pop(known, None)
        if _is_nameless(known) or facts.names:
            self._supersede(facts)
        saved = self._saved.get(known)
        self._runs[known] = _Run(source, self._count, None if saved is None else saved.source)
        self._stopped.pop(known, None)
        return Executed(known, self._own(known, facts.names))

    def take_back(self) -> None:
        """Undo the latest `execute`: the cell did not begin, since it is no Python."""
        if self._before is None:
            return
        cell_id, run = self._before
        self._before, self._facts = None, None
        if run is None:
            self._forget(cell_id)
        else:
            self._runs[cell_id] = run

    def stop(self, cell_id: str, line: int) -> None:
        """Note that a cell failed on a line: what it binds from there on is not what its text says."""
        self._stopped[cell_id] = line

    # --- what there is ---

    def facts(self) -> NotebookFacts:
        """Return the facts of the notebook as this kernel knows it: the same object until something changes."""
        if self._facts is None or len(self._runs) > len(self._saved.keys() & self._runs.keys()):
            facts = NotebookFacts(path=self.path, kernel=self._kernel, content_hash="", cells=tuple(self._cells()))
            if facts != self._latest:
                self._latest = facts
            self._facts = self._latest
        return self._facts

    def cell(self, cell_id: str) -> CellFacts:
        """Return the facts of one cell, as it was executed, else as it is saved."""
        saved, run = self._saved.get(cell_id), self._runs.get(cell_id)
        cell = saved or CellText(index=0, cell_id=cell_id, source="")
        return self._facts_of(cell if run is None else msgspec.structs.replace(cell, source=run.source))

    def unfinished(self) -> dict[str, str]:
        """Return the names that cells bind which failed when they last ran, each with the text of its line."""
        names = {}
        for cell_id, line in self._stopped.items():
            cell = self.cell(cell_id)
            for statement in cell.code.statements:
                if statement.end_line >= line:
                    names.update(dict.fromkeys((*statement.binds, *statement.mutates), cell_id))
        return names

    def unsaved(self) -> tuple[int, ...]:
        """Return the 1-based positions of cells that were executed with a text that was not saved since."""
        return self._differing(saved_since=False)

    def outdated(self) -> tuple[int, ...]:
        """Return the 1-based positions of cells that were edited and saved after they were executed."""
        return self._differing(saved_since=True)

    def _differing(self, *, saved_since: bool) -> tuple[int, ...]:
        cells = ((cell, self._runs[cell_id]) for cell_id, cell in self._saved.items() if cell_id in self._runs)
        differing = ((cell, run) for cell, run in cells if _text(run.source) != _text(cell.source))
        return tuple(sorted(cell.index + 1 for cell, run in differing if (run.saved != cell.source) == saved_since))

    def new_assets(self) -> tuple[str, ...]:
        """Return assets that cells executed here declare which are not saved; what a console ran is left out."""
        new = [cell for cell in self._runs if cell not in self._saved and not _is_nameless(cell)]
        return tuple(name for cell in new for name in self.cell(cell).names if self._owners.get(name) == cell)

    def sources(self) -> tuple[tuple[str | None, str], ...]:
        """Return what was executed, each with the id that a frontend may have told, in order."""
        runs = sorted(self._runs.items(), key=lambda item: item[1].order)
        return tuple((None if _is_nameless(cell) else cell, run.source) for cell, run in runs)

    def found_in(self, notebooks: Mapping[str, NotebookFacts], running: str) -> str | None:
        """Return the path of the notebook that most of our cells are in, by their ids: this one, renamed.

        Args:
            notebooks: where to look.
            running: id of the cell that is about to run.
        """
        mine = {cell for cell in (*self._saved, *self._runs, running) if not _is_nameless(cell)}
        shared = {path: sum(cell.cell_id in mine for cell in facts.cells) for path, facts in notebooks.items()}
        best = max(sorted(shared), key=lambda path: shared[path], default=None)
        return best if best is not None and shared[best] * 2 > len(mine) else None

    # --- which cell is which ---

    def _identify(self, cell_id: str | None, facts: CellFacts) -> str:
        if cell_id is not None:
            if cell_id in self._saved:
                return cell_id
            if self._aliases.get(cell_id) in self._saved:
                return self._aliases[cell_id]
            if self._is_own(cell_id):
                return cell_id
        like = self._saved_like(facts, cell_id)
        if like is not None:
            if cell_id is not None:
                self._aliases[cell_id] = like
            return like
        if cell_id is not None:
            return cell_id
        return f"<asset {' '.join(facts.names)}>" if facts.names else f"<text {facts.source_hash}>"

    def _is_own(self, cell_id: str) -> bool:
        """Tell whether a frontend's id is the one that the file has, or will have.

        A file of an older format has none: then ours come from the places of the cells, and a frontend makes up others.
        """
        placed = all(cell.cell_id == f"cell-{cell.index}" for cell in self._saved.values())
        return _OWN_ID.fullmatch(cell_id) is not None and not (self._saved and placed)

    def _place_again(self, cell_id: str, *, deleted: bool) -> None:
        """Find an executed cell among the saved ones, which have changed."""
        told = None if _is_nameless(cell_id) else cell_id
        like = None if self._is_own(cell_id) else self._saved_like(self.cell(cell_id), told)
        if like is not None:
            run = self._runs[cell_id]
            if told is not None:
                self._aliases[told] = like
            if like not in self._runs or self._runs[like].order < run.order:
                self._runs[like] = run
            self._owners.update((name, like) for name, owner in self._owners.items() if owner == cell_id)
        if like is not None or deleted:
            self._forget(cell_id)

    def _saved_like(self, facts: CellFacts, cell_id: str | None) -> str | None:
        """Return the saved cell that a cell with an id of no file is: by its text, its assets, or its names."""
        taken = {saved for other, saved in self._aliases.items() if cell_id is not None and other != cell_id}
        free = [self._facts_of(cell) for cell in self._saved.values() if cell.cell_id not in taken]
        for cell in free:
            if _text(cell.source) == _text(facts.source):
                return cell.cell_id
        for cell in free:
            if facts.names and cell.names == facts.names:
                return cell.cell_id
        if cell_id is None or facts.names or not facts.code.binds:
            return None
        binding = [cell.cell_id for cell in free if not cell.names and cell.code.binds == facts.code.binds]
        return binding[0] if len(binding) == 1 else None

    def _own(self, cell_id: str, assets: Collection[str]) -> tuple[str, ...]:
        """Make a cell the one that declares these assets; return those that another executed cell declared."""
        for name in [name for name, owner in self._owners.items() if owner == cell_id and name not in assets]:
            del self._owners[name]
            self._facts = None
        lost = []
        for name in assets:
            owner = self._owners.get(name)
            if owner != cell_id:
                self._facts = None
                if owner is not None and owner in self._runs:
                    lost.append(name)
            self._owners[name] = cell_id
        return tuple(lost)

    def _supersede(self, facts: CellFacts) -> None:
        """Forget cells of a console whose names a new one binds again without looking at them."""
        code = facts.code
        gives = set(facts.names) or set(code.binds) - set(code.conditional) - {read.name for read in code.reads}
        for other in [each for each in self._runs if each not in self._saved and _is_nameless(each)]:
            cell = self.cell(other)
            if not cell.names and cell.code.binds and gives.issuperset(cell.code.binds):
                self._forget(other)

    def _forget(self, cell_id: str) -> None:
        self._runs.pop(cell_id, None)
        self._stopped.pop(cell_id, None)
        for name in [name for name, owner in self._owners.items() if owner == cell_id]:
            del self._owners[name]
        self._facts = None

    # --- facts ---

    def _cells(self) -> Iterable[CellFacts]:
        """Yield the cells in document order, as far as it is known; of two with one asset, the latest executed."""
        new = sorted((cell for cell in self._runs if cell not in self._saved), key=lambda cell: self._runs[cell].order)
        index = max((cell.index for cell in self._saved.values()), default=-1)
        place = dict(zip(new, range(index + 1, index + 1 + len(new)), strict=True))
        for cell_id in self._saved:
            facts = self.cell(cell_id)
            run = self._runs.get(cell_id)
            while new and run is not None and facts.names and self._runs[new[0]].order < run.order:
                yield from self._placed(new[0], place[new.pop(0)])
            if self._counts(facts):
                yield facts
        for cell_id in new:
            yield from self._placed(cell_id, place[cell_id])

    def _placed(self, cell_id: str, index: int) -> Iterable[CellFacts]:
        facts = self.cell(cell_id)
        if self._counts(facts):
            yield msgspec.structs.replace(facts, index=index)

    def _counts(self, facts: CellFacts) -> bool:
        return all(self._owners.get(name, facts.cell_id) == facts.cell_id for name in facts.names)

    def _facts_of(self, cell: CellText) -> CellFacts:
        key = (cell.source, PARAMETERS_TAG in cell.tags)
        facts = self._known.get(key)
        if facts is None:
            facts = self._known[key] = cell_facts(cell, transform=self._transform)
        return relocate(facts, cell)


def _is_nameless(cell_id: str) -> bool:
    """Tell whether we gave the id to a cell that came without one."""
    return cell_id.startswith("<")


def _text(source: str) -> str:
    """Return a source without what editors add or remove at its end."""
    return source.rstrip("\n")
