"""What positions stand for: facts are kept by position, so they fit only sets that give positions the same meaning.

A longer set, an earlier start, another zone and other static keys keep the layout; another grain or cron expression,
listed keys of another kind or name, and more, fewer or other dimensions do not.
"""

from __future__ import annotations

from datetime import datetime

from nbpipe.core.partitions.chunks import is_used
from nbpipe.core.partitions.sets import Dimension, PartitionSet, TimeDimension, registry_name
from nbpipe.core.ports.partitions import PartitionStore
from nbpipe.errors import RefusedError

_NAME = "positions stand for"
"""Where the layout is kept among registered keys; with its blanks it is the name of no dimension."""


def layout_of(of: PartitionSet) -> str:
    """Return a text that is the same for sets whose positions mean the same.

    Names count where two dimensions are alike.
    """
    kinds = [_kind(part) for part in of.dimensions]
    named = len(set(kinds)) < len(kinds)
    parts = zip(of.dimensions, kinds, strict=True)
    return " x ".join(f"{part.name}={kind}" if named else kind for part, kind in parts)


def kept_layout(store: PartitionStore, env: str, asset: str) -> str | None:
    """Return the layout by which partitions of an asset are stored; None before anything is."""
    kept = store.keys(env, _NAME, asset=asset)
    return next((key for key in reversed(kept.keys) if key in kept), None)


def check_layout(store: PartitionStore, env: str, asset: str, of: PartitionSet) -> bool:
    """Refuse partitions to which what is stored does not belong; return whether the layout is the one that is kept.

    Raises:
        RefusedError: something is stored by another layout.
    """
    kept, wanted = kept_layout(store, env, asset), layout_of(of)
    if kept is None or kept == wanted:
        return kept == wanted
    if is_used(store.facts(env, asset)):
        raise _refusal(asset, kept, wanted)
    return False


def keep_layout(store: PartitionStore, env: str, asset: str, of: PartitionSet, *, at: datetime) -> None:
    """Keep the layout by which partitions of an asset are stored from now on; what is stored fits, or nothing is.

    Raises:
        RefusedError: another process has begun with another layout meanwhile.
    """
    kept, wanted = kept_layout(store, env, asset), layout_of(of)
    if kept == wanted:
        return
    now = store.choose_key(env, _NAME, wanted, instead_of=kept, at=at, asset=asset)
    if now != wanted:
        raise _refusal(asset, now or "none", wanted)


def _refusal(asset: str, kept: str, wanted: str) -> RefusedError:
    return RefusedError(
        f"what is stored of {asset} belongs to other partitions ({kept}) than it has now ({wanted}): undo that "
        f"change, give the asset a new name, or forget what is stored with `nbpipe wipe {asset}`"
    )


def _kind(part: Dimension) -> str:
    if isinstance(part, TimeDimension):
        return part.grain.name
    return f"dynamic:{part.source}" if part.source else f"static {registry_name(part)}".rstrip()
