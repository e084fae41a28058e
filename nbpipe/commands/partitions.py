"""`partitions`: the partitions of an asset by status; add and delete keys of dynamic sets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.dynamic_keys import KeysAdded, KeysDeleted, add_keys, delete_keys, dynamic_sets
from nbpipe.commands.partition_references import is_partitioned, partition_state
from nbpipe.commands.references import whole_asset
from nbpipe.commands.surface import current_surface
from nbpipe.commands.workspace import Workspace
from nbpipe.core.references import parse_reference
from nbpipe.errors import UsageError, nearest

if TYPE_CHECKING:
    from nbpipe.core.partitions.sets import Dimension
    from nbpipe.core.partitions.state import PartitionState

#: Ranges of each status that a person is shown at most.
_SHOWN = 10


class DimensionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension; `keys` counts windows that have ended, or listed keys."""

    name: str
    kind: Literal["time", "static", "dynamic"]
    spec: str
    keys: int


class PartitionsFound(msgspec.Struct, frozen=True, kw_only=True):
    """The partitions of an asset. `materialized` counts all that have a value, whatever their status."""

    asset: str
    partitions: str
    """SPEC, as declared."""
    dimensions: tuple[DimensionRow, ...]
    total: int
    materialized: int
    running: int
    failed: int
    missing: int
    stale: int
    skipped: int
    fresh: int
    ranges: Mapping[str, tuple[str, ...]]
    """By status: ranges and keys, as `--partitions` reads them; those without any are left out."""
    more: Mapping[str, int] | msgspec.UnsetType = msgspec.UNSET
    """By status: partitions that `ranges` leaves out; for a program it has all of them."""


class _Partitions(click.Group):
    """`partitions ASSET`, besides commands by name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and not args[0].startswith("-"):
            near = nearest(args[0], self.commands)
            if near and len(args) > 2 and not any(word.startswith("-") for word in args[1:3]):
                raise UsageError(f"partitions shows one asset; {args[0]!r} is no command: did you mean {near!r}?")
            return super().resolve_command(ctx, ["show", *args])
        return super().resolve_command(ctx, args)


@click.group(
    "partitions",
    cls=_Partitions,
    invoke_without_command=True,
    options_metavar="",
    subcommand_metavar="ASSET | add SET KEY... | delete SET KEY...",
)
@click.pass_obj
def command(workspace: Workspace) -> None:
    """Show the partitions of an asset by status; add and delete keys of a dynamic set."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    known = [key for key in workspace.definitions.assets if is_partitioned(workspace, key)]
    some = f"; partitioned are {', '.join(known[:10])}{' ...' if len(known) > 10 else ''}" if known else ""
    raise UsageError(f"partitions of which asset? write nbpipe partitions ASSET{some}")


@command.command("show", short_help="What `partitions ASSET` does.")
@click.argument("asset")
@click.pass_obj
def show(workspace: Workspace, asset: str) -> PartitionsFound:
    """Show how many partitions of an asset are missing, stale, failed ..., and which: what `partitions ASSET` does."""
    reference = parse_reference(asset)
    if reference.partition:
        raise UsageError(f"partitions shows all of them: leave out @{reference.partition}, or use nbpipe show {asset}")
    key = whole_asset(asset, "partitions").asset
    if key not in workspace.definitions.assets:
        _refuse_set(workspace, key)
    workspace.settle()
    return partitions_found(workspace, key, shown=None if current_surface().data else _SHOWN)


@command.command("add", short_help="Add keys to a dynamic set.")
@click.argument("name", metavar="SET")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.pass_obj
def add(workspace: Workspace, name: str, keys: tuple[str, ...]) -> KeysAdded:
    """Add keys to a dynamic set of partitions: the NAME in `dynamic:NAME`. A key that is there is left alone."""
    return add_keys(workspace, name, keys)


@command.command("delete", short_help="Delete keys from a dynamic set.")
@click.argument("name", metavar="SET")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.pass_obj
def delete(workspace: Workspace, name: str, keys: tuple[str, ...]) -> KeysDeleted:
    """Delete keys from a dynamic set of partitions. What is stored of them stays: adding them brings it back."""
    return delete_keys(workspace, name, keys)


def partitions_found(workspace: Workspace, asset: str, *, shown: int | None = None) -> PartitionsFound:
    """Return the partitions of an asset by status.

    Args:
        workspace: the project.
        asset: its key.
        shown: ranges of each status that are wanted; None: all.

    Raises:
        UnknownNameError: there is no such asset.
        UsageError: it has no partitions.
        DefinitionError: its declaration can't be used.
    """
    now, state = clock.now(), partition_state(workspace, asset)
    of, counts = state.of, state.counts
    ranges, more = _ranges(state, shown, now)
    return PartitionsFound(
        asset=asset,
        partitions=workspace.asset(asset).options.partitions or str(of),
        dimensions=tuple(
            DimensionRow(name=part.name, kind=_kind(part), spec=str(part), keys=part.count(now))
            for part in of.dimensions
        ),
        **{name: getattr(counts, name) for name in counts.__struct_fields__},
        ranges=ranges,
        more=msgspec.UNSET if shown is None else more,
    )


def _refuse_set(workspace: Workspace, name: str) -> None:
    """Refuse a dynamic set in the place of an asset, and name the assets whose keys it has."""
    users = dynamic_sets(workspace).get(name)
    if users:
        raise UsageError(
            f"{name} is a dynamic set of keys, not an asset: nbpipe partitions {users[0]} shows them; add and delete "
            f"some with nbpipe partitions add {name} KEY... and nbpipe partitions delete {name} KEY..."
        )


def _ranges(
    state: PartitionState, shown: int | None, now: datetime
) -> tuple[dict[str, tuple[str, ...]], dict[str, int]]:
    from nbpipe.core.partitions.ranges import iterate_ranges, parse_ranges
    from nbpipe.core.partitions.state import STATUSES

    ranges: dict[str, tuple[str, ...]] = {}
    more: dict[str, int] = {}
    for status in STATUSES:
        subset = state.subset(status)
        if not subset:
            continue
        texts = ranges[status] = tuple(islice(iterate_ranges(subset), shown))
        left = 0 if shown is None else len(subset - parse_ranges(subset.of, texts, now))
        if left:
            more[status] = left
    return ranges, more


def _kind(part: Dimension) -> Literal["time", "static", "dynamic"]:
    from nbpipe.core.partitions.sets import TimeDimension

    if isinstance(part, TimeDimension):
        return "time"
    return "dynamic" if part.source else "static"
