"""Why a selection can't be run as things stand, and which one could."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from nbpipe.core.definitions import Definitions, Diagnostic
from nbpipe.core.graph import AssetGraph
from nbpipe.core.selection import quoted
from nbpipe.errors import CycleError, RefusedError

#: So many missing assets are named one by one; more are selected with `+`.
_NAMED = 5


def refuse_broken(definitions: Definitions, graph: AssetGraph, selected: Iterable[str]) -> None:
    """Refuse assets that an error of the definitions keeps from being run.

    Raises:
        RefusedError: says what is wrong, and where.
    """
    blocked = _blocked(definitions)
    circles = graph.cycles() if graph.cyclic else ()
    for key in selected:
        if key in blocked:
            raise RefusedError(f"{key} can't be run: {_located(blocked[key])}")
        for circle in circles:
            if key in circle:
                raise RefusedError(f"{key} can't be run: {CycleError(circle)}")
        if key in graph.cyclic:
            raise RefusedError(f"{key} can't be run: it lies on a circle of assets that depend on each other")
        if key in graph.missing:
            names = ", ".join(repr(name) for name in graph.missing[key])
            raise RefusedError(f"{key} can't be run: it depends on {names}, which no notebook defines")


def _blocked(definitions: Definitions) -> dict[str, Diagnostic]:
    """Return the first error of each asset that has one."""
    blocked: dict[str, Diagnostic] = {}
    for diagnostic in definitions.diagnostics:
        if diagnostic.severity == "error":
            for key in diagnostic.assets:
                blocked.setdefault(key, diagnostic)
    return blocked


def refuse_missing_upstream(
    definitions: Definitions,
    graph: AssetGraph,
    selected: Sequence[str],
    materialized: Container[str],
    selection: str,
    *,
    partitioned: Container[str] = (),
    unfed: Container[tuple[str, str]] = (),
    words: str = "",
) -> None:
    """Refuse to start what would find no value of something upstream.

    Args:
        definitions: of the project.
        graph: the assets.
        selected: those that are to run.
        materialized: those that have a value.
        selection: as written.
        partitioned: those that have partitions.
        unfed: see `PlannedPartitions`.
        words: what was written about partitions besides.

    Raises:
        RefusedError: names what was never materialized, and the selection that would work, or what is wrong with it.
    """
    chosen = frozenset(selected)
    missing: dict[str, str] = {}
    pending = list(selected)
    for key in pending:  # grows while it is walked
        for above in graph.upstream(key):
            if above in chosen or above in missing or above in materialized or (key, above) in unfed:
                continue
            missing[above] = key
            pending.append(above)
    if not missing:
        return
    names = graph.arrange(missing)
    blocked = _blocked(definitions)
    for name in names:
        if name in blocked:
            raise RefusedError(f"{missing[name]} needs {name}, which can't be run: {_located(blocked[name])}")
    needed = next(name for name in reversed(names) if missing[name] in chosen)
    others = f", nor {_listed([name for name in names if name != needed])} above it" if len(names) > 1 else ""
    remedy = f"This selection would work: {_working(selection, selected, names)}{words and f' {words}'}"
    first = [name for name in names if name in partitioned]
    if first:
        remedy = f'Compute those first: nbpipe backfill "{" ".join(map(quoted, first))}" --missing'
    raise RefusedError(f"{missing[needed]} needs {needed}, which has never been materialized{others}. {remedy}")


def _working(selection: str, selected: Sequence[str], missing: Sequence[str]) -> str:
    text = selection.strip() or " ".join(map(quoted, selected))
    if len(missing) <= _NAMED:
        return f"{text} {' '.join(map(quoted, missing))}"
    return f"+{text}" if " " not in text and not text.startswith("+") else f"+({text})"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"


def _located(diagnostic: Diagnostic) -> str:
    place = diagnostic.notebook
    if diagnostic.cell is not None:
        place += f", cell {diagnostic.cell}"
    if diagnostic.line is not None:
        place += f", line {diagnostic.line}"
    return f"{diagnostic.message} ({place})" if place and place not in diagnostic.message else diagnostic.message
