"""How a status looks: a colour, a shape and a word, so that no one depends on telling colours apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from nbpipe.core.partitions.counts import TROUBLES

Shape = Literal["ellipse", "triangle", "rectangle", "octagon", "play", "diamond", "ring"]


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
    "skipped": StatusLook(
        word="skipped", sign="○", shape="ring", ink="#13696f", fill="#e6f6f7", dark_ink="#76d3d9", dark_fill="#10282a"
    ),
}

#: What a bundle of assets shows: the first of these that any of them has.
URGENCY = ("failed", "running", "queued", "stale", "missing", "fresh")
#: The same of partitions.
PARTITION_URGENCY = ("failed", "running", "stale", "missing", "skipped", "fresh")
#: Of partitions, these are drawn in their pale colour with a border: there is nothing to look at.
PALE = frozenset({"missing", "skipped"})


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


def partition_counts_text(counts: Mapping[str, int]) -> str:
    """Write how many partitions have which status, the most urgent first.

    >>> partition_counts_text({"fresh": 28, "failed": 2, "stale": 1})
    '2 failed, 1 stale, 28 fresh'
    """
    return ", ".join(f"{counts[status]:,} {status}" for status in PARTITION_URGENCY if counts.get(status))


def shares_text(counts: Mapping[str, int], materialized: int) -> str:
    """Write what `nbpipe status` says of partitions, in few characters: those with a value, and what there is of each.

    >>> shares_text({"fresh": 27, "skipped": 1, "failed": 2, "stale": 1}, 28)
    '28/31, 2 failed, 1 stale, 1 skipped'
    >>> shares_text({"fresh": 998_800, "missing": 105_700}, 998_800)
    '998k/1.1M, 105k missing'
    """
    rest = (status for status in TROUBLES if counts.get(status))
    of_all = f"{_short(materialized)}/{_short(sum(counts.values()))}"
    return ", ".join((of_all, *(f"{_short(counts[each])} {each}" for each in rest)))


def _short(number: int) -> str:
    """Write a number with few digits, rounded down: what is left out never looks like all."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= 10 * unit:
            return f"{number // unit}{letter}"
        if number >= unit and letter == "M":
            return f"{number * 10 // unit / 10}{letter}"
    return f"{number:,}"
