"""Modules of the project that this kernel has imported, and whether their files have changed since.

Python imports a module once. A cell that reaches a changed one would execute the old code and be recorded with
the new one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from IPython.core.interactiveshell import InteractiveShell

from nbpipe.core.definitions import AssetSpec
from nbpipe.errors import RefusedError
from nbpipe.loading.stamps import Stamp

_FOREIGN = ("site-packages", "dist-packages")


class _Loaded(NamedTuple):
    file: Path
    spec: Any
    """Python makes a new one when it loads the module again."""
    stamp: Stamp | None


class LoadedModules:
    """Remembers the state of each file when its module was loaded."""

    def __init__(self, root: Path, shell: InteractiveShell) -> None:
        """Watch over modules below `root`."""
        self._root = root
        self._shell = shell
        self._seen: set[str] = set()
        self._loaded: dict[str, _Loaded] = {}

    def look(self) -> None:
        """Take note of what was imported or reloaded since the last call."""
        for name in [name for name in sys.modules if name not in self._seen]:
            self._seen.add(name)
            self._take(name)
        for name, loaded in list(self._loaded.items()):
            module = sys.modules.get(name)
            if module is None:
                del self._loaded[name]
                self._seen.discard(name)
            elif getattr(module, "__spec__", None) is not loaded.spec:
                self._take(name)

    def refuse_changed(self, specs: Iterable[AssetSpec]) -> None:
        """Refuse to execute assets that reach a module whose file is not what was imported.

        Raises:
            RefusedError: names the module and what to do.
        """
        if _reloads(self._shell):
            return
        reached = {label.partition(":")[2] for spec in specs for label, _ in spec.code if label.startswith("module:")}
        for name, loaded in sorted(self._loaded.items()):
            uses = any(label == name or label.startswith(f"{name}.") for label in reached)
            if uses and _stamp(loaded.file) != loaded.stamp:
                raise RefusedError(
                    f"{loaded.file.relative_to(self._root).as_posix()} changed since this kernel imported it, so the "
                    "cell would execute its old code: restart the kernel, or put `%load_ext autoreload` and "
                    "`%autoreload 2` into the first cell"
                )

    def _take(self, name: str) -> None:
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py"):
            return
        path = Path(file)
        if path.is_relative_to(self._root) and not any(part in _FOREIGN for part in path.parts):
            self._loaded[name] = _Loaded(path, getattr(module, "__spec__", None), _stamp(path))


def _reloads(shell: InteractiveShell) -> bool:
    """Tell whether `%autoreload` keeps modules up to date."""
    magics = shell.magics_manager.registry.get("AutoreloadMagics")
    return bool(getattr(getattr(magics, "_reloader", None), "enabled", False))


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path.stat())
    except OSError:
        return None
