"""Looks at a state store's file without changing it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from nbpipe import settings

_MOST = 5


def damage(url: str, *, root: Path) -> tuple[str, ...]:
    """Return what SQLite finds wrong in the file of a state store, at most a few lines; nothing for other databases.

    Args:
        url: as `open_store` takes it; the store was opened before.
        root: folder of the project.
    """
    parsed = sa.make_url(settings.resolve_secrets(url))
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return ()
    file = root.resolve() / parsed.database
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            lines = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_MOST})")]
    except sqlite3.Error as error:
        return (str(error),)
    return () if lines == ["ok"] else tuple(lines)
