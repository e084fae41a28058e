"""Which code location a notebook belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from nbpipe.loading.config import Location

DEFAULT_LOCATION = "default"


def locate(locations: Mapping[str, Location], notebooks: Iterable[str]) -> dict[str, str]:
    """Return the location of each notebook (paths relative to the root, with `/`).

    Without locations all belong to `default`; else to the first that has a pattern for them, and a notebook
    that none has is left out.
    """
    if not locations:
        return dict.fromkeys(notebooks, DEFAULT_LOCATION)
    patterns = [
        (name, pattern.removeprefix("./").split("/"))
        for name, location in locations.items()
        for pattern in location.notebooks
    ]
    found = {}
    for notebook in notebooks:
        parts = notebook.split("/")
        name = next((name for name, pattern in patterns if _matches(parts, pattern)), None)
        if name is not None:
            found[notebook] = name
    return found


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Match a path with a pattern, folder by folder; `**` stands for any number of folders, also none."""
    reached = {0}  # how much of the pattern may be used up by the parts so far
    for part in (*parts, None):
        for place in sorted(reached):
            while place < len(pattern) and pattern[place] == "**":
                place += 1  # noqa: PLW2901 - `**` may also stand for nothing
                reached.add(place)
        if part is None:
            break
        reached = {place if pattern[place] == "**" else place + 1 for place in reached if _fits(part, pattern, place)}
    return len(pattern) in reached


def _fits(part: str, pattern: Sequence[str], place: int) -> bool:
    return place < len(pattern) and (pattern[place] == "**" or fnmatchcase(part, pattern[place]))
