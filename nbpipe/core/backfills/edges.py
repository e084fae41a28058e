"""How the partitions of one asset wait for those of another, or for earlier ones of their own."""

from __future__ import annotations

import msgspec

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.fitting import link as fitted
from nbpipe.core.partitions.links import WHOLE, Fixed, Link, Pair
from nbpipe.core.partitions.mapping_syntax import All
from nbpipe.core.partitions.mappings import Same
from nbpipe.errors import DeclarationError


class Edge(msgspec.Struct, frozen=True):
    """One asset waits for another."""

    upstream: str
    asset: str
    waits: Link
    """What must have ended: for `latest`, everything."""
    loses: Link | None
    """What is lost if something upstream fails; None: nothing, because it takes what there is, or is there for the
    order alone and has no partition in common."""
    needs_some: bool = False
    """It takes what there is, but something there must be."""

    @property
    def own(self) -> bool:
        """Return whether an asset waits for earlier partitions of its own."""
        return self.upstream == self.asset

    @property
    def identity(self) -> bool:
        """Return whether each partition waits for the one with the same key of an equal set."""
        return is_identity(self.waits)


def edges_of(spec: AssetSpec, book: PartitionBook) -> tuple[Edge, ...]:
    """Return what an asset waits for, in the order of names.

    Raises:
        DeclarationError: the asset reads something, and the mapping doesn't fit.
    """
    own = {spec.key} & {*spec.inputs}
    return tuple(_edge(spec, upstream, book) for upstream in sorted({*spec.upstream} | own))


def is_identity(link: Link) -> bool:
    """Return whether a link is from each key to the same key of an equal set."""
    if link.up != link.down:
        return False
    return link.up == WHOLE or all(
        isinstance(part, Pair) and part.dimension == index and isinstance(part.mapping, Same)
        for index, part in enumerate(link.parts)
    )


def _edge(spec: AssetSpec, upstream: str, book: PartitionBook) -> Edge:
    read = upstream in spec.inputs
    try:
        link = book.link(spec, upstream)
    except DeclarationError:
        if read:
            raise
        # only the order counts, and no partition is nearer to one than to another
        link = fitted(upstream, book.of(upstream), book.of(spec.key), All())
    if link.lenient:
        return Edge(upstream, spec.key, link, None, needs_some=read)
    parts = tuple(Fixed("all") if isinstance(part, Fixed) and part.keys == "latest" else part for part in link.parts)
    return Edge(upstream, spec.key, msgspec.structs.replace(link, parts=parts), link)
