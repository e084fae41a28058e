"""Backfills as rows, and back."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nbpipe.core.backfills.records import PARTS, Backfill, Portion
from nbpipe.core.partitions.subsets import families_from_bytes, families_to_bytes
from nbpipe.storage import codec
from nbpipe.storage.database import Row


def counted(backfill: Backfill, portions: Mapping[str, Portion]) -> Backfill:
    """Return a backfill about to be created with the counts of its portions, as a database would give it back."""
    counts = dict.fromkeys(("total", *PARTS), 0)
    for portion in portions.values():
        for name, number in portion.counts.items():
            counts[name] += number
    new = Backfill(
        id=backfill.id,
        env=backfill.env,
        selection=codec.clean(backfill.selection),
        partitions=codec.clean(backfill.partitions),
        assets=tuple(portions),
        parameters=codec.jsonable(backfill.parameters),
        created_at=codec.moment(codec.stamp(backfill.created_at)),
    )
    return msgspec.structs.replace(new, **counts)


def ordered(backfill: Backfill, requested: Mapping[str, Portion]) -> dict[str, Portion]:
    """Return the portions of a backfill about to be created in the order of its assets; others come last."""
    names = dict.fromkeys((*backfill.assets, *requested))
    return {name: requested.get(name, Portion(requested={})).compact() for name in names}


def columns(backfill: Backfill) -> dict[str, object]:
    """Return the columns of a new backfill."""
    return {
        **{name: getattr(backfill, name) for name in ("id", "env", "status", "selection", "partitions", "total")},
        **{name: getattr(backfill, name) for name in PARTS},
        "assets": codec.encode_text(backfill.assets),
        "parameters": codec.encode_text(backfill.parameters),
        "created_at": codec.stamp(backfill.created_at),
        "started_at": None,
        "ended_at": None,
        "error": None,
        "cancel_requested": 0,
        "worker": None,
    }


def backfill(row: Row) -> Backfill:
    """Read a row of the table `backfills`."""
    (number, env, status, selection, partitions, names, parameters, total, *counts) = row[:12]
    created_at, started_at, ended_at, error, cancel_requested, worker = row[12:]
    done, failed, skipped, lost = counts
    return Backfill(
        id=number,
        env=env,
        status=status,
        selection=selection,
        partitions=partitions,
        assets=codec.decode_names(names),
        parameters=codec.decode_mapping(parameters),
        total=total,
        done=done,
        failed=failed,
        skipped=skipped,
        lost=lost,
        created_at=codec.moment(created_at),
        started_at=codec.moment_or_none(started_at),
        ended_at=codec.moment_or_none(ended_at),
        error=error,
        cancel_requested=bool(cancel_requested),
        worker=codec.decode_worker(worker),
    )


def portion_columns(backfill_id: str, asset: str, portion: Portion) -> dict[str, object]:
    """Return the columns of a portion but its position."""
    contents = {name: families_to_bytes(getattr(portion, name)) for name in ("requested", *PARTS)}
    return {"backfill_id": backfill_id, "asset": asset, **contents}


def changes(old: Portion, new: Portion) -> dict[str, bytes | None]:
    """Return the values of `backfill_queries.change_portion`: None for what is as before."""
    parts = ((name, getattr(old, name), getattr(new, name)) for name in PARTS)
    return {f"new_{name}": None if before == after else families_to_bytes(after) for name, before, after in parts}


def portion(row: Row) -> tuple[str, Portion]:
    """Read a row of `backfill_queries.select_portions`: the asset and the portion."""
    asset, *contents = row
    requested, done, failed, skipped, lost = (families_from_bytes(bytes(content)) for content in contents)
    return asset, Portion(requested=requested, done=done, failed=failed, skipped=skipped, lost=lost)
