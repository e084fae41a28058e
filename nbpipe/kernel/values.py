"""Values of assets inside one kernel: read from storage, or handed on where that can't be told apart."""

from __future__ import annotations

import shlex
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nbpipe.core.ports import StateStore
from nbpipe.core.records import Materialization
from nbpipe.errors import MissingValueError
from nbpipe.io.registry import IoRegistry
from nbpipe.io.sharing import share

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.sets import Position

_PARTITIONS_KEPT = 32
"""Values of one asset that are remembered; the last one of many is what is read next."""
_NAMED = 10
"""So many versions are named."""


class Values:
    """Loads current values; remembers those that may be handed on without reading them again.

    What is remembered is a copy of its own, taken at commit: a person's variable is never the object that
    an asset body receives, and each body gets a copy of its own.
    """

    def __init__(self, store: StateStore, io: IoRegistry, env: str) -> None:
        """Read the values of one environment."""
        self._store = store
        self._io = io
        self._env = env
        self._remembered: OrderedDict[tuple[str, str], tuple[int, Any]] = OrderedDict()

    def load(self, materialization: Materialization) -> Any:
        """Return the value of a materialization.

        Raises:
            MissingValueError: retention removed it, or its file is gone.
        """
        remembered = self._remembered.get((materialization.asset, materialization.partition))
        if remembered is not None and remembered[0] == materialization.id:
            return share(remembered[1])
        if materialization.expired:
            name = label(materialization.asset, materialization.partition)
            raise MissingValueError(
                f"version {materialization.version} of asset {name} was removed by retention: "
                "load a newer version, or materialize it again"
            )
        stored = materialization.stored
        return self._io.manager(stored.io).load(stored)

    def load_current(
        self, asset: str, *, version: int | None = None, reader: str | None = None
    ) -> tuple[Materialization, Any]:
        """Return the current materialization of an asset (or one of its versions) and its value.

        Args:
            asset: its name.
            version: None for the current one.
            reader: the asset that needs it, to be named in an error.

        Raises:
            MissingValueError: it was never materialized, or has no such version.
        """
        found = self._loaded(lambda: self._store.materialization(self._env, asset, version=version))
        if found is None:
            if version is not None:
                raise no_version(f"asset {asset}", version, self._store.history(self._env, asset, limit=_NAMED + 1))
            raise MissingValueError(_never(asset, reader))
        return found

    def load_partition(
        self, asset: str, key: str, position: Position, *, version: int | None = None, reader: str | None = None
    ) -> tuple[Materialization, Any]:
        """Return the current materialization of a partition (or one of its versions) and its value.

        Args:
            asset: its name.
            key: of the partition.
            position: of the partition in its set.
            version: None for the current one.
            reader: what needs it, to be named in an error.

        Raises:
            MissingValueError: it was never materialized, or has no such version.
        """
        kept = self._store.partitions
        found = self._loaded(lambda: kept.materialization(self._env, asset, key, position, version=version))
        if found is None:
            if version is not None:
                name = label(asset, key)
                raise no_version(name, version, kept.history(self._env, asset, key, position, limit=_NAMED + 1))
            raise MissingValueError(missing_partitions(asset, key, 1, key, reader))
        return found

    def load_kept(self, asset: str, *, reader: str) -> tuple[Materialization, Any]:
        """Do what `load_current` does, and remember the value if it may be handed on: it is asked for many times."""
        found, value = self.load_current(asset, reader=reader)
        if self._remembered.get((asset, ""), (None,))[0] != found.id:
            self.remember(found, value)
        return found, value

    def remember(self, materialization: Materialization, value: Any) -> None:
        """Keep a copy of a value just committed, if it may be handed on."""
        place = (materialization.asset, materialization.partition)
        self._remembered.pop(place, None)
        if self._io.manager(materialization.stored.io).shareable(value, materialization.stored):
            self._remembered[place] = (materialization.id, share(value))
            if materialization.partition:
                self._forget_some(materialization.asset)

    def _loaded(self, ask: Callable[[], Materialization | None]) -> tuple[Materialization, Any] | None:
        for last in (False, True):
            found = ask()
            if found is None:
                return None
            try:
                return found, self.load(found)
            except MissingValueError:
                # A newer value may have been committed, and this one removed, since we asked.
                newer = ask()
                if last or newer is None or newer.id == found.id:
                    raise
        return None

    def _forget_some(self, asset: str) -> None:
        """Keep a few partitions of an asset: those committed last."""
        kept = [place for place in self._remembered if place[0] == asset]
        for place in kept[:-_PARTITIONS_KEPT]:
            del self._remembered[place]


def label(asset: str, key: str) -> str:
    """Return how a value is named.

    >>> label("orders", "2024-01-01"), label("orders", "")
    ('orders@2024-01-01', 'orders')
    """
    return f"{asset}@{key}" if key else asset


def quoted(text: str) -> str:
    """Return a word of a command line, in quotes if it has special characters."""
    return shlex.quote(text)


def missing_partitions(asset: str, first: str, number: int, chosen: str, reader: str | None) -> str:
    """Say which partitions have no value, who needs them, and the command that makes them.

    Args:
        asset: theirs.
        first: key of the first of them.
        number: how many there are.
        chosen: a key or range for the command.
        reader: what needs them.
    """
    more = f" (and {number - 1:,} more)" if number > 1 else ""
    needed = f", which {reader} reads," if reader else ""
    has, them = ("have", "them") if number > 1 else ("has", "it")
    command = f"`%materialize {asset} --partitions {quoted(chosen)}`"
    return f"{label(asset, first)}{more}{needed} {has} no value: {command} makes {them}"


def no_version(name: str, version: int, known: Sequence[Materialization]) -> MissingValueError:
    """Return the error for a version that a value does not have; it names those that there are.

    Args:
        name: of the value.
        version: that it does not have.
        known: those that it has, newest first; of many, the newest.
    """
    numbers = [str(each.version) for each in known[:_NAMED]]
    more = ", ..." if len(known) > _NAMED else ""
    has = f"it has {', '.join(numbers)}{more}" if numbers else "it was never materialized"
    return MissingValueError(f"{name} has no version {version}: {has}")


def _never(asset: str, reader: str | None) -> str:
    needed = f", which asset {reader} reads," if reader else ""
    return f"asset {asset}{needed} has never been materialized: run its cell, or `%materialize {asset}`"
