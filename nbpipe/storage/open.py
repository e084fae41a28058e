"""From a URL to a state store."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from nbpipe import settings
from nbpipe.core.ports import StateStore
from nbpipe.errors import ConfigError
from nbpipe.storage.sql import SqlStateStore
from nbpipe.storage.versions import prepare


def open_store(url: str, *, root: Path) -> StateStore:
    """Open a state store, creating it if need be.

    Args:
        url: in SQLAlchemy's form: `sqlite:///path/relative/to/the/root`, `sqlite:////absolute/path` or
            `postgresql://user:${PASSWORD}@host/database`; `${NAME}` is an environment variable.
        root: folder of the project.

    Raises:
        ConfigError: the URL can't be read, or is of a database that nbpipe does not know.
        StateSchemaError: the store was written by a newer nbpipe.
        StateError: the store can't be opened.
    """
    try:
        parsed = sa.make_url(settings.resolve_secrets(url))
    except sa.exc.ArgumentError:  # its message may hold the password
        raise ConfigError(f"state = {url!r} is not a URL: write for example sqlite:///.nbpipe/state.db") from None
    match parsed.get_backend_name():
        case "sqlite":
            return _open_sqlite(parsed, url, root)
        case "postgresql":
            return _open_postgresql(parsed)
        case other:
            raise ConfigError(f"state = {url!r}: nbpipe keeps its state in sqlite or postgresql, not in {other!r}")


def _open_sqlite(parsed: sa.URL, url: str, root: Path) -> StateStore:
    from nbpipe.storage.sqlite import SQLiteDatabase

    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError(f"state = {url!r} names no file: write for example sqlite:///.nbpipe/state.db")
    return SqlStateStore(SQLiteDatabase(root.resolve() / parsed.database, prepare=prepare))


def _open_postgresql(parsed: sa.URL) -> StateStore:
    try:
        from nbpipe.storage.postgresql import PostgreSQLDatabase
    except ImportError as error:
        raise ConfigError(
            f"state is in PostgreSQL, but its driver is not installed ({error}): "
            f"pip install 'jupyterlab-nbpipe[postgresql]'"
        ) from error
    return SqlStateStore(PostgreSQLDatabase(parsed, prepare=prepare))
