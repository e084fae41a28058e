"""SQLite: one file, several writing processes.

Each process keeps two connections open: one writes, one reads, so that readers never wait for writers. An idle
open connection also keeps SQLite from emptying and deleting the write-ahead log after each command.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from nbpipe import clock
from nbpipe.errors import StateBusyError, StateError
from nbpipe.storage.database import Transaction, Watch
from nbpipe.storage.dialects import sqlite_dialect
from nbpipe.storage.filesystems import claim_for_this_host, is_network
from nbpipe.storage.signals import Signal

BUSY_SECONDS = 30.0
POLL_SECONDS = 0.1
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1
_OLDEST = (3, 35, 0)

_databases: weakref.WeakSet[SQLiteDatabase] = weakref.WeakSet()
_inherited: list[object] = []
"""What belongs to the parent process. Its connections must be neither used nor closed here: they are kept for ever."""

_REMEDIES = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing was changed. Free some space (`nbpipe gc` helps) and try again",
    sqlite3.SQLITE_READONLY: "it can't be written. Make the file and its folder writable, or set `state`",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened. Make its folder exist and writable, or set `state`",
    sqlite3.SQLITE_PERM: "access is denied. Make the file and its folder writable, or set `state`",
    sqlite3.SQLITE_IOERR: "the disk can't be read or written. Check that there is space and that the disk is sound",
    sqlite3.SQLITE_NOTADB: "it is not a database. Move the file away, or set `state` to another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged. Restore it from a backup, or move it away (stored values stay)",
}


class _Open(NamedTuple):
    """A connection, and which file it is connected to."""

    connection: sqlite3.Connection
    file: tuple[int, int]


class _Own:
    """What belongs to one process: a forked child starts with a new one, without connections or held locks."""

    def __init__(self) -> None:
        self.writer: _Open | None = None
        self.reader: _Open | None = None
        self.writing = threading.RLock()  # `prepare` writes while the connection is being opened
        self.reading = threading.Lock()  # who needs both takes `writing` first
        self.signal = Signal()


class SQLiteDatabase:
    """A database in one SQLite file. See `Database`."""

    def __init__(
        self, path: Path, *, prepare: Callable[[SQLiteDatabase], None], busy_seconds: float = BUSY_SECONDS
    ) -> None:
        """Open the file, creating it if need be.

        Args:
            path: absolute path of the file.
            prepare: sees to it that the tables are there; called again if the file is replaced.
            busy_seconds: how long to wait for other processes.
        """
        if sqlite3.sqlite_version_info < _OLDEST:
            raise StateError(
                f"SQLite {sqlite3.sqlite_version} is too old: nbpipe needs 3.35 or newer, a newer Python has it"
            )
        self.dialect = sqlite_dialect()
        self.path = path
        self._prepare = prepare
        self._busy_seconds = busy_seconds
        self._shared = False
        self._closed = False
        self._own = _Own()
        _databases.add(self)
        with self._own.writing:
            self._writable()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """See `Database`."""
        self._restore()
        with self._own.reading:
            connection = self._readable()
            try:
                connection.execute("BEGIN")
                yield Transaction(connection.cursor(), self.dialect)
            except sqlite3.Error as error:
                raise self._problem(error) from error
            finally:
                if connection.in_transaction:
                    connection.rollback()

    @contextmanager
    def write(self, *, announce: bool = True) -> Iterator[Transaction]:
        """See `Database`."""
        with self._own.writing:
            connection = self._writable()
            self._insist(connection, "BEGIN IMMEDIATE")
            try:
                yield Transaction(connection.cursor(), self.dialect)
                self._insist(connection, "COMMIT")
            except BaseException as error:
                self._undo(connection)
                if isinstance(error, sqlite3.Error):
                    raise self._problem(error) from error
                raise
        if announce:
            self._own.signal.notify()

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """See `Database`."""
        yield _DataVersion(self, self._own.signal)

    def data_version(self) -> int:
        """Return a number that differs after any other connection, of any process, has committed."""
        self._restore()
        with self._own.reading:
            try:
                return int(self._readable().execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                raise self._problem(error) from error

    def migrate(self, migrate: Callable[[Any], None]) -> None:
        """See `Database`."""
        import sqlalchemy as sa

        engine = sa.create_engine("sqlite://", creator=self._migrating, poolclass=sa.pool.NullPool)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        try:
            with engine.begin() as connection:
                migrate(connection)
        except sa.exc.DBAPIError as error:
            raise self._problem(error.orig) from error
        finally:
            engine.dispose()

    def place(self) -> str:
        """See `Database`."""
        return str(self.path)

    def close(self) -> None:
        """See `Database`."""
        with self._own.writing, self._own.reading:
            self._closed = True
            for opened in (self._own.reader, self._own.writer):
                if opened is not None:
                    opened.connection.close()
            self._own.reader = self._own.writer = None
        self._own.signal.notify()

    def forget_parent(self) -> None:
        """Leave the connections of the parent process alone; call it in a forked child only."""
        _inherited.append(self._own)
        self._own = _Own()

    def _writable(self) -> sqlite3.Connection:
        """Return the writing connection, renewed if the file was deleted or replaced under it."""
        if self._closed:
            raise StateError("the state store is closed")
        if self._own.writer is not None and self._own.writer.file == _file(self.path):
            return self._own.writer.connection
        if self._own.writer is not None:
            self._own.writer.connection.close()
            self._own.writer = None
        self._shared = self._settle()
        self._own.writer = opened = self._connect(timeout=0.0)
        try:
            self._prepare(self)
        except BaseException:
            self._own.writer = None
            opened.connection.close()
            raise
        return opened.connection

    def _restore(self) -> None:
        """Make an empty store if the file was deleted."""
        if _file(self.path) is None:
            with self._own.writing:
                self._writable()

    def _readable(self) -> sqlite3.Connection:
        """Return the reading connection, renewed if the file was replaced under it."""
        if self._closed:
            raise StateError("the state store is closed")
        if self._own.reader is not None and self._own.reader.file == _file(self.path):
            return self._own.reader.connection
        if self._own.reader is not None:
            self._own.reader.connection.close()
            self._own.reader = None
        self._own.reader = self._connect(timeout=self._busy_seconds)
        return self._own.reader.connection

    def _settle(self) -> bool:
        """Make the folder; tell whether it is shared with other hosts."""
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if folder.name == ".nbpipe" and not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            shared = is_network(folder)
            if shared:
                claim_for_this_host(self.path)
        except OSError as error:
            raise StateError(
                f"the folder of the state store can't be written: {error}. Make it writable, "
                f"or set `state` in nbpipe.toml to a path that is"
            ) from error
        return shared

    def _connect(self, *, timeout: float) -> _Open:
        try:
            connection = sqlite3.connect(self.path, timeout=timeout, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._problem(error) from error
        try:
            self._insist(connection, f"PRAGMA journal_mode = {'DELETE' if self._shared else 'WAL'}")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            file = _file(self.path) or (0, 0)  # removed this moment: renewed at the next use
        except sqlite3.Error as error:
            connection.close()
            raise self._problem(error) from error
        except BaseException:
            connection.close()
            raise
        return _Open(connection, file)

    def _migrating(self) -> sqlite3.Connection:
        """Return a connection on which tables can be rebuilt: foreign keys are checked by the migration."""
        connection = self._connect(timeout=self._busy_seconds).connection
        connection.execute("PRAGMA foreign_keys = OFF")
        return connection

    def _insist(self, connection: sqlite3.Connection, sql: str) -> None:
        """Execute a statement that other processes may hold up; pauses grow, and differ by chance."""
        deadline = clock.monotonic() + self._busy_seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                connection.execute(sql)
                return
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or clock.monotonic() > deadline:
                    raise self._problem(error) from error
            clock.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _undo(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # SQLite has rolled back already; the first error is the one to tell
                connection.rollback()

    def _problem(self, error: BaseException | None) -> StateError:
        """Return our error for one of SQLite's: what, where, what to do next."""
        if isinstance(error, sqlite3.Error) and _is_busy(error):
            return StateBusyError(
                f"state store {self.path}: another process has held it for {self._busy_seconds:g} s. Close the program "
                f"that keeps it open (a database browser? a stopped process?) and try again"
            )
        remedy = _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
        return StateError(
            f"state store {self.path}: {remedy} ({error})" if remedy else f"state store {self.path}: {error}"
        )


class _DataVersion:
    """Looks at `PRAGMA data_version` while somebody waits; changes by this process wake at once."""

    def __init__(self, database: SQLiteDatabase, signal: Signal) -> None:
        self._database, self._signal = database, signal
        self._seen = (signal.count, database.data_version())

    def wait(self, timeout: float) -> None:
        """See `Watch`."""
        deadline = clock.monotonic() + timeout
        count, version = self._seen
        left = timeout
        while left > 0 and not self._signal.wait(count, min(left, POLL_SECONDS)):
            if self._database.data_version() != version:
                break
            left = deadline - clock.monotonic()
        self._seen = (self._signal.count, self._database.data_version())


def _file(path: Path) -> tuple[int, int] | None:
    """Return the identity of the file at a path, or None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at every transaction: half the cost of Path.stat
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _after_fork() -> None:
    for database in list(_databases):
        database.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
