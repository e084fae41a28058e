"""Who sees which name: the notebook's namespace, and the fresh one that each asset body gets."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping
from typing import Any

from nbpipe.core.keys import AMBIENT, INJECTED

_AMBIENT_HERE = ("get_ipython", "display", "In", "Out", "exit", "quit")


class NotebookNamespace:
    """The variables of a notebook, with a memory of which asset cell put which name there."""

    def __init__(self, names: dict[str, Any]) -> None:
        """Watch over `names`, the namespace of the shell."""
        self._names = names
        self._published: dict[str, frozenset[str]] = {}

    def body_namespace(self, visible: Collection[str], injected: Mapping[str, Any]) -> dict[str, Any]:
        """Return a fresh namespace for a body: setup names that exist, and what nbpipe binds."""
        namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        for name in (*_AMBIENT_HERE, *visible):
            if name in self._names:
                namespace[name] = self._names[name]
        namespace.update(injected)
        return namespace

    def publish(
        self, cell: str, namespace: Mapping[str, Any], before: Mapping[str, Any], protected: Collection[str]
    ) -> None:
        """Show the names that a body bound in the notebook, except protected ones.

        Args:
            cell: names the asset cell; what it published earlier and does not bind any more is removed.
            namespace: the body's namespace after it ran.
            before: what was in it when it started.
            protected: names of setup and parameters cells, resources and other assets.
        """
        missing = object()
        own = {
            name: value
            for name, value in namespace.items()
            if before.get(name, missing) is not value
            and not name.startswith("__")
            and name not in INJECTED
            and name not in protected
            and name not in AMBIENT
        }
        self.unpublish(cell, keep=own)
        self._names.update(own)
        self._published[cell] = frozenset(own)

    def unpublish(self, cell: str, keep: Collection[str] = ()) -> None:
        """Remove what an earlier run of this cell published."""
        for name in self._published.pop(cell, frozenset()):
            if name not in keep:
                self._names.pop(name, None)

    def published_by(self, name: str) -> str | None:
        """Return the asset cell that published a name, if one did."""
        return next((cell for cell, names in self._published.items() if name in names), None)

    def bind(self, name: str, value: Any) -> None:
        """Bind an asset's name in the notebook."""
        self._names[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def get(self, name: str) -> Any:
        """Return the value of a name, or None."""
        return self._names.get(name)
