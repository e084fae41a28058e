"""The current partition of a person's notebook, and which partitions its names stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from nbpipe import clock
from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.errors import UsageError
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.partitions.choice import Choices
from nbpipe.kernel.partitions.declared import no_partition, set_of
from nbpipe.kernel.workbench import Workbench


class Shown(NamedTuple):
    """The current partition of assets that share a set."""

    assets: tuple[str, ...]
    of: PartitionSet
    key: str | None
    """None if there is no partition so far."""


class CurrentPartitions:
    """What was chosen with `%partition`, and what follows for each asset."""

    def __init__(self, bench: Workbench) -> None:
        """Begin with the latest complete partition of each set."""
        self._bench = bench
        self._choices = Choices()
        self._bound: dict[str, str] = {}

    def key(self, asset: str, spec: str) -> str:
        """Return the current key of an asset.

        Raises:
            RefusedError: it has no complete partition so far.
        """
        of = set_of(self._bench, asset, spec)
        key = self._choices.key(of, clock.now())
        if key is None:
            raise no_partition(asset, of)
        return key

    def choose(self, key: str, sets: Mapping[str, str]) -> None:
        """Make a key the current one wherever it applies.

        Args:
            key: of a partition.
            sets: SPEC by asset, of the notebook's assets.

        Raises:
            UnknownNameError: no set has it; names the nearest.
            UsageError: the notebook has no asset with partitions.
        """
        self._choices = self._choices.with_key([each.of for each in self.shown(sets)], key)

    def choose_part(self, of: PartitionSet, index: int, key: str) -> None:
        """Make a key of one dimension of a set the current one.

        Raises:
            UnknownNameError: the dimension does not have it.
        """
        self._choices = self._choices.with_part(of, index, key, clock.now())

    def shown(self, sets: Mapping[str, str]) -> list[Shown]:
        """Return the current key of each set.

        Raises:
            UsageError: there is none.
        """
        if not sets:
            raise UsageError("no asset of this notebook has partitions: %%asset NAME --partitions daily:2024-01-01")
        now = clock.now()
        found: dict[PartitionSet, list[str]] = {}
        for asset, spec in sets.items():
            found.setdefault(set_of(self._bench, asset, spec), []).append(asset)
        return [Shown(tuple(assets), of, self._choices.key(of, now)) for of, assets in found.items()]

    # --- names ---

    def note(self, cell: AssetCell) -> None:
        """Note that a cell bound its assets' names to the values of a partition."""
        for spec in cell.specs:
            self._bound[spec.key] = (cell.chosen or ("",))[0]

    def note_bound(self, asset: str, key: str) -> None:
        """Note that a name is bound to the value of a partition."""
        self._bound[asset] = key

    def let_go(self, partitions_of: Callable[[str], str | None]) -> None:
        """Unbind the names that stand for other partitions than the current ones."""
        for asset, key in list(self._bound.items()):
            spec = partitions_of(asset)
            if spec is None or self._choices.key(set_of(self._bench, asset, spec), clock.now()) != key:
                del self._bound[asset]
                self._bench.names.let_go(asset)


def text_of(shown: list[Shown]) -> str:
    """Return the current partitions in words, one line for each set."""
    return "\n".join(f"{', '.join(each.assets)}: {each.key or 'no partition so far'} ({each.of})" for each in shown)
