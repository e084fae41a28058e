"""What a backfill was told when it was made, and whether that still makes sense."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.layouts import layout_of
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.errors import RefusedError

_NONE: Mapping[str, str] = MappingProxyType({})


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept with a backfill besides its record, as JSON."""

    sets: Mapping[str, str] = _NONE
    """SPEC of the partitions of each asset that has some."""
    single_run: bool = False
    """One run takes all partitions of assets that run together."""
    parallel: int | None = None
    """How many runs at once; None: as configured."""


def refuse_other_partitions(backfill_id: str, orders: Orders, book: PartitionBook) -> None:
    """Refuse to go on where the partitions that were recorded are none of today's, or mean something else.

    Another begin or end, and other keys in a list, leave what is recorded what it is: see `layouts`.

    Raises:
        RefusedError: names the asset.
    """
    for asset, spec in orders.sets.items():
        of = book.of(asset)
        if of is None or layout_of(of) != layout_of(parse_partitions(spec)):
            today = "none" if of is None else str(of)
            raise RefusedError(
                f"backfill {backfill_id} can't go on: {asset} had the partitions {spec} when it began, and has {today} "
                "now; start a new one"
            )
