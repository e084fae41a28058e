"""Which version of the tables a database has, and how it gets the present one.

A new database is made from `schema` at once, without Alembic; a test holds that equal to what the migrations
make. Alembic is imported only when a database is older.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from nbpipe.errors import StateSchemaError
from nbpipe.storage import schema
from nbpipe.storage.automation_tables import TABLES
from nbpipe.storage.database import Database, Transaction
from nbpipe.storage.dialects import Dialect

MIGRATIONS = Path(__file__).with_name("migrations")


def prepare(database: Database) -> None:
    """See to it that the tables are there and of the present version.

    Raises:
        StateSchemaError: a newer nbpipe wrote them, or they are not ours.
    """
    with database.read() as transaction:
        found = version(transaction, database)
    if found is None:
        create(database)
    elif found != schema.SCHEMA:
        upgrade(database, found)


def version(transaction: Transaction, database: Database) -> str | None:
    """Return the version of the tables; None if the database is empty."""
    tables = {row[0] for row in transaction.all(_tables)}
    if schema.version_table.name in tables:
        row = transaction.one(_version)
        if row is not None:
            return str(row[0])
    ours = set(TABLES.tables)
    if tables & ours or (database.dialect.name == "sqlite" and tables):
        raise StateSchemaError(
            f"{database.place()} holds tables that are not a state store of nbpipe ({', '.join(sorted(tables)[:3])}, "
            f"...). Set `state` in nbpipe.toml to another place"
        )
    return None


def create(database: Database) -> None:
    """Make all tables, unless another process was quicker."""
    with database.write() as transaction:
        if version(transaction, database) is not None:
            return
        for table in (schema.version_table, *TABLES.sorted_tables):
            transaction.script(database.dialect.create(table))
        transaction.run(_stamp, version_num=schema.SCHEMA)


def upgrade(database: Database, found: str, *, scripts: Path = MIGRATIONS) -> None:
    """Bring older tables up to date, in place.

    Raises:
        StateSchemaError: the version is none of those that we know.
    """
    known = {file.name.split("_")[0] for file in (scripts / "versions").glob("[0-9]*.py")}
    if found not in known:
        raise StateSchemaError(
            f"{database.place()} was written by a newer nbpipe (its tables are of version {found}, this one knows "
            f"up to {schema.SCHEMA}). Upgrade nbpipe to the version that was last used on this project"
        )
    database.migrate(partial(run_migrations, scripts=scripts))


def run_migrations(connection: Any, *, scripts: Path = MIGRATIONS, target: str = "head") -> None:
    """Run Alembic on a connection of SQLAlchemy, within its transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _tables(dialect: Dialect) -> str:
    return dialect.tables()


def _version(_: Dialect) -> str:
    return "SELECT version_num FROM alembic_version"


def _stamp(dialect: Dialect) -> Any:
    return dialect.insert(schema.version_table)
