"""Which partitions a run or a backfill executes: those asked for, and those that follow from them by mapping.

All of it is algebra of bitmaps along links; no key is made or looked at.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import msgspec

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.carrying import carried
from nbpipe.core.partitions.fitting import link as fitted
from nbpipe.core.partitions.links import WHOLE, Link
from nbpipe.core.partitions.subsets import PartitionSubset, nothing, single
from nbpipe.errors import DeclarationError


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Partitions of an asset that can't be executed, because something upstream has no value and gets none."""

    asset: str
    partitions: PartitionSubset
    """Of the asset; of one without partitions, `WHOLE`."""
    upstream: str
    lacking: PartitionSubset
    """Of the upstream: neither stored nor chosen."""
    asked: bool
    """They were asked for themselves, rather than follow from others."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is executed, and what would be if more were there."""

    subsets: Mapping[str, PartitionSubset] = MappingProxyType({})
    """By chosen asset that has partitions, in topological order; may be empty."""
    left_out: tuple[LeftOut, ...] = ()
    """In the same order."""


def roots_of(specs: Iterable[AssetSpec], book: PartitionBook) -> tuple[str, ...]:
    """Return the assets by whose keys a range is read: those with partitions that none of the others feeds.

    An upstream without partitions does not count. Assets of one cell are all roots, or none is.
    """
    chosen = {spec.key: spec for spec in specs}
    return tuple(key for key, spec in chosen.items() if book.of(key) and not _above(spec, chosen, book))


def follow(
    specs: Sequence[AssetSpec],
    book: PartitionBook,
    roots: Mapping[str, PartitionSubset],
    available: Mapping[str, PartitionSubset],
    now: datetime,
) -> Choice:
    """Return the partitions to execute of each chosen asset.

    Of an asset in `roots`, or whose cell makes one that is, those; of any other, those that the chosen partitions of
    chosen assets feed. What lacks a partition upstream that is neither available nor chosen is left out, and with it
    what needs it. `all` needs nothing: it takes what has a value.

    Args:
        specs: the chosen assets in topological order, with or without partitions.
        book: their sets, and those of everything upstream of them.
        roots: partitions by asset; need not be in the set now, but later.
        available: what is materialized or was skipped, by asset with partitions; none of one that is not named.
            Assets without partitions are taken as available.
        now: for `all` and `latest`.
    """
    choosing = _Choosing(specs, book, available, now)
    for spec in specs:
        choosing.choose(spec, roots)
    return Choice(subsets=choosing.subsets, left_out=tuple(choosing.left_out))


class _Choosing:
    """One call of `follow`."""

    def __init__(
        self,
        specs: Sequence[AssetSpec],
        book: PartitionBook,
        available: Mapping[str, PartitionSubset],
        now: datetime,
    ) -> None:
        self._specs = {spec.key: spec for spec in specs}
        self._book = book
        self._available = available
        self._now = now
        self.subsets: dict[str, PartitionSubset] = {}
        self.left_out: list[LeftOut] = []

    def choose(self, spec: AssetSpec, roots: Mapping[str, PartitionSubset]) -> None:
        """Settle one asset, after everything upstream of it."""
        of = self._book.of(spec.key)
        if of is None:
            self._possible(spec, single(WHOLE, ""), asked=True)
            return
        before = next((key for key in spec.siblings if key in self.subsets), None)
        if before is not None:  # made by the same execution of the body
            self.subsets[spec.key] = translated(self._book, before, self.subsets[before], spec.key, self._now)
            return
        asked = next((key for key in (spec.key, *spec.siblings) if key in roots), None)
        if asked is not None:
            wanted = translated(self._book, asked, roots[asked], spec.key, self._now)
        else:
            wanted = nothing(of)
            for key in _above(spec, self._specs, self._book):
                for link in _link(self._book, spec, key):
                    wanted = wanted | link.downstream_of(self.subsets[key], self._now)
        self.subsets[spec.key] = self._possible(spec, wanted, asked=asked is not None)

    def _possible(self, spec: AssetSpec, wanted: PartitionSubset, *, asked: bool) -> PartitionSubset:
        """Return those of some partitions whose inputs are there or will be; note the others."""
        for upstream in spec.upstream:
            if not wanted or self._book.of(upstream) is None:
                continue
            for link in _link(self._book, spec, upstream):
                lacking = self._needed(link, wanted) - self._at_hand(upstream, link)
                if lacking:
                    lost = self._fed(link, lacking, wanted)
                    self._note(spec, lost, upstream, lacking, asked=asked)
                    wanted = wanted - lost
        if wanted and spec.key in spec.inputs:
            link = self._book.link(spec, spec.key)
            stored = self._available.get(spec.key, nothing(link.up))
            lacking = self._needed(link, wanted) - (stored | wanted)
            if lacking:
                unstored = (wanted - stored).families
                reached = PartitionSubset(link.up, carried(link, lacking.families, unstored, self._now))
                lost = self._fed(link, lacking | reached, wanted)
                self._note(spec, lost, spec.key, lacking, asked=asked)
                wanted = wanted - lost
        return wanted

    def _needed(self, link: Link, wanted: PartitionSubset) -> PartitionSubset:
        if link.lenient:
            return nothing(link.up)
        return link.upstream_of(wanted, self._now)

    def _at_hand(self, upstream: str, link: Link) -> PartitionSubset:
        found = self._available.get(upstream, nothing(link.up))
        return found | self.subsets[upstream] if upstream in self.subsets else found

    def _fed(self, link: Link, above: PartitionSubset, wanted: PartitionSubset) -> PartitionSubset:
        return link.downstream_of(above, self._now) & wanted

    def _note(
        self, spec: AssetSpec, lost: PartitionSubset, upstream: str, lacking: PartitionSubset, *, asked: bool
    ) -> None:
        if lost:
            found = LeftOut(asset=spec.key, partitions=lost, upstream=upstream, lacking=lacking, asked=asked)
            self.left_out.append(found)


def translated(
    book: PartitionBook, source: str, subset: PartitionSubset, target: str, now: datetime
) -> PartitionSubset:
    """Return the partitions of the same keys of another asset of a cell, whose keys may be numbered otherwise."""
    if source == target:
        return subset
    return fitted(source, book.of(source), book.of(target)).downstream_of(subset, now)


def _above(spec: AssetSpec, chosen: Container[str], book: PartitionBook) -> list[str]:
    """Return the chosen assets with partitions that feed an asset."""
    return [key for key in spec.upstream if key in chosen and book.of(key) is not None and _link(book, spec, key)]


def _link(book: PartitionBook, spec: AssetSpec, upstream: str) -> tuple[Link, ...]:
    """Return the link to an upstream; none if it is there for the order alone, and the sets have nothing in common.

    Raises:
        DeclarationError: the asset reads it, and the mapping doesn't fit.
    """
    try:
        return (book.link(spec, upstream),)
    except DeclarationError:
        if upstream in spec.inputs:
            raise
        return ()
