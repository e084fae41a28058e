"""Makes the plan of a run from a selection, before anything starts."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbpipe.core.definitions import AssetSpec, CellDef, Definitions, NotebookDef
from nbpipe.core.graph import AssetGraph
from nbpipe.core.runs.cell_order import execution_order, step_cells, whole_cells
from nbpipe.core.runs.grouping import group, waiting
from nbpipe.core.runs.parameter_checks import parameters_for
from nbpipe.core.runs.plans import CellPlan, Mode, RunPlan, StepPlan
from nbpipe.core.runs.refusals import refuse_broken, refuse_missing_upstream
from nbpipe.core.selection import quoted
from nbpipe.errors import RefusedError, UnknownNameError

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.subsets import PartitionSubset
    from nbpipe.core.runs.partition_plans import PartitionRequest, PlannedPartitions

_NONE: Mapping[str, Any] = MappingProxyType({})

#: So many assets are named in a note.
_NAMED = 5


def plan_run(
    definitions: Definitions,
    graph: AssetGraph,
    selected: Iterable[str],
    *,
    env: str,
    materialized: Container[str],
    selection: str = "",
    mode: Mode = "all",
    parameters: Mapping[str, Any] = _NONE,
    partitions: PartitionRequest | None = None,
) -> RunPlan:
    """Plan the execution of selected assets in as few steps as possible.

    Assets of one cell are made together: selecting one selects all, and the plan's notes say so.

    Args:
        definitions: the project as it is saved.
        graph: its assets.
        selected: keys of assets.
        env: name of the environment.
        materialized: the assets that have a current value there.
        selection: the selection as written, for the record and for messages.
        mode: see `Mode`.
        parameters: values by name; each notebook takes those that its parameters cell names.
        partitions: which are asked for; needed if an asset has some.

    Raises:
        RefusedError: an asset is broken or on a circle, or something that it needs was never materialized and is
            not selected; the message holds the selection that would work.
        ParameterError: a parameter is unknown or of a wrong type.
    """
    keys, notes = _with_siblings(definitions, graph, selected)
    refuse_broken(definitions, graph, keys)
    planned = _partitions(definitions, graph, keys, partitions, materialized, selection)
    if planned is not None:
        keys = tuple(key for key in keys if key not in planned.idle)
        notes += planned.notes
    refuse_missing_upstream(
        definitions,
        graph,
        keys,
        _Present(materialized, partitions),
        selection,
        partitioned=planned.sets if planned is not None else (),
        unfed=planned.unfed if planned is not None else (),
        words=partitions.words if partitions is not None else "",
    )
    chosen = frozenset(keys)
    needs = {key: [above for above in graph.upstream(key) if above in chosen] for key in keys}
    groups = _grouped(definitions.assets, keys, needs)
    paths = sorted({definitions.assets[key].cell.notebook for key in keys})
    given = parameters_for([definitions.notebooks[path] for path in paths], parameters)
    shows = _Views(definitions, groups)
    steps = []
    for index, (assets, after) in enumerate(groups):
        notebook = definitions.notebooks[definitions.assets[assets[0]].cell.notebook]
        cells = step_cells(notebook, frozenset(assets), shows.of_step(index))
        order = execution_order(cells, needs)
        steps.append(
            StepPlan(
                index=index,
                notebook=notebook.path,
                kernel=notebook.kernel,
                location=notebook.location,
                cells=cells,
                order=order,
                assets=_in_order(notebook, order),
                after=after,
                parameters=given[notebook.path],
            )
        )
    return RunPlan(
        env=env,
        selection=selection,
        mode=mode,
        assets=tuple(definitions.assets[key] for key in keys),
        steps=tuple(steps),
        partitions=planned.texts if planned is not None else _NONE,
        sets=planned.sets if planned is not None else _NONE,
        notebooks={path: definitions.notebooks[path].content_hash for path in paths},
        notes=notes + _idle_parameters(definitions, chosen, parameters),
    )


def plan_notebook(
    definitions: Definitions,
    path: str,
    *,
    env: str,
    parameters: Mapping[str, Any] = _NONE,
    partitions: Mapping[str, tuple[str, ...]] = _NONE,
    left_out: Mapping[str, str] = _NONE,
) -> RunPlan:
    """Plan the execution of one whole notebook, as Run All does it; it needs no assets.

    Args:
        definitions: the project as it is saved.
        path: of the notebook.
        env: name of the environment.
        parameters: values by name.
        partitions: see `RunPlan.partitions`.
        left_out: why some of its assets are not executed, by name: neither are the cells that show them.

    Raises:
        UnknownNameError: the project has no such notebook.
        ParameterError: a parameter is unknown or of a wrong type.
    """
    notebook = definitions.notebooks.get(path)
    if notebook is None:
        raise UnknownNameError("notebook", path, definitions.notebooks)
    cells = whole_cells(notebook, left_out)
    order = tuple(cell.index for cell in cells if cell.action != "skip")
    assets = _in_order(notebook, order)
    step = StepPlan(
        index=0,
        notebook=path,
        kernel=notebook.kernel,
        location=notebook.location,
        whole=True,
        cells=cells,
        order=order,
        assets=assets,
        parameters=parameters_for([notebook], parameters)[path],
    )
    return RunPlan(
        env=env,
        selection=f"notebook:{quoted(path)}",
        assets=tuple(definitions.assets[key] for key in assets if key in definitions.assets),
        steps=(step,),
        partitions=partitions,
        sets=_sets(definitions, assets),
        notebooks={path: notebook.content_hash},
        notes=(*(f"left out: {why}" for why in dict.fromkeys(left_out.values())), *_unseen(notebook, cells)),
    )


def _unseen(notebook: NotebookDef, cells: Sequence[CellPlan]) -> Iterator[str]:
    """Say which view cells of a whole notebook are left out because of what they show."""
    skipped = {cell.index for cell in cells if cell.action == "skip"}
    places = [str(cell.ref.index + 1) for cell in notebook.cells if cell.kind == "view" and cell.ref.index in skipped]
    if places:
        cells_are = "cell" if len(places) == 1 else "cells"
        verb = "shows" if len(places) == 1 else "show"
        yield f"left out: {cells_are} {', '.join(places)}, which {verb} what is left out"


def _sets(definitions: Definitions, keys: Iterable[str]) -> dict[str, str]:
    """Return the SPEC of the partitions of assets, and of what they read, that have some."""
    assets = definitions.assets
    every = {each for key in keys if key in assets for each in (key, *assets[key].upstream) if each in assets}
    return {key: spec for key in sorted(every) if (spec := assets[key].options.partitions) is not None}


def _partitions(
    definitions: Definitions,
    graph: AssetGraph,
    keys: Sequence[str],
    request: PartitionRequest | None,
    materialized: Container[str],
    selection: str,
) -> PlannedPartitions | None:
    """Return which partitions are executed; None if nothing selected, or read, has any."""
    if request is None:
        first = next((key for key in keys if definitions.assets[key].options.partitions is not None), None)
        if first is not None:
            raise RefusedError(f"{first} has partitions: say which with --partition KEY or --partitions A..B")
        return None
    from nbpipe.core.runs.partition_plans import plan_partitions

    return plan_partitions(definitions, graph, keys, request, materialized=materialized, selection=selection)


class _Present:
    """The assets that have a value: with partitions, of any of them."""

    def __init__(self, materialized: Container[str], request: PartitionRequest | None) -> None:
        self._materialized = materialized
        self._executed: Mapping[str, PartitionSubset] = {} if request is None else request.executed

    def __contains__(self, key: object) -> bool:
        found = self._executed.get(key) if isinstance(key, str) else None
        return key in self._materialized if found is None else bool(found)


def _idle_parameters(definitions: Definitions, chosen: frozenset[str], names: Iterable[str]) -> tuple[str, ...]:
    """Say which parameters are only read by assets that are not selected: those stay as they are."""
    notes = []
    notebooks = {definitions.assets[key].cell.notebook for key in chosen}
    for name in names:
        readers = [
            key
            for key, spec in definitions.assets.items()
            if name in spec.parameters and spec.cell.notebook in notebooks
        ]
        if readers and chosen.isdisjoint(readers):
            others = f" and {len(readers) - _NAMED} more" if len(readers) > _NAMED else ""
            notes.append(
                f"parameter {name} changes nothing that is selected: it is for {', '.join(readers[:_NAMED])}{others}, "
                "of which stored values are used"
            )
    return tuple(notes)


def _with_siblings(
    definitions: Definitions, graph: AssetGraph, selected: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Add the assets that come out of the same cells; return all in topological order, and what to say of it."""
    asked = frozenset(selected)
    for key in sorted(asked):
        if key not in definitions.assets:
            raise UnknownNameError("asset", key, definitions.assets)
    notes = []
    keys = set(asked)
    for key in sorted(asked):
        more = [one for one in definitions.assets[key].siblings if one not in keys and one in definitions.assets]
        if more:
            keys.update(more)
            notes.append(f"{', '.join(more)} {'is' if len(more) == 1 else 'are'} made too: by the same cell as {key}")
    return graph.arrange(keys), tuple(notes)


def _grouped(
    assets: Mapping[str, AssetSpec], keys: Sequence[str], needs: Mapping[str, Iterable[str]]
) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Return the assets of each step, and the steps that it waits for.

    Cells are what is grouped. All assets of a cell need the same, so numbering cells by their first asset in
    topological order numbers them topologically.
    """
    cell_of: dict[str, int] = {}
    members: list[list[str]] = []
    numbers: dict[tuple[str, int], int] = {}
    for key in keys:
        ref = assets[key].cell
        number = numbers.setdefault((ref.notebook, ref.index), len(members))
        if number == len(members):
            members.append([])
        members[number].append(key)
        cell_of[key] = number
    place = {path: index for index, path in enumerate(sorted({path for path, _ in numbers}))}
    before = [sorted({cell_of[other] for key in cell for other in needs[key]}) for cell in members]
    blocks = group([place[path] for path, _ in numbers], before)
    return [
        (tuple(key for cell in block.cells for key in members[cell]), after)
        for block, after in zip(blocks, waiting(blocks, before), strict=True)
    ]


def _in_order(notebook: NotebookDef, order: Sequence[int]) -> tuple[str, ...]:
    declared = {cell.ref.index: cell.assets for cell in notebook.cells if cell.kind == "asset"}
    return tuple(key for index in order for key in declared.get(index, ()))


class _Views:
    """Decides in which step each view cell runs.

    It runs once: in the last step of its notebook that makes something it shows; if none does, in the last step of
    its notebook, provided that everything it shows of the run is made in steps before that one. View cells whose
    names it uses come with it.
    """

    def __init__(self, definitions: Definitions, groups: Sequence[tuple[tuple[str, ...], tuple[int, ...]]]) -> None:
        self._groups = groups
        self._made_in = {key: index for index, (assets, _) in enumerate(groups) for key in assets}
        steps: dict[str, list[int]] = {}
        for index, (assets, _) in enumerate(groups):
            steps.setdefault(definitions.assets[assets[0]].cell.notebook, []).append(index)
        self._shows: dict[int, dict[int, tuple[str, ...]]] = {}
        for path, mine in steps.items():
            cells = {cell.ref.index: cell for cell in definitions.notebooks[path].cells if cell.kind == "view"}
            for cell in cells.values():
                self._place(cell, cells, mine)

    def of_step(self, index: int) -> Mapping[int, tuple[str, ...]]:
        """Return the view cells of a step by index, each with the assets of the run that make it run."""
        return self._shows.get(index, {})

    def _place(self, cell: CellDef, cells: Mapping[int, CellDef], mine: Sequence[int]) -> None:
        shown = tuple(key for key in cell.shows if key in self._made_in)
        if not shown:
            return
        step = max((self._made_in[key] for key in shown if self._made_in[key] in mine), default=None)
        if step is None:
            step = mine[-1]
            if not {self._made_in[key] for key in shown} <= self._before(step):
                return
        chosen = self._shows.setdefault(step, {})
        pending = [cell.ref.index]
        for index in pending:  # grows while it is walked
            if index in cells:
                chosen[index] = tuple(sorted({*chosen.get(index, ()), *shown}))
                pending.extend(used for used in cells[index].uses if used not in pending)

    def _before(self, step: int) -> set[int]:
        """Return the steps that have ended when a step starts."""
        found = set(self._groups[step][1])
        pending = list(found)
        for index in pending:  # grows while it is walked
            pending.extend(other for other in self._groups[index][1] if other not in found)
            found.update(self._groups[index][1])
        return found
