"""What happens to each cell of a step's notebook, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from nbpipe.core.definitions import CellDef, NotebookDef
from nbpipe.core.runs.plans import CellPlan


def whole_cells(notebook: NotebookDef, left_out: Container[str] = ()) -> tuple[CellPlan, ...]:
    """Plan all cells as Run All executes them, but for those that are tagged to be skipped.

    The cells of assets that are left out are skipped, too, and those that show them.
    """
    skipped: set[int] = set()
    for cell in notebook.cells:
        shown = any(key in left_out for key in (*cell.assets, *cell.shows))
        if cell.kind == "skipped" or shown or (cell.kind == "view" and not skipped.isdisjoint(cell.uses)):
            skipped.add(cell.ref.index)
    return tuple(
        CellPlan(
            index=cell.ref.index,
            cell_id=cell.ref.cell_id,
            action="skip" if cell.ref.index in skipped else "run",
            assets=cell.assets,
            shows=cell.shows,
            binds=cell.binds,
        )
        for cell in notebook.cells
    )


def step_cells(
    notebook: NotebookDef, assets: Collection[str], shows: Mapping[int, tuple[str, ...]]
) -> tuple[CellPlan, ...]:
    """Plan the cells of a step that executes `assets`.

    `shows` holds the view cells of this step by index, each with the assets of the run that make it run. A view
    cell that is not among them still belongs to the step if it binds names that asset bodies may see.
    """
    return tuple(_cell(cell, assets, shows) for cell in notebook.cells)


def _cell(cell: CellDef, assets: Collection[str], shows: Mapping[int, tuple[str, ...]]) -> CellPlan:
    shown: tuple[str, ...] = ()
    match cell.kind:
        case "parameters" | "setup":
            action = "run"
        case "asset" if any(key in assets for key in cell.assets):
            action = "asset"
        case "view" if cell.ref.index in shows or cell.binds:
            action = "view"
            shown = shows.get(cell.ref.index, ())
        case _:
            action = "skip"
    return CellPlan(
        index=cell.ref.index,
        cell_id=cell.ref.cell_id,
        action=action,  # type: ignore[arg-type]  # mypy widens the literals of a match to str
        assets=cell.assets,
        shows=shown,
        binds=cell.binds,
    )


def execution_order(cells: Sequence[CellPlan], needs: Mapping[str, Iterable[str]]) -> tuple[int, ...]:
    """Return the indexes of the cells that may execute: in document order, but for those that wait.

    An asset cell waits for the cells of this step whose assets it needs (`needs`, by asset), a view cell for those
    whose assets it shows.
    """
    made_by = {key: cell.index for cell in cells if cell.action == "asset" for key in cell.assets}
    waits: dict[int, int] = {}
    waiters: dict[int, list[int]] = {}
    for cell in cells:
        if cell.action == "skip":
            continue
        wanted: Iterable[str] = cell.shows
        if cell.action == "asset":
            wanted = (other for key in cell.assets for other in needs.get(key, ()))
        places = {made_by[key] for key in wanted if key in made_by} - {cell.index}
        waits[cell.index] = len(places)
        for place in places:
            waiters.setdefault(place, []).append(cell.index)
    ready = [index for index, count in waits.items() if not count]
    heapify(ready)
    order = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for waiter in waiters.get(index, ()):
            waits[waiter] -= 1
            if not waits[waiter]:
                heappush(ready, waiter)
    return tuple(order)
