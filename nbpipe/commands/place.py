"""A folder that may be a project, for commands that work before one can be opened."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """Where to look, and for which environment."""

    folder: Path
    env: str | None = None
    """None: the one chosen by `NBPIPE_ENV`, else the default."""
