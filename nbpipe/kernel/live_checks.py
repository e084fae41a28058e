"""Why an asset cell of a live notebook can't be executed as it is, or the saved notebook not as a job."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from nbpipe.core.definitions import AssetSpec, CellDef, Definitions
from nbpipe.core.reading.notebooks import SKIP_TAGS
from nbpipe.errors import DefinitionError, RefusedError
from nbpipe.kernel.live_notebook import LiveNotebook
from nbpipe.kernel.live_resolution import LiveResolution
from nbpipe.kernel.sayings import warn
from nbpipe.loading.roots import STATE_FOLDER, has_neighbours

#: What a notebook of another folder may hold.
_ELSEWHERE = frozenset({"unknown-name", "unknown-asset"})


def check_cell(resolution: LiveResolution, cell: CellDef, *, alone: Path | None = None) -> None:
    """Show what may surprise in a cell, and refuse it if something is wrong with it.

    Args:
        resolution: of the notebook as this kernel knows it.
        cell: the one that is about to be executed.
        alone: the root of a project without a configuration: what is sought may be in a folder above or beside it.

    Raises:
        DefinitionError: says what, and on which line.
    """
    diagnostics = resolution.resolved.diagnostics
    here = [each for each in diagnostics if each.cell_id == cell.ref.cell_id]
    for each in here:
        if each.severity == "warning":
            warn(f"line {each.line}: {each.message}")
    for each in here:
        if each.severity == "error":
            hint = _no_project(alone) if alone and each.code in _ELSEWHERE and has_neighbours(alone) else ""
            raise DefinitionError(f"line {each.line}: {each.message}{hint}")
    for each in diagnostics:
        if each.severity == "error" and set(each.assets) & set(cell.assets):
            raise DefinitionError(f"cell {each.cell}, line {each.line}: {each.message}")
    if cell.kind == "skipped":
        tags = " or ".join(sorted(SKIP_TAGS))
        raise DefinitionError(f"a tag of this cell ({tags}) excludes it from the pipeline: remove the tag to run it")
    if not cell.assets:
        raise DefinitionError("this cell declares no asset: name it, for example %%asset orders")


def _no_project(folder: Path) -> str:
    return (
        f". Assets are looked for in {folder} alone, which no nbpipe.toml makes a part of a bigger project: "
        f"if a notebook of another folder makes this one, run `nbpipe init` in the folder above both, "
        f"and delete {folder / STATE_FOLDER}"
    )


def refuse_duplicates(assets: Iterable[str], resolution: LiveResolution, saved: Definitions, path: str) -> None:
    """Refuse an asset that another notebook declares too: both would write the same value.

    Raises:
        DefinitionError: names both places.
    """
    for name in assets:
        others = resolution.outside.places(name, path)
        if not others:
            continue
        known = (each for each in saved.diagnostics if each.code == "duplicate-asset" and name in each.assets)
        message = next((each.message for each in known), None)
        raise DefinitionError(message or f"asset {name!r} is declared in {others[0]} too: rename one of them")


def refuse_unfinished(specs: Collection[AssetSpec], live: LiveNotebook, positions: Mapping[str, int]) -> None:
    """Refuse an asset that uses a name whose cell failed: the name is not what the text of that cell says.

    Raises:
        RefusedError: names the cell and what to do.
    """
    unfinished = live.unfinished()
    if not unfinished:
        return
    for spec in specs:
        reached = {label.partition(":")[2].removesuffix("()") for label, _ in spec.code}
        for name in sorted((reached | set(spec.setup_names) | set(spec.parameters)) & unfinished.keys()):
            where = f"cell {positions[unfinished[name]] + 1}" if unfinished[name] in positions else "a cell above"
            raise RefusedError(
                f"{where}, which binds {name!r}, failed when it last ran, so {name!r} may not be what it says: "
                f"run that cell without an error before asset {spec.key}"
            )


def refuse_differences(live: LiveNotebook, *, has_file: bool) -> None:
    """Refuse work on the saved notebook while it differs from what this kernel executed.

    Raises:
        RefusedError: names the cells, and whether to save or to run them.
    """
    unsaved, outdated, new = live.unsaved(), live.outdated(), live.new_assets()
    if unsaved:
        raise RefusedError(f"{_cells(unsaved, 'has', 'have')} unsaved edits: save first")
    if has_file and new:
        raise RefusedError(f"the saved notebook does not have {', '.join(new)} yet: save first")
    if outdated:
        them = "it" if len(outdated) == 1 else "them"
        raise RefusedError(f"{_cells(outdated, 'was', 'were')} edited after this kernel ran {them}: run {them} first")


def _cells(positions: tuple[int, ...], one: str, many: str) -> str:
    return f"cell {positions[0]} {one}" if len(positions) == 1 else f"cells {', '.join(map(str, positions))} {many}"
