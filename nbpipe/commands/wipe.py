"""`wipe`: forget the stored values of an asset, or of some of its partitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.partition_references import (
    has_partition_facts,
    is_partitioned,
    partition_set,
    position_of,
    refuse_running,
)
from nbpipe.commands.references import history, known_asset, refuse_active, without_version
from nbpipe.commands.surface import current_surface, does_nothing_here
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import StoredValue
from nbpipe.core.references import Reference, reference_text
from nbpipe.errors import RefusedError

if TYPE_CHECKING:
    from nbpipe.core.partitions.subsets import Families

#: Partitions that one transaction forgets: others wait for its end.
_AT_ONCE = 8_192


class Wiped(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was removed; nothing if the person said no."""

    asset: str
    partition: str | None = None
    """The key or range that was named."""
    partitions: int | None = None
    """How many partitions were forgotten, also those that had failed or were skipped; None for an asset without."""
    values: int
    bytes: int


@click.command("wipe")
@click.argument("asset", metavar="ASSET[@KEY|@A..B]")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def command(workspace: Workspace, *, asset: str, yes: bool) -> Wiped:
    """Forget the stored values of an asset, in this environment, and delete their files.

    Of an asset with partitions: of one (orders@2024-01-01), of a range (orders@2024-01-01..2024-01-31), or of all.
    """
    reference = without_version(asset, "wipe")
    key = reference.asset
    workspace.settle()
    if not reference.partition:
        refuse_active(known_asset(workspace, key), key, "wipe it")
    if reference.partition or is_partitioned(workspace, key) or has_partition_facts(workspace, key):
        return _partitions(workspace, reference, yes=yes)
    if does_nothing_here("wipe") or not _allowed(f"all stored values of {key}", workspace.env, yes=yes):
        return Wiped(asset=key, values=0, bytes=0)
    removed = workspace.store.wipe(workspace.env, key, at=clock.now())
    _delete(workspace, removed)
    return Wiped(asset=key, values=len(removed), bytes=_size(removed))


def _partitions(workspace: Workspace, reference: Reference, *, yes: bool) -> Wiped:
    """Forget partitions, in transactions of moderate length; files go after what names them."""
    asset, text, _ = reference
    nothing = Wiped(asset=asset, partition=text or None, partitions=0, values=0, bytes=0)
    which = _chosen(workspace, reference)
    if workspace.is_untouched:
        return nothing
    touched = _touched(workspace, asset, which)
    count = sum(map(len, touched.values()))
    # of a whole asset also what was stored before it had partitions
    whole = not text and any(not each.expired for each in history(workspace, asset))
    if not (count or whole):
        return nothing
    refuse_running(workspace, asset, which, "wipe it")
    what = f"the stored values of {_described(reference, count)}"
    if does_nothing_here("wipe") or not _allowed(what, workspace.env, yes=yes):
        return nothing
    partitions, now, values, size = workspace.store.partitions, clock.now(), 0, 0
    with current_surface().counted(f"wiping {asset}", count) as advance:
        for number, piece in _pieces(touched, which, _AT_ONCE):
            removed = partitions.wipe(workspace.env, asset, piece, at=now, label=text)
            _delete(workspace, removed)
            values, size = values + len(removed), size + _size(removed)
            advance(number)
    if whole:
        removed = workspace.store.wipe(workspace.env, asset, at=now)
        _delete(workspace, removed)
        values, size = values + len(removed), size + _size(removed)
    return Wiped(asset=asset, partition=text or None, partitions=count, values=values, bytes=size)


def _chosen(workspace: Workspace, reference: Reference) -> Families | None:
    """Return the partitions that are named; None for all."""
    if not reference.partition:
        return None
    from nbpipe.core.partitions.ranges import parse_range

    if not any(sign in reference.partition for sign in ("..", "*", ",")):
        position_of(workspace, reference)  # its error names the nearest key
    return parse_range(partition_set(workspace, reference.asset), reference.partition, clock.now()).families


def _touched(workspace: Workspace, asset: str, which: Families | None) -> Families:
    """Return those of some partitions that there is something to forget of."""
    from nbpipe.core.partitions.subsets import intersection

    facts = workspace.store.partitions.facts(workspace.env, asset)
    found = facts.families(lambda chunk: chunk.executed | chunk.failed | chunk.held)
    return found if which is None else intersection(found, which)


def _pieces(touched: Families, which: Families | None, size: int) -> Iterator[tuple[int, Families]]:
    """Yield what is wiped in pieces of at most so many partitions that were touched, and how many they are.

    What lies between these is in the piece too, where it is wanted: stretches are forgotten faster than single ones.
    """
    from pyroaring import BitMap

    piece: dict[tuple[int, ...], BitMap] = {}
    free = size
    for outer, bitmap in sorted(touched.items(), key=lambda item: item[0]):
        start = 0
        while start < len(bitmap):
            stop = min(start + free, len(bitmap))
            stretch = BitMap(range(bitmap[start], bitmap[stop - 1] + 1))
            piece[outer] = stretch if which is None else stretch & which[outer]
            start, free = stop, free - (stop - start)
            if not free:
                yield size, piece
                piece, free = {}, size
    if piece:
        yield size - free, piece


def _described(reference: Reference, count: int) -> str:
    asset, text, _ = reference
    if not text:
        return f"{asset} ({_number(count)})"
    return reference_text(asset, text) if count == 1 and ".." not in text else f"{_number(count)} of {asset} ({text})"


def _number(count: int) -> str:
    return "1 partition" if count == 1 else f"{count:,} partitions"


def _allowed(what: str, env: str, *, yes: bool) -> bool:
    """Ask whether to delete something.

    Raises:
        RefusedError: there is nobody to ask.
    """
    if yes:
        return True
    confirm = current_surface().confirm
    if confirm is None:
        raise RefusedError(f"wipe deletes {what}: nobody can be asked here, so confirm with --yes")
    return confirm(f"Delete {what} in environment {env!r}?")


def _delete(workspace: Workspace, removed: Iterable[StoredValue]) -> None:
    for stored in removed:
        workspace.io.manager(stored.io).delete(stored)


def _size(removed: Iterable[StoredValue]) -> int:
    return sum(stored.size for stored in removed)
