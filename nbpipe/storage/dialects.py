"""All that differs between the databases in the text of SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect as CompilerDialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement

#: A parameter in a statement that is written as text.
_PARAMETER = re.compile(r":([a-z_]+)")


class Compiled(NamedTuple):
    """SQL text with named parameters, and the values of those that are always the same."""

    sql: str
    constants: dict[str, Any]


class Dialect:
    """Turns statements of SQLAlchemy into text for one database, each only once.

    Texts go straight to the driver: what SQLAlchemy does per execution would cost more than a whole commit.
    Hence tables have plain columns only (numbers, text, bytes), whose values need no conversion.
    """

    name: str

    def __init__(self, compiler: CompilerDialect) -> None:
        self._compiler = compiler
        self._compiled: dict[Statement, Compiled] = {}

    def compiled(self, statement: Statement) -> Compiled:
        """Return the text of a statement."""
        found = self._compiled.get(statement)
        if found is None:
            found = self._compiled[statement] = self._compile(statement(self))
        return found

    def text(self, sql: str) -> str:
        """Return the text of a statement that was written as text."""
        return sql

    def create(self, table: sa.Table) -> list[str]:
        """Return the statements that create a table and its indexes."""
        statements = [str(CreateTable(table).compile(dialect=self._compiler))]
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            condition = f" WHERE {index.info['where']}" if "where" in index.info else ""
            statements.append(str(CreateIndex(index).compile(dialect=self._compiler)) + condition)
        return statements

    def insert(self, table: sa.Table) -> Any:
        """Return an INSERT of the named parameters that knows `on_conflict_do_update` and `..._nothing`."""
        raise NotImplementedError

    def listed(self, name: str) -> Any:
        """Return a subquery of the texts in a parameter that holds a JSON list."""
        raise NotImplementedError

    def placed(self, name: str) -> Any:
        """Return a table of the texts in such a parameter: columns `value` and `place`, which counts from 0."""
        raise NotImplementedError

    def members(self, name: str) -> str:
        """Return the same as `listed` for a statement that is written as text."""
        raise NotImplementedError

    def tables(self) -> str:
        """Return a query of the names of all tables in the database."""
        raise NotImplementedError

    def _compile(self, built: ClauseElement | str) -> Compiled:
        if isinstance(built, str):
            return Compiled(self.text(built), {})
        compiled = built.compile(dialect=self._compiler)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return Compiled(str(compiled), constants)


#: A statement is a function, so that it is built only when it is first used. What every commit of a new process
#: executes is text, in which a parameter is written `:name`, and which all databases understand: to build and compile
#: an expression takes longer than to execute it.
Statement = Callable[[Dialect], ClauseElement | str]


class SQLiteDialect(Dialect):
    """SQLite 3.35 or newer."""

    name = "sqlite"

    def __init__(self) -> None:
        super().__init__(sqlite.dialect(paramstyle="named"))

    def insert(self, table: sa.Table) -> Any:
        """See `Dialect`."""
        return sqlite.insert(table)

    def listed(self, name: str) -> Any:
        """See `Dialect`."""
        return sa.select(sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("value").c.value)

    def placed(self, name: str) -> Any:
        """See `Dialect`."""
        found = sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("key", "value")
        return sa.select(found.c.value, found.c.key.label("place")).subquery()

    def members(self, name: str) -> str:
        """See `Dialect`."""
        return f"SELECT value FROM json_each(:{name})"  # noqa: S608 - the name of a parameter

    def tables(self) -> str:
        """See `Dialect`."""
        return "SELECT name FROM sqlite_master WHERE type = 'table'"


class PostgreSQLDialect(Dialect):
    """PostgreSQL by psycopg 3."""

    name = "postgresql"

    def __init__(self) -> None:
        from sqlalchemy.dialects import postgresql
        from sqlalchemy.dialects.postgresql import psycopg

        self._insert = postgresql.insert
        compiler: type[Any] = psycopg.dialect
        super().__init__(compiler())

    def create(self, table: sa.Table) -> list[str]:
        """See `Dialect`. What is compressed already is not compressed again: that took most of the time of a change."""
        done = [column.name for column in table.c if "compressed" in column.info]
        alter = [f"ALTER TABLE {table.name} ALTER COLUMN {name} SET STORAGE EXTERNAL" for name in done]
        return super().create(table) + alter

    def text(self, sql: str) -> str:
        """See `Dialect`."""
        return _PARAMETER.sub(r"%(\1)s", sql)

    def insert(self, table: sa.Table) -> Any:
        """See `Dialect`."""
        return self._insert(table)

    def listed(self, name: str) -> Any:
        """See `Dialect`."""
        content = sa.cast(sa.bindparam(name, type_=sa.Text), sa.JSON)
        return sa.select(sa.func.json_array_elements_text(content).column_valued("value"))

    def placed(self, name: str) -> Any:
        """See `Dialect`."""
        content = sa.cast(sa.bindparam(name, type_=sa.Text), sa.JSON)
        function = sa.func.json_array_elements_text(content).table_valued("value", with_ordinality="number")
        found = function.render_derived()
        return sa.select(found.c.value, (found.c.number - 1).label("place")).subquery()

    def members(self, name: str) -> str:
        """See `Dialect`."""
        return f"SELECT json_array_elements_text(CAST(:{name} AS JSON))"

    def tables(self) -> str:
        """See `Dialect`."""
        return "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


@cache
def sqlite_dialect() -> SQLiteDialect:
    """Return the one dialect of SQLite, with all texts compiled so far."""
    return SQLiteDialect()


@cache
def postgresql_dialect() -> PostgreSQLDialect:
    """Return the one dialect of PostgreSQL, with all texts compiled so far."""
    return PostgreSQLDialect()
