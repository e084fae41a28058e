"""What the parts of the SQL store share: its database, the history, and the numbers of assets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from nbpipe.core.records import ACTIVE_RUN, Outcome
from nbpipe.storage import asset_queries, codec, run_queries
from nbpipe.storage.database import Database, Transaction
from nbpipe.storage.outcomes import ASSET_EVENTS


class Happening(NamedTuple):
    """An event about to be written."""

    env: str
    kind: str
    asset_id: int | None = None
    partition: str | None = None
    run_id: str | None = None
    data: Mapping[str, object] = {}

    def values(self, at: datetime) -> dict[str, object]:
        """Return its columns."""
        return {**self._asdict(), "at": codec.stamp(at), "data": codec.encode_text(self.data)}


class SqlPart:
    """A part of the state store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def _note(transaction: Transaction, happening: Happening, at: datetime) -> int:
        """Append an event; return its number."""
        return transaction.number(run_queries.add_event, **happening.values(at))

    @staticmethod
    def _asset(transaction: Transaction, env: str, name: str) -> int:
        """Return the number of an asset, which may be new."""
        row = transaction.one(asset_queries.find_asset, env=env, name=name)
        if row is None:
            transaction.run(asset_queries.add_assets, env=env, name=name)
            row = transaction.one(asset_queries.find_asset, env=env, name=name)
        assert row is not None  # noqa: S101 - it was inserted within this transaction
        return int(row[0])

    @staticmethod
    def _assets(transaction: Transaction, env: str, names: Iterable[str]) -> dict[str, int]:
        """Return the numbers of assets, some of which may be new."""
        names = list(dict.fromkeys(names))
        transaction.many(asset_queries.add_assets, ({"env": env, "name": name} for name in names))
        return dict(transaction.all(asset_queries.find_assets, env=env, names=codec.encode_text(names)))

    @staticmethod
    def _status(transaction: Transaction, run_id: str) -> tuple[str, str] | None:
        """Return status and environment of a run, or None if there is no such run."""
        row = transaction.one(run_queries.select_status, run=run_id)
        return None if row is None else (row[0], row[1])

    def _set_outcomes(
        self,
        transaction: Transaction,
        run_id: str,
        names: Iterable[str],
        outcome: Outcome,
        *,
        at: datetime,
        partition: str = "",
        error: str | None = None,
        version: int | None = None,
        silent: bool = False,
    ) -> None:
        """Set outcomes within an active run; in one that has ended they stay."""
        status = self._status(transaction, run_id)
        if status is None or status[0] not in ACTIVE_RUN:
            return
        listed = codec.encode_text(list(names))
        found = transaction.all(run_queries.select_outcomes, run=run_id, names=listed, part=partition)
        for asset_id, part, old in found:
            transaction.run(
                run_queries.set_outcome,
                run=run_id,
                asset=asset_id,
                part=part,
                new=outcome,
                number=version,
                message=error,
            )
            if old != outcome and not silent:
                kind = ASSET_EVENTS[outcome]
                data = {"error": error} if error else {}
                self._note(transaction, Happening(status[1], kind, asset_id, part, run_id, data), at)
