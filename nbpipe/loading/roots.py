"""Where a project begins, and its own folder `.nbpipe/`."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

from nbpipe.errors import ConfigError, RefusedError

CONFIG_FILE = "nbpipe.toml"
PYPROJECT = "pyproject.toml"
STATE_FOLDER = ".nbpipe"

#: How many folders beside a project are looked into.
_LOOKED_AT = 50

_OUR_TABLE = re.compile(rb"^\s*\[tool\.nbpipe", re.MULTILINE)


def find_root(start: Path) -> Path:
    """Return the root of the project that `start` (a folder, or a file in it) belongs to, without links.

    It is the nearest folder upward with `nbpipe.toml`, with `[tool.nbpipe]` in `pyproject.toml`, or with a
    `.nbpipe/` folder; else the folder of `start`. A `.nbpipe/` left in the home folder makes a project of the
    home folder alone: it does not claim everything below.

    Raises:
        ConfigError: a `pyproject.toml` on the way that seems to configure nbpipe is not TOML.
    """
    folder = Path(os.path.realpath(start))
    if not folder.is_dir():
        folder = folder.parent
    for candidate in (folder, *folder.parents):
        if config_file(candidate) is not None:
            return candidate
        if (candidate / STATE_FOLDER).is_dir() and (candidate == folder or not holds_home(candidate)):
            return candidate
    return folder


def config_file(folder: Path) -> Path | None:
    """Return the file that configures the project whose root is `folder`, if there is one.

    Raises:
        ConfigError: `pyproject.toml` is not TOML though it seems to configure nbpipe, or both files do.
    """
    own = folder / CONFIG_FILE
    pyproject = folder / PYPROJECT
    shared = _configures(pyproject)
    if not own.is_file():
        return pyproject if shared else None
    if shared:
        raise ConfigError(f"both {own} and [tool.nbpipe] in {pyproject.name} configure this project: keep one of them")
    return own


def holds_home(folder: Path) -> bool:
    """Tell whether `folder` is the home folder or above it."""
    try:
        return Path.home().resolve().is_relative_to(folder)
    except (RuntimeError, OSError):  # no home folder, as in some containers
        return folder == folder.parent


def has_neighbours(root: Path) -> bool:
    """Tell whether there are notebooks above a project or beside it, which may be meant to belong to it."""
    above = root.parent
    if holds_home(above) and above != root:
        return False
    try:
        folders = [above, *(Path(entry.path) for entry in islice(os.scandir(above), _LOOKED_AT) if entry.is_dir())]
        return any(name.endswith(".ipynb") for folder in folders if folder != root for name in os.listdir(folder))  # noqa: PTH208
    except OSError:
        return False


def default_state(root: Path) -> Path:
    """Return the SQLite file in which a project keeps its state unless it is configured otherwise."""
    return root / STATE_FOLDER / "state.db"


def state_folder(root: Path) -> Path:
    """Return the `.nbpipe/` folder of a project; create it, ignored by git, if it is not there.

    Raises:
        RefusedError: it can't be created: the message names the remedy.
    """
    folder = root / STATE_FOLDER
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise RefusedError(
            f"{folder} can't be written ({error.strerror or error}): make the project's folder writable, "
            f"or copy the project to a place where you can write"
        ) from error
    return folder


def _configures(pyproject: Path) -> bool:
    try:
        data = pyproject.read_bytes()
    except OSError:
        return False
    if b"nbpipe" not in data:
        return False
    import tomllib  # a hundredth of a second that most commands can do without

    try:
        tool = tomllib.loads(data.decode("utf-8")).get("tool")
    except ValueError as error:
        if _OUR_TABLE.search(data):
            raise ConfigError(f"{pyproject} is not TOML: {error}") from error
        return False
    return isinstance(tool, dict) and "nbpipe" in tool
