"""Which of the partitions whose turn has come are executed: not those that are up to date, or lack what was to come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from nbpipe.core.partitions.links import WHOLE, Link
from nbpipe.core.partitions.subsets import PartitionSubset, families_of
from nbpipe.core.records import Outcome
from nbpipe.errors import DeclarationError, UnknownNameError
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.partitions.reading import Positions, Sources, lacking
from nbpipe.kernel.values import label
from nbpipe.kernel.workbench import Workbench

if TYPE_CHECKING:
    from nbpipe.kernel.partitions.judging import Judge

_LOST: tuple[Outcome, ...] = ("failed", "skipped", "canceled")


class Sifted(msgspec.Struct, frozen=True):
    """What is done with some partitions; each is in one of these."""

    ready: list[str]
    unchanged: list[str]
    below: dict[str, str]
    """By key: why it is not executed, because something upstream did not succeed in this run."""
    lacking: dict[str, str]
    """By key: what is missing upstream."""


class Sieve:
    """Sifts the partitions of one cell."""

    def __init__(self, bench: Workbench, cell: AssetCell, sources: Mapping[str, Sources]) -> None:
        """Learn what this run has lost upstream so far.

        Args:
            bench: of this kernel.
            cell: the cell.
            sources: by asset of the cell.
        """
        self._bench, self._cell, self._sources = bench, cell, sources
        self._own = {spec.key for spec in cell.specs}
        self._lost = self._lost_upstream()
        self._failed: dict[str, PartitionSubset] = {}
        """By asset of the cell, what failed or was not executed so far."""

    def fail(self, keys: Iterable[str]) -> None:
        """Note that partitions of the cell itself have no value now: what reads them can't be executed."""
        keys = tuple(keys)
        for sources in self._sources.values():
            for name, link in sources.links.items():
                if name in self._own:
                    found = _known(link, keys)
                    self._failed[name] = self._failed[name] | found if name in self._failed else found

    def sift(self, keys: Sequence[str], positions: Positions) -> Sifted:
        """Divide partitions by what is to be done with them; `positions` has those of all of them."""
        found = Sifted([], [], {}, {})
        judges = self._judges() if self._cell.only_stale else {}
        for key in keys:
            above = self._lost_above(key, positions)
            if above:
                found.below[key] = f"upstream {above} did not succeed"
            elif judges and not any(judge.reasons(positions[asset][key]) for asset, judge in judges.items()):
                found.unchanged.append(key)
            elif missing := self._missing(key, positions):
                found.lacking[key] = missing
            else:
                found.ready.append(key)
        return found

    def _judges(self) -> dict[str, Judge]:
        from nbpipe.kernel.partitions.judging import Judge  # only for runs of what is stale

        bench, cell = self._bench, self._cell
        return {
            spec.key: Judge(
                bench.store,
                bench.env,
                spec,
                self._sources[spec.key],
                parameters=bench.parameters.effective(spec.parameters, cell.defaults),
                files=bench.files.hash,
            )
            for spec in cell.specs
        }

    def _lost_upstream(self) -> dict[str, PartitionSubset]:
        """Return the upstream partitions that this run was to make and did not."""
        if self._bench.run_id is None:
            return {}
        links = {name: link for each in self._sources.values() for name, link in each.links.items()}
        wanted = {name for name, link in links.items() if link.up != WHOLE and not link.lenient} - self._own
        if not wanted:
            return {}
        lost: dict[str, list[str]] = {}
        for each in self._bench.store.run_assets(self._bench.run_id, assets=sorted(wanted), outcomes=_LOST):
            if not each.done:
                lost.setdefault(each.asset, []).append(each.partition)
        return {name: _known(links[name], keys) for name, keys in lost.items()}

    def _lost_above(self, key: str, positions: Positions) -> str:
        """Return one upstream partition that a partition reads and that did not succeed, or nothing."""
        if not (self._lost or self._failed):
            return ""
        for asset, sources in self._sources.items():
            for name, link in sources.links.items():
                lost = (self._failed if name in self._own else self._lost).get(name)
                if lost:
                    one = PartitionSubset(link.down, families_of([positions[asset][key]]))
                    found = link.upstream_of(one, sources.now) & lost
                    if found:
                        return label(name, next(iter(found)))
        return ""

    def _missing(self, key: str, positions: Positions) -> str:
        for asset, sources in self._sources.items():
            for name, link in sources.links.items():
                if link.up != WHOLE and (missing := sources.fed(name, [positions[asset][key]]).missing):
                    return lacking(name, missing, label(asset, key))
        return ""


def _known(link: Link, keys: Iterable[str]) -> PartitionSubset:
    """Return those of some keys that the upstream has."""
    found = []
    for key in keys:
        with suppress(UnknownNameError, DeclarationError):  # the declaration has changed since
            found.append(link.up.position(key))
    return PartitionSubset(link.up, families_of(found))
