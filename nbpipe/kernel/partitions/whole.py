"""Assets without partitions that read some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.ports import StateStore
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.partitions.reading import WHOLE_POSITION, LinkedInputs, Sources
from nbpipe.kernel.workbench import Workbench


class WholeLinkedInputs(LinkedInputs):
    """The values that feed a cell without partitions."""

    def __init__(self, bench: Workbench, cell: AssetCell) -> None:
        """Load them.

        Raises:
            MissingValueError: something upstream has no value.
        """
        book = PartitionBook(cell.sets, bench.store.partitions, bench.env)
        self._first_asset = cell.specs[0].key
        sources = {self._first_asset: Sources(bench.store, bench.env, book, cell.specs[0])}
        super().__init__(bench.values, cell, sources, {self._first_asset: {"": WHOLE_POSITION}}, ranged=False)

    def recorded(self) -> tuple[Mapping[str, str], Mapping[str, int]]:
        """Return what stands for the data of each upstream, and the versions of those that are one value."""
        found = self.recorded_of(self._first_asset, WHOLE_POSITION)
        return found.data_versions, found.versions


def linked_versions(store: StateStore, env: str, sets: Mapping[str, str], specs: Iterable[AssetSpec]) -> dict[str, str]:
    """Return what stands for the data of each upstream with partitions; see `staleness.out_of_date`."""
    book = PartitionBook(sets, store.partitions, env)
    found = {}
    for spec in specs:
        if any(name in sets for name in spec.inputs):
            sources = Sources(store, env, book, spec)
            links = sources.links.items()
            found.update({name: sources.version(name, WHOLE_POSITION) for name, link in links if link.up != WHOLE})
    return found
