"""Values of assets inside one kernel: read from storage, or handed on where that can't be told apart."""

from __future__ import annotations

from typing import Any

from nbpipe.core.ports import StateStore
from nbpipe.core.records import Materialization
from nbpipe.errors import MissingValueError
from nbpipe.io.registry import IoRegistry
from nbpipe.io.sharing import share


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
        self._remembered: dict[str, tuple[int, Any]] = {}

    def load(self, materialization: Materialization) -> Any:
        """Return the value of a materialization.

        Raises:
            MissingValueError: retention removed it, or its file is gone.
        """
        remembered = self._remembered.get(materialization.asset)
        if remembered is not None and remembered[0] == materialization.id:
            return share(remembered[1])
        if materialization.expired:
            raise MissingValueError(
                f"version {materialization.version} of asset {materialization.asset} was removed by retention: "
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
        for last in (False, True):
            found = self._store.materialization(self._env, asset, version=version)
            if found is None:
                raise MissingValueError(_never(asset, version, reader))
            try:
                return found, self.load(found)
            except MissingValueError:
                # A newer value may have been committed, and this one removed, since we asked.
                newer = self._store.materialization(self._env, asset, version=version)
                if last or newer is None or newer.id == found.id:
                    raise
        raise MissingValueError(_never(asset, version, reader))

    def remember(self, materialization: Materialization, value: Any) -> None:
        """Keep a copy of a value just committed, if it may be handed on."""
        if self._io.manager(materialization.stored.io).shareable(value, materialization.stored):
            self._remembered[materialization.asset] = (materialization.id, share(value))
        else:
            self._remembered.pop(materialization.asset, None)


def _never(asset: str, version: int | None, reader: str | None) -> str:
    if version is not None:
        return f"asset {asset} has no version {version}: `nbpipe show {asset}` lists its versions"
    needed = f", which asset {reader} reads," if reader else ""
    return f"asset {asset}{needed} has never been materialized: run its cell, or `%materialize {asset}`"
