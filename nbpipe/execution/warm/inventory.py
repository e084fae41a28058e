"""Notice that the environment of a warm process is not the one any more that it has imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Folders that change when something is installed or removed.
_INSTALLED = ("site-packages", "dist-packages")


class Inventory:
    """The files that modules were imported from, and the folders of installed packages."""

    def __init__(self) -> None:
        """Take note of what is imported now."""
        self._seen: dict[str, int] = {}
        self.extend()

    def extend(self) -> None:
        """Take note of what was imported since."""
        modules = [module for name, module in list(sys.modules.items()) if not _is_python(name)]
        files = {str(getattr(module, "__file__", None) or "") for module in modules}
        folders = {folder for folder in sys.path if Path(folder).name in _INSTALLED}
        for path in sorted((files | folders) - self._seen.keys()):
            if Path(path).is_absolute():
                self._seen[path] = _changed(path)

    def difference(self) -> str:
        """Return the path of something that has changed since, or nothing."""
        return next((path for path, seen in self._seen.items() if _changed(path) != seen), "")


def _is_python(name: str) -> bool:
    """Tell whether a module comes with Python, whose files don't change while it is used."""
    return name.partition(".")[0] in sys.stdlib_module_names


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - thousands of them, before each fork
    except OSError:
        return 0
