"""Who sees which name: the notebook's namespace, and the fresh one that each asset body gets."""

from __future__ import annotations

import builtins
import types
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nbpipe.core.keys import AMBIENT, INJECTED
from nbpipe.core.resolving.modules import STAR

_AMBIENT_HERE = ("get_ipython", "display", "In", "Out", "exit", "quit")


class NotebookNamespace:
    """The variables of a notebook, with a memory of which asset cell put which name there."""

    def __init__(self, names: dict[str, Any]) -> None:
        """Watch over `names`, the namespace of the shell."""
        self._names = names
        self._published: dict[str, dict[str, int]] = {}
        """By cell: the names, each with the identity of its object."""
        self._bound: set[str] = set()

    def body_names(self, visible: Collection[str], hidden: Collection[str]) -> dict[str, Any]:
        """Return the names of the notebook that a body sees.

        Args:
            visible: what setup cells above it bind. With `*` among them, which stands for names that no text shows,
                a body sees all names but those that are known to come from elsewhere.
            hidden: names that setup cells below it bind, and assets.
        """
        seen = {name: self._names[name] for name in (*_AMBIENT_HERE, *visible) if name in self._names}
        if STAR in visible:
            elsewhere = {*hidden, *self._bound, *(name for names in self._published.values() for name in names)}
            for name, value in self._names.items():
                if name not in elsewhere and not name.startswith("_"):
                    seen.setdefault(name, value)
        return seen

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
        self.unpublish(cell)
        self._names.update(own)
        self._published[cell] = {name: id(value) for name, value in own.items()}

    def unpublish(self, cell: str) -> None:
        """Remove what an earlier run of this cell published, unless somebody has bound the name since."""
        missing = object()
        for name, identity in self._published.pop(cell, {}).items():
            if id(self._names.get(name, missing)) == identity:
                del self._names[name]

    def disown(self, names: Iterable[str]) -> None:
        """Note that a plain cell has bound these names: they are the person's now."""
        for name in names:
            self._bound.discard(name)
            for published in self._published.values():
                published.pop(name, None)

    def published_by(self, name: str) -> str | None:
        """Return the asset cell that published a name, if one did."""
        return next((cell for cell, names in self._published.items() if name in names), None)

    def shows(self, name: str) -> bool:
        """Tell whether a name stands for what an asset cell made or storage gave, not for what a plain cell bound."""
        return name in self._bound or self.published_by(name) is not None

    def bind(self, name: str, value: Any) -> None:
        """Bind an asset's name in the notebook."""
        self._names[name] = value
        self._bound.add(name)

    def let_go(self, name: str) -> None:
        """Unbind an asset's name, unless somebody else has bound it since."""
        if name in self._bound:
            self._bound.discard(name)
            self._names.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def get(self, name: str) -> Any:
        """Return the value of a name, or None."""
        return self._names.get(name)


def body_module(names: Mapping[str, Any]) -> types.ModuleType:
    """Return a fresh `__main__` that holds these names: the namespace of one execution of a body."""
    module = types.ModuleType("__main__")
    vars(module).update(names, __builtins__=builtins)
    return module
