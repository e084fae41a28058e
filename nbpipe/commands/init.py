"""`init`: make a folder a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from nbpipe.commands.place import Place
from nbpipe.errors import RefusedError
from nbpipe.loading.roots import CONFIG_FILE, config_file, state_folder

EXAMPLE = "example.ipynb"

_CONFIG = """\
# The configuration of this project. Everything is optional: what is commented out shows the default, or an example.

# Where the state is kept: SQLite in a file, or PostgreSQL. Secrets are written as ${NAME} and taken from the
# environment variable of that name when they are needed.
# state = "sqlite:///.nbpipe/state.db"
# state = "postgresql://nbpipe:${NBPIPE_PASSWORD}@db.example.org/nbpipe"

# Where values are kept: a folder, or any URL that fsspec knows.
# storage = ".nbpipe/values"
# storage = "s3://my-bucket/values"

# Notebooks that share one kernel, which is one Python environment. Without any location, all notebooks below
# this folder belong to the project and each runs in its own kernel.
# [locations.reports]
# notebooks = ["reports/**/*.ipynb"]
# kernel = "python3"

# Other places and formats for values, chosen by `%%asset NAME --io archive`.
# [io.archive]
# url = "/mnt/archive"

# Work with a name, and when it is to be done. Notebooks can declare the same with %job and %schedule.
# [jobs.nightly]
# selection = "group:reports"
# [schedules.nightly]
# cron = "0 6 * * 1-5"
# tz = "Europe/Berlin"
# job = "nightly"

# How many steps of a run execute at once, and how much memory each kernel may take (on Linux).
# [executor]
# parallel = 4
# kernels = "plain"
# memory = "4 GB"

# How big one executed notebook may grow.
# [limits]
# record_size = "50 MB"

# How many values of each asset are kept.
# [retention]
# values = 3

# Changes for one environment, chosen by NBPIPE_ENV=prod or --env prod.
# [env.prod]
# storage = "s3://my-bucket/prod"
"""

_STORY = (
    "# An example\n\nEach cell that begins with `%%asset` computes one value, which is stored. Run all cells, then run "
    "them again: nothing is computed a second time. Change a number, and only what depends on it is."
)
_CELLS = (
    ("markdown", "intro", _STORY),
    ("code", "load", "%load_ext nbpipe"),
    (
        "code",
        "celsius",
        "%%asset celsius\n# What was measured, in degrees Celsius.\ncelsius = [18.5, 21.0, 19.5, 24.0]",
    ),
    ("code", "mean", "%%asset mean\nmean = sum(celsius) / len(celsius)"),
    ("code", "show", "mean"),
    ("code", "status", "%status"),
)


class Initialized(msgspec.Struct, frozen=True, kw_only=True):
    """A project's root, and the files that were made in it."""

    root: str
    created: tuple[str, ...]


@click.command("init")
@click.argument("folder", required=False, metavar="[DIR]")
@click.option("--example", is_flag=True, help="Add a small notebook to try.")
@click.pass_obj
def command(place: Place, *, folder: str | None, example: bool) -> Initialized:
    """Make a folder a project: write nbpipe.toml with comments, and .nbpipe/. Nothing is ever overwritten."""
    root = (place.folder / folder if folder else place.folder).absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"{root} can't be made a folder: {error.strerror or error}") from error
    created = []
    if config_file(root) is None and _write(root / CONFIG_FILE, _CONFIG):
        created.append(CONFIG_FILE)
    if not (root / ".nbpipe").is_dir():
        created.append(".nbpipe/")
    state_folder(root)
    if example and _write(root / EXAMPLE, _example()):
        created.append(EXAMPLE)
    return Initialized(root=str(root), created=tuple(created))


def _write(file: Path, content: str) -> bool:
    """Write a new file; return False if there is one already."""
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(content)
    except FileExistsError:
        return False
    except OSError as error:
        raise RefusedError(f"{file} can't be written: {error.strerror or error}") from error
    return True


def _example() -> str:
    cells = [_cell(*cell) for cell in _CELLS]
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return msgspec.json.format(msgspec.json.encode(notebook), indent=1).decode() + "\n"


def _cell(kind: str, name: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": {}, "source": source}
    return {**cell, "execution_count": None, "outputs": []} if kind == "code" else cell
