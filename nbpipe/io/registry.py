"""The I/O managers of a project: `files`, which keeps values in the project's storage, and those of `[io.NAME]`.

A manager is opened when it is first used: listing a project needs neither a secret nor a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nbpipe.core.definitions import DEFAULT_IO
from nbpipe.core.ports import IOManager
from nbpipe.errors import ConfigError, UnknownNameError, nearest
from nbpipe.io.files import FileIOManager
from nbpipe.io.formats.catalogue import FORMAT_NAMES
from nbpipe.io.memory import MemoryIOManager
from nbpipe.settings import redacted, resolve_secrets, secret_values

_KEYS: dict[str, dict[str, type]] = {
    "files": {"type": str, "url": str, "format": str, "options": dict},
    "memory": {"type": str, "format": str},
}


class IoRegistry(Mapping[str, IOManager]):
    """I/O managers by name."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]], *, storage: str, root: Path, env: str) -> None:
        self._tables = {DEFAULT_IO: {"type": "files"}, **tables}
        self._storage, self._root, self._env = storage, root, env
        self._open: dict[str, IOManager] = {}

    def __getitem__(self, name: str) -> IOManager:
        """Return a manager, opening it if need be.

        Raises:
            KeyError: an `UnknownNameError` tells people more, see `manager`.
        """
        if name not in self._tables:
            raise KeyError(name)
        if name not in self._open:
            self._open[name] = self._make(name, self._tables[name])
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def manager(self, name: str | None) -> IOManager:
        """Return the manager of a name; None: the default one.

        Raises:
            UnknownNameError: nothing of this name is configured.
            ConfigError: it refers to an environment variable that is not set, or its file system is not installed.
        """
        name = name or DEFAULT_IO
        if name not in self._tables:
            hint = f"declare it as [io.{name}] in nbpipe.toml"
            raise UnknownNameError("I/O manager", name, self._tables, hint=hint)
        return self[name]

    def _make(self, name: str, table: Mapping[str, Any]) -> IOManager:
        only = table.get("format")
        if table.get("type", "files") == "memory":
            return MemoryIOManager(name, env=self._env, only=only)
        url = resolve_secrets(table.get("url", self._storage))
        secrets = secret_values([table, self._storage])
        try:
            options = _resolved(table.get("options", {}))
            return FileIOManager(name, url, env=self._env, root=self._root, only=only, options=options, secrets=secrets)
        except (ImportError, ValueError) as error:
            where = f"io.{name}.url" if "url" in table else "storage"
            message = f"nbpipe.toml: {where} = {table.get('url', self._storage)!r} can't be opened: {error}"
            raise ConfigError(redacted(message, secrets)) from error


def open_io(tables: Mapping[str, Mapping[str, Any]], *, storage: str, root: str | Path, env: str) -> IoRegistry:
    """Return the I/O managers of a project; nothing is touched yet.

    Args:
        tables: the `[io.NAME]` tables: `type` (`files`, the default, or `memory`), `url` (default: `storage`),
            `format` (keep every value in this format), `options` (arguments of the fsspec file system).
        storage: path relative to the root, or fsspec URL; may hold `${NAME}` references, as may `url` and `options`.
        root: the project's root.
        env: the environment.

    Raises:
        ConfigError: an unknown type, key or format, or a wrong type of a value.
    """
    for name, table in tables.items():
        _check(name, table)
    return IoRegistry(tables, storage=storage, root=Path(root), env=env)


def _check(name: str, table: Mapping[str, Any]) -> None:
    kind = table.get("type", "files")
    if kind not in _KEYS:
        raise ConfigError(_wrong(f"io.{name}.type", kind, "type of I/O manager", _KEYS))
    for key, value in table.items():
        if key not in _KEYS[kind]:
            raise ConfigError(_wrong(f"io.{name}", key, f"key of an I/O manager of type {kind!r}", _KEYS[kind]))
        wanted = _KEYS[kind][key]
        if not isinstance(value, wanted if wanted is not dict else Mapping):
            found, right = type(value).__name__, {"str": "text", "dict": "a table"}[wanted.__name__]
            message = f"nbpipe.toml: io.{name}.{key} must be {right}, not {found}"
            raise ConfigError(message)
    if table.get("format", "json") not in FORMAT_NAMES:
        raise ConfigError(_wrong(f"io.{name}.format", table["format"], "format", FORMAT_NAMES))


def _wrong(where: str, found: object, what: str, known: Any) -> str:
    near = nearest(str(found), known)
    remedy = f"did you mean {near!r}?" if near else f"use one of {', '.join(known)}"
    return f"nbpipe.toml: {where}: {found!r} is no {what}: {remedy}"


def _resolved(value: Any) -> Any:
    if isinstance(value, str):
        return resolve_secrets(value)
    if isinstance(value, Mapping):
        return {key: _resolved(part) for key, part in value.items()}
    return [_resolved(part) for part in value] if isinstance(value, list) else value
