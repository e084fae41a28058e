"""What a person's kernel loads instead of executing a cell, and what it binds to names that are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.reasons import age_text
from nbpipe.core.records import AssetState, Materialization
from nbpipe.core.staleness import is_watched, out_of_date
from nbpipe.errors import MissingValueError, StoredValueError, UsageError
from nbpipe.kernel.asset_cells import AssetCells
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.parameter_values import ParameterValues
from nbpipe.kernel.sayings import say, shape, warn

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.sets import PartitionSet
    from nbpipe.kernel.partitions.current import CurrentPartitions, Shown


class LiveValues:
    """Decides on the cells of one notebook; opens the state store when first asked."""

    def __init__(
        self,
        workspace: Workspace,
        parameters: ParameterValues,
        cells: Callable[[], AssetCells],
        partitions_of: Callable[[str], str | None],
    ) -> None:
        """Work for one notebook.

        Args:
            workspace: its project.
            parameters: of its kernel.
            cells: gives what executes its cells.
            partitions_of: gives the SPEC of the partitions of an asset, as it is known here; None if it has none.
        """
        self._workspace, self._parameters = workspace, parameters
        self._cells, self._partitions_of = cells, partitions_of
        self._reasons: tuple[str, ...] = ()
        self._current: CurrentPartitions | None = None
        self.forced: set[str] = set()
        """Assets whose next cell executes whatever their state."""

    @property
    def current(self) -> CurrentPartitions:
        """The current partition of the notebook."""
        if self._current is None:
            from nbpipe.kernel.partitions.current import CurrentPartitions

            self._current = CurrentPartitions(self._cells())
        return self._current

    # --- asset cells ---

    def admit(self, cell: AssetCell) -> AssetCell | None:
        """Return the cell if it has to be executed; else load its values."""
        names = {name for spec in cell.specs for name in (spec.key, *spec.inputs)}
        sets = {name: text for name in sorted(names) if (text := self._partitions_of(name)) is not None}
        if sets:
            cell = replace(cell, sets=sets)
            if cell.specs[0].key in sets:
                return self._admit_partition(cell)
        keys = {spec.key for spec in cell.specs}
        states = self._workspace.states(names | keys)
        self._reasons = ("forced",) if keys & self.forced else self._why(cell, states)
        if self._reasons:
            return cell
        current = {key: found for key in sorted(keys) if (found := states[key].current) is not None}
        try:
            self._cells().load(cell, current)
        except MissingValueError as error:
            self._reasons = (str(error),)
            return cell
        say(f"{cell.name}: {_fresh_line(cell, states)}")
        return None

    def committed(self, cell: AssetCell, materializations: tuple[Materialization, ...]) -> None:
        """Say in one line what was stored and why the cell ran."""
        self.forced.difference_update(spec.key for spec in cell.specs)
        if cell.chosen is not None:
            self.current.note(cell)
        if materializations:
            sizes = "; ".join(filter(None, map(shape, materializations)))
            why = f" ({self._reasons[0]})" if self._reasons else ""
            say(f"{cell.label}: materialized{sizes}{why}")

    def _why(self, cell: AssetCell, states: Mapping[str, AssetState]) -> tuple[str, ...]:
        reasons: list[str] = []
        for spec in cell.specs:
            parameters = self._parameters.effective(spec.parameters, cell.defaults)
            files = self._workspace.project.file_hash
            versions = self._cells().linked_versions(cell.sets, spec) if cell.sets else {}
            reasons += out_of_date(spec, states, files=files, parameters=parameters, now=clock.now(), versions=versions)
        return tuple(dict.fromkeys(reasons))

    def _admit_partition(self, cell: AssetCell) -> AssetCell | None:
        from nbpipe.kernel.partitions.stored import bind, look

        key = self.current.key(cell.specs[0].key, cell.sets[cell.specs[0].key])
        cell = replace(cell, chosen=(key,))
        found = look(self._cells(), cell, key)
        self._reasons = ("forced",) if self.forced & found.details.keys() else found.reasons
        if self._reasons:
            return cell
        try:
            told = bind(self._cells(), cell, found)
        except MissingValueError as error:
            self._reasons = (str(error),)
            return cell
        self.current.note(cell)
        say(f"{cell.label}: {told}")
        return None

    # --- names ---

    def bind(self, name: str, *, wanted_now: bool = True) -> None:
        """Bind a stored value to the name of its asset, of an asset with partitions that of the current one.

        Warn if it can't be loaded; of one that was never made only if it is wanted now.
        """
        try:
            value = self.value(name)
        except (MissingValueError, UsageError) as error:
            if wanted_now:
                warn(str(error))
        except StoredValueError as error:
            warn(f"asset {name} can't be loaded: {error}")
        else:
            self._cells().names.bind(name, value)

    def value(self, name: str, *, key: str = "", version: int | None = None) -> Any:
        """Return the stored value of an asset, with partitions that of the current one unless another is named.

        Raises:
            UnknownNameError: it has no such partition.
            UsageError: it has no partitions, and one is named.
            MissingValueError: it was never materialized, or has no such version.
        """
        text = self._partitions_of(name)
        if text is not None:
            from nbpipe.kernel.partitions.stored import value_at

            found = key or self.current.key(name, text)
            value = value_at(self._cells(), name, text, found, version=version)
            if not key and version is None:
                self.current.note_bound(name, found)
            return value
        if key:
            raise UsageError(f"asset {name} has no partitions: leave out @{key}")
        return self._cells().values.load_current(name, version=version)[1]

    def choose(self, key: str, sets: Mapping[str, str]) -> Any:
        """Make a key the current partition and say so; without one, return what shows and sets it.

        Args:
            key: of a partition, or nothing.
            sets: SPEC by asset, of the notebook's assets with partitions.

        Raises:
            UnknownNameError: no set has the key; names the nearest.
            UsageError: the notebook has no asset with partitions.
        """
        from nbpipe.kernel.partitions.current import text_of

        if key:
            self.current.choose(key, sets)
            self.let_go()
        shown = self.current.shown(sets)
        if key or getattr(self._cells().shell, "kernel", None) is None:  # a terminal has no controls
            say(text_of(shown))
            return None
        from nbpipe.kernel.partitions.slider import PartitionControls

        def move(of: PartitionSet, index: int, part: str) -> list[Shown]:
            self.current.choose_part(of, index, part)
            self.let_go()
            return self.current.shown(sets)

        return PartitionControls(shown, move)

    def let_go(self) -> None:
        """Unbind the values of other partitions than the current one: they are loaded again when they are read."""
        if self._current is not None:
            self._current.let_go(self._partitions_of)


def _fresh_line(cell: AssetCell, states: Mapping[str, AssetState]) -> str:
    spec = cell.specs[0]
    state = states[spec.key]
    if state.held and state.current is not None:
        return f"held at version {state.current.version} after a rollback; %force {cell.name} runs it again"
    unlimited = spec.options.fresh_for is None
    if unlimited and state.current is not None and not is_watched(spec, state.current):
        age = age_text(clock.now() - state.current.created_at)
        return (
            f"loaded; stored {age}, and nbpipe sees nothing that it reads: "
            f"%force {cell.name} runs it again, --fresh-for 1d does so daily"
        )
    return f"up to date, loaded; %force {cell.name} runs it again"
