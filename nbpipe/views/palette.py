"""How a status looks: a colour, a shape and a word, so that no one depends on telling colours apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

Shape = Literal["ellipse", "triangle", "rectangle", "octagon", "play", "diamond"]


class StatusLook(msgspec.Struct, frozen=True, kw_only=True):
    """The look of one status; colours are `#rrggbb`, for light and for dark backgrounds."""

    word: str
    sign: str
    """One character for plain text."""
    shape: Shape
    ink: str
    fill: str
    dark_ink: str
    dark_fill: str


LOOKS: Mapping[str, StatusLook] = {
    "fresh": StatusLook(
        word="fresh", sign="●", shape="ellipse", ink="#1a7f37", fill="#eaf7ee", dark_ink="#56d364", dark_fill="#12261a"
    ),
    "stale": StatusLook(
        word="stale", sign="▲", shape="triangle", ink="#8a5a00", fill="#fff6df", dark_ink="#e3b341", dark_fill="#2b2411"
    ),
    "missing": StatusLook(
        word="missing",
        sign="□",
        shape="rectangle",
        ink="#5c6570",
        fill="#f4f5f7",
        dark_ink="#a8b1bb",
        dark_fill="#1d2127",
    ),
    "failed": StatusLook(
        word="failed", sign="✖", shape="octagon", ink="#c11c28", fill="#fdecec", dark_ink="#ff7b72", dark_fill="#321517"
    ),
    "running": StatusLook(
        word="running", sign="▶", shape="play", ink="#0a5fc4", fill="#e8f2fe", dark_ink="#79c0ff", dark_fill="#0f2238"
    ),
    "queued": StatusLook(
        word="queued", sign="◆", shape="diamond", ink="#7440c9", fill="#f4edfd", dark_ink="#d2a8ff", dark_fill="#231a33"
    ),
}

#: What a bundle of assets shows: the first of these that any of them has.
URGENCY = ("failed", "running", "queued", "stale", "missing", "fresh")


def most_urgent(statuses: Iterable[str]) -> str:
    """Return the status that stands for several."""
    present = set(statuses)
    return next((status for status in URGENCY if status in present), "missing")


def counts_text(counts: Mapping[str, int]) -> str:
    """Write how many assets have which status, the most urgent first.

    >>> counts_text({"fresh": 9, "stale": 3})
    '3 stale, 9 fresh'
    """
    return ", ".join(f"{counts[status]} {status}" for status in URGENCY if counts.get(status))
