"""Warnings about setup objects that assets share: names can't leak from body to body, but objects can."""

from __future__ import annotations

from nbpipe.core.reading.notebooks import CellFacts, NotebookFacts
from nbpipe.core.resolving.bodies import ResolvedBody
from nbpipe.core.resolving.kinds import NotebookNames
from nbpipe.core.resolving.reports import Reports


def warn_of_mutations(cell: CellFacts, body: ResolvedBody, reports: Reports) -> None:
    """Warn of a body that visibly changes an object of a setup cell: the next asset would see it changed."""
    for statement in cell.code.statements:
        for name in statement.mutates:
            if name not in body.setup:
                continue
            info = body.reach.setup[name]
            if info.imports or info.scalar:
                continue
            where = f" of cell {info.entries[0].cell.index + 1}" if info.entries else ""
            message = f"the body changes {name!r}{where}, an object that other cells share: work on a copy"
            reports.warning("mutated-setup-object", message, cell, statement.line)


def warn_of_generators(
    facts: NotebookFacts, names: NotebookNames, bodies: dict[int, ResolvedBody], reports: Reports
) -> None:
    """Warn of a random generator that several assets draw from: what each gets depends on which run, and when."""
    users: dict[str, list[str]] = {}
    for position in sorted(bodies):
        for name, info in bodies[position].reach.setup.items():
            if info.generator:
                users.setdefault(name, []).extend(facts.cells[position].names[:1])
    for name, assets in sorted(users.items()):
        place = names.setup.place(name)
        if len(assets) < 2 or place is None:
            continue
        cell = facts.cells[place]
        line = next((s.line for s in cell.code.statements if name in s.binds), 1)
        reports.warning(
            "shared-generator",
            f"assets {', '.join(assets)} draw from one random generator {name!r}, so that their values depend on "
            "which of them run: make a generator with a seed in each of them",
            cell,
            line,
        )
