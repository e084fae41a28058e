"""Values as files in a folder, or in any file system that fsspec knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nbpipe.io.places import LocalPlace, Place, RemotePlace
from nbpipe.io.values import ValueIOManager

_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
_LOCAL = ("file://", "local://")


class FileIOManager(ValueIOManager):
    """Keeps values as files below a URL.

    Args:
        name: as in `--io NAME` and `[io.NAME]`.
        url: a path (relative to `root`) or an fsspec URL, without `${...}` references.
        env: the environment whose files `sweep` looks at.
        root: the project's root.
        only: the one format to use, None for the best one.
        options: arguments of the fsspec file system.
        secrets: what `url` and `options` hold and no message may.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        env: str,
        root: Path,
        only: str | None = None,
        options: Mapping[str, Any] = _NO_OPTIONS,
        secrets: tuple[str, ...] = (),
    ) -> None:
        super().__init__(name, _open_place(name, url, root, options), env=env, only=only, secrets=secrets)


def _open_place(name: str, url: str, root: Path, options: Mapping[str, Any]) -> Place:
    local = next((url.removeprefix(scheme) for scheme in _LOCAL if url.startswith(scheme)), None)
    if local is None and "://" not in url and "::" not in url:
        local = url
    if local is not None:
        return LocalPlace((root / Path(local).expanduser()).absolute())
    return RemotePlace(url, options, root / ".nbpipe" / "cache" / name)
