"""Removes what is old from the tables, a little at a time. See `AutomationStore.prune`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nbpipe.core.automation.records import Source
from nbpipe.storage import codec
from nbpipe.storage import retention_queries as queries
from nbpipe.storage.database import Database, Transaction
from nbpipe.storage.dialects import Statement
from nbpipe.storage.outcomes import KEPT_EVENTS

_BATCH = 5_000


class Examined(NamedTuple):
    """Which events need not be read again."""

    upto: int = 0
    newer: Mapping[int, int] = {}
    """Moments of those before that were too new then, by their numbers."""


class SqlRetention:
    """Removes what is old of one environment; each call is one short transaction that is checked first."""

    def __init__(self, database: Database, env: str, check: Callable[[Transaction], None]) -> None:
        self._database = database
        self._env = env
        self._check = check
        self._removers = {
            "ticks": self._ticks,
            "run_keys": self._keys,
            "runs": self._runs,
            "backfills": self._backfills,
        }

    def prune(self, kind: str, before: int, limit: int, *, of: tuple[Source, str] | None = None) -> int:
        """Remove one kind but events, ticks perhaps of one source and name; return how many rows."""
        given: dict[str, Any] = {"of_env": self._env, "before": before, "limit": limit}
        with self._database.write() as transaction:
            self._check(transaction)
            if kind == "ticks" and of is not None:
                return transaction.run(queries.remove_ticks_of, **given, of_source=of[0], of_name=of[1])
            return self._removers[kind](transaction, given)

    def prune_events(self, before: int, limit: int, seen: Examined) -> tuple[int, Examined]:
        """Remove events; return how many rows, and what need not be read again.

        Those that stay are passed over only once, by reading transactions: nobody waits meanwhile.
        """
        chosen = [number for number, at in seen.newer.items() if at < before][:limit]
        newer = {number: at for number, at in seen.newer.items() if number not in chosen}
        upto, more = seen.upto, True
        while more and len(chosen) < limit:
            upto, more = self._examine(before, limit, upto, chosen, newer)
        with self._database.write() as transaction:
            self._check(transaction)
            removed = transaction.run(queries.remove_events, ids=codec.encode_text(list(map(str, chosen))))
        if removed < len(chosen):  # the newest one of all stays for now
            newer[max(chosen)] = before - 1
        return removed, Examined(upto, newer)

    def _examine(
        self, before: int, limit: int, upto: int, chosen: list[int], newer: dict[int, int]
    ) -> tuple[int, bool]:
        """Choose some events to be removed; return up to which one it looked, and whether there may be more.

        Moments grow with numbers, unless a clock was set: what is newer than one after it is looked at again later.
        """
        with self._database.read() as transaction:
            found = transaction.all(queries.select_some_events, after=upto, limit=_BATCH)
        mine = [(number, kind, at) for number, env, kind, at in found if env == self._env]
        last = max((number for number, _, at in mine if at < before), default=0)
        if mine and not last:
            return upto, False
        for number, kind, at in mine:
            if number > last or len(chosen) == limit:
                return upto, number <= last
            upto = number
            if at >= before:
                newer[number] = at
            elif kind not in KEPT_EVENTS:
                chosen.append(number)
        return (found[-1][0], True) if found else (upto, False)

    def _ticks(self, transaction: Transaction, given: dict[str, Any]) -> int:
        return transaction.run(queries.remove_ticks, **given)

    def _keys(self, transaction: Transaction, given: dict[str, Any]) -> int:
        return transaction.run(queries.remove_keys, **given)

    def _runs(self, transaction: Transaction, given: dict[str, Any]) -> int:
        """Remove runs with all their parts; of one that has very many places only some of these."""
        limit = given["limit"]
        found: dict[str, int] = dict(transaction.all(queries.select_old_runs, **given))
        counted = transaction.all(queries.count_places, ids=codec.encode_text(list(found)))
        places = {run: (count, first) for run, count, first in counted}
        chosen: list[str] = []
        rows = 0
        for run in found:
            count, first = places.get(run, (0, 0))
            if not chosen and count > limit:
                return transaction.run(queries.remove_some_places, run=run, upto=first + limit)
            rows += 1 + count
            if rows > limit and chosen:
                break
            chosen.append(run)
        removed = self._remove(transaction, queries.RUN_PARTS, chosen)
        queued = codec.encode_text([str(found[run]) for run in chosen])
        return removed + transaction.run(queries.remove_events, ids=queued)

    def _backfills(self, transaction: Transaction, given: dict[str, Any]) -> int:
        removed = 0
        for (backfill,) in transaction.all(queries.select_old_backfills, **given):
            removed += self._remove(transaction, queries.BACKFILL_PARTS, [backfill])
            if removed >= given["limit"]:
                break
        return removed

    @staticmethod
    def _remove(transaction: Transaction, parts: tuple[Statement, ...], ids: list[str]) -> int:
        listed = codec.encode_text(ids)
        return sum(transaction.run(part, ids=listed) for part in parts) if ids else 0
