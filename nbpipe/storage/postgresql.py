"""PostgreSQL: one schema of one database, several writing processes on several hosts."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import sqlalchemy as sa

from nbpipe.errors import StateBusyError, StateError
from nbpipe.storage.database import Transaction, Watch
from nbpipe.storage.dialects import postgresql_dialect
from nbpipe.storage.signals import Signal

BUSY_SECONDS = 30.0
_CHANNEL = "nbpipe_changes"
_WRITER_LOCK = 0x6E62_7069_7065  # "nbpipe"
_LISTEN_SECONDS = 0.5
_LOOK_SECONDS = 2.0

_inherited: list[object] = []
"""What belongs to the parent process, kept for ever: to drop a connection here could end the parent's session."""

_databases: weakref.WeakSet[PostgreSQLDatabase] = weakref.WeakSet()


class _Own:
    """What belongs to one process: a forked child starts with a new one, without connections or held locks."""

    def __init__(self) -> None:
        self.writer: psycopg.Connection | None = None
        self.reader: psycopg.Connection | None = None
        self.listener: _Listener | None = None
        self.waiters = 0
        self.writing = threading.Lock()
        self.reading = threading.Lock()
        self.listening = threading.Lock()
        self.signal = Signal()


class PostgreSQLDatabase:
    """A database on a PostgreSQL server. See `Database`.

    One process writes at a time: so numbers of events grow in the order of commits, which is what a reader
    that asks for the events after a number relies on.
    """

    def __init__(
        self, url: sa.URL, *, prepare: Callable[[PostgreSQLDatabase], None], busy_seconds: float = BUSY_SECONDS
    ) -> None:
        """Connect.

        Args:
            url: where, with the password.
            prepare: sees to it that the tables are there.
            busy_seconds: how long to wait for other processes.
        """
        self.dialect = postgresql_dialect()
        self._url = url.set(drivername="postgresql")
        self._busy_seconds = busy_seconds
        self._closed = False
        self._own = _Own()
        _databases.add(self)
        prepare(self)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """See `Database`."""
        with self._own.reading:
            self._own.reader = self._usable(self._own.reader)
            with self._transaction(self._own.reader, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as transaction:
                yield transaction

    @contextmanager
    def write(self, *, announce: bool = True) -> Iterator[Transaction]:
        """See `Database`."""
        with self._own.writing:
            self._own.writer = self._usable(self._own.writer)
            with self._transaction(self._own.writer, "BEGIN") as transaction:
                transaction.script([f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})"])
                yield transaction
                if announce:
                    transaction.script([f"NOTIFY {_CHANNEL}"])
        if announce:
            self._own.signal.notify()

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """See `Database`."""
        with self._own.listening:
            self._own.waiters += 1
            if self._own.listener is None or not self._own.listener.alive():
                self._own.listener = _Listener(self._connect(), self._own.signal, self._is_awaited)
        try:
            yield _Notified(self._own.signal)
        finally:
            with self._own.listening:
                self._own.waiters -= 1

    def migrate(self, migrate: Callable[[Any], None]) -> None:
        """See `Database`."""
        engine = sa.create_engine(self._url.set(drivername="postgresql+psycopg"), poolclass=sa.pool.NullPool)
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
                migrate(connection)
        except sa.exc.DBAPIError as error:
            raise self._problem(error.orig) from error
        finally:
            engine.dispose()

    def place(self) -> str:
        """See `Database`."""
        return self._url.render_as_string(hide_password=True)

    def close(self) -> None:
        """See `Database`."""
        with self._own.writing, self._own.reading:
            self._closed = True
            for connection in (self._own.reader, self._own.writer):
                if connection is not None:
                    connection.close()
            self._own.reader = self._own.writer = None
        self._own.signal.notify()
        if self._own.listener is not None:
            self._own.listener.join()

    def forget_parent(self) -> None:
        """Leave the connections of the parent process alone; call it in a forked child only."""
        _inherited.append(self._own)
        self._own = _Own()

    def _is_awaited(self) -> bool:
        """Tell the listener whether to go on; if not, the next one who waits starts another."""
        with self._own.listening:
            if self._own.waiters > 0 and not self._closed:
                return True
            self._own.listener = None
            return False

    @contextmanager
    def _transaction(self, connection: psycopg.Connection, begin: str) -> Iterator[Transaction]:
        try:
            connection.execute(begin)
            yield Transaction(connection.cursor(), self.dialect)
            connection.execute("COMMIT")
        except BaseException as error:
            with suppress(psycopg.Error):  # the connection may be gone; the first error is the one to tell
                connection.rollback()
            if isinstance(error, psycopg.Error):
                raise self._problem(error) from error
            raise

    def _usable(self, connection: psycopg.Connection | None) -> psycopg.Connection:
        if self._closed:
            raise StateError("the state store is closed")
        return self._connect() if connection is None or connection.closed else connection

    def _connect(self) -> psycopg.Connection:
        try:
            connection = psycopg.connect(self._url.render_as_string(hide_password=False), autocommit=True)
            connection.execute(f"SET lock_timeout = {int(self._busy_seconds * 1000)}")
        except psycopg.Error as error:
            raise self._problem(error) from error
        return connection

    def _problem(self, error: BaseException | None) -> StateError:
        if isinstance(error, psycopg.errors.LockNotAvailable):
            return StateBusyError(
                f"state store {self.place()}: another process has held it for {self._busy_seconds:g} s. "
                f"End that process (see pg_stat_activity) and try again"
            )
        if isinstance(error, psycopg.OperationalError):
            return StateError(f"state store {self.place()} can't be reached: {error}. Check `state` in nbpipe.toml")
        return StateError(f"state store {self.place()}: {error}")


class _Listener:
    """A thread that waits for notifications, only while somebody waits for a change."""

    def __init__(self, connection: psycopg.Connection, signal: Signal, awaited: Callable[[], bool]) -> None:
        connection.execute(f"LISTEN {_CHANNEL}")
        self._connection, self._signal, self._awaited = connection, signal, awaited
        self._thread = threading.Thread(target=self._listen, name="nbpipe-listen", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """Tell whether it still listens."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _listen(self) -> None:
        try:
            while self._awaited():
                for _ in self._connection.notifies(timeout=_LISTEN_SECONDS, stop_after=1):
                    self._signal.notify()
        except psycopg.Error:
            pass  # who waits looks from time to time anyway, and is told there that the server is gone
        finally:
            self._connection.close()


class _Notified:
    """Waits for the signal that the listener gives."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._seen = signal.count

    def wait(self, timeout: float) -> None:
        """See `Watch`."""
        self._signal.wait(self._seen, min(timeout, _LOOK_SECONDS))
        self._seen = self._signal.count


def _after_fork() -> None:
    for database in list(_databases):
        database.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
