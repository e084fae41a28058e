"""What the state store needs of a database: short transactions, and to be told of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from nbpipe.errors import StateError
from nbpipe.storage.dialects import Dialect, Statement

_LARGE_ROWS = 8


class Cursor(Protocol):
    """The part of a driver's cursor that we use; sqlite3 and psycopg agree on it."""

    @property
    def rowcount(self) -> int:
        """Return how many rows the last statement changed."""

    def execute(self, sql: Any, values: Any, /) -> Any:
        """Execute one statement."""

    def executemany(self, sql: Any, values: Any, /) -> Any:
        """Execute one statement for several sets of values."""

    def fetchone(self) -> Any:
        """Return the next row or None."""

    def fetchall(self) -> list[Any]:
        """Return all rows."""

    def fetchmany(self, size: int, /) -> list[Any]:
        """Return the next rows, at most `size`."""


Row = tuple[Any, ...]


class Transaction:
    """Executes statements within one transaction."""

    __slots__ = ("_cursor", "_dialect")

    def __init__(self, cursor: Cursor, dialect: Dialect) -> None:
        self._cursor = cursor
        self._dialect = dialect

    def one(self, statement: Statement, /, **values: object) -> Row | None:
        """Return the first row, or None."""
        self._execute(statement, values)
        row: Row | None = self._cursor.fetchone()
        return row

    def number(self, statement: Statement, /, **values: object) -> int:
        """Return the only column of the only row, for example the id of what was inserted."""
        row = self.one(statement, **values)
        if row is None:
            raise StateError("the state store lost a row while it was written")
        return int(row[0])

    def all(self, statement: Statement, /, **values: object) -> list[Row]:
        """Return all rows."""
        self._execute(statement, values)
        return self._cursor.fetchall()

    def each(self, statement: Statement, /, **values: object) -> Iterator[Row]:
        """Yield large rows, of which only some are in memory at a time; no other statement may run meanwhile."""
        self._execute(statement, values)
        while rows := self._cursor.fetchmany(_LARGE_ROWS):
            yield from rows

    def run(self, statement: Statement, /, **values: object) -> int:
        """Execute a statement; return how many rows it changed."""
        self._execute(statement, values)
        return self._cursor.rowcount

    def many(self, statement: Statement, rows: Iterable[Mapping[str, object]]) -> None:
        """Execute a statement once for each set of values."""
        sql, constants = self._dialect.compiled(statement)
        self._cursor.executemany(sql, [{**constants, **row} for row in rows])

    def script(self, statements: Iterable[str]) -> None:
        """Execute statements given as text."""
        for sql in statements:
            self._cursor.execute(sql, {})

    def _execute(self, statement: Statement, values: dict[str, object]) -> None:
        sql, constants = self._dialect.compiled(statement)
        self._cursor.execute(sql, constants | values if constants else values)


class Watch(Protocol):
    """Tells when something may have changed since it was made or last asked."""

    def wait(self, timeout: float) -> None:
        """Wait for a change by this or another process, at most `timeout` seconds; may return early."""


class Database(Protocol):
    """One database, used from any thread, with no connection that survives a fork."""

    @property
    def dialect(self) -> Dialect:
        """Return how statements become text for this database."""

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that sees one state of affairs and changes nothing."""

    def write(self, *, announce: bool = True) -> AbstractContextManager[Transaction]:
        """Open a transaction; it is durable when the block ends, and undone if the block raises.

        Writing transactions, of all processes, happen one after the other: what a later one reads includes
        all that an earlier one wrote, and row numbers grow in the order of commits.

        Args:
            announce: wake those who wait for a change; False if nothing that they look at changes.

        Raises:
            StateBusyError: another process held the database for too long.
            StateError: the database can't be written; nothing was changed.
        """

    def watch(self) -> AbstractContextManager[Watch]:
        """Watch for changes while the block lasts."""

    def migrate(self, migrate: Callable[[Any], None]) -> None:
        """Call `migrate` with a connection of SQLAlchemy whose transaction excludes other writers."""

    def place(self) -> str:
        """Say for a person where the database is; without secrets."""

    def close(self) -> None:
        """Close all connections; the database can't be used any more."""
