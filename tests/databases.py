"""Databases for tests: a PostgreSQL server of our own, where the machine has the programs for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path


def postgresql_programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs, or None if they or our driver are not installed."""
    if find_spec("psycopg") is None:
        return None
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in ([Path(on_path).parent] if on_path else folders)), None)


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Run a PostgreSQL server that nobody else can reach; yield the URL of its database."""
    programs = postgresql_programs()
    assert programs is not None, "PostgreSQL is not installed"
    # it refuses to run as root, and the path of its socket must be short
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="nbpg"))
    if user is not None:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    data = str(folder / "data")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=40"
    try:
        run("initdb", "-D", data, "-U", "nbpipe", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
        run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
        try:
            yield f"postgresql://nbpipe@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fresh_schema(url: str, name: str) -> str:
    """Make an empty schema in a database; return the URL that leads into it."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{name}"')
    return f"{url}&options=-csearch_path%3D{name}"
