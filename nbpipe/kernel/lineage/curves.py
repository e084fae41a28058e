"""Arrows from the right side of one node to the left side of another, along waypoints.

cytoscape.js takes the control points of an `unbundled-bezier` edge relative to the straight line between the
centres of its nodes: a weight along that line, and a distance across it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from nbpipe.views.layout import Point

NODE_WIDTH, NODE_HEIGHT = 190, 46
_REACH = 34.0
"""How far an arrow leaves a node straight on, at most."""
_BACK = 70.0
"""The same for an arrow that leads back."""


def control_points(source: Point, target: Point, waypoints: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return weights and distances of the control points of an arrow.

    Args:
        source: centre of the node where it begins.
        target: centre of the node where it ends, elsewhere.
        waypoints: where it is led through.
    """
    half = NODE_WIDTH / 2
    gap = target[0] - source[0] - NODE_WIDTH
    reach = min(_REACH, gap * 0.3) if gap > 0 else _BACK
    points = [(source[0] + half + reach, source[1]), *waypoints, (target[0] - half - reach, target[1])]
    along = (target[0] - source[0], target[1] - source[1])
    length = hypot(*along)
    weights, distances = [], []
    for x, y in points:
        dx, dy = x - source[0], y - source[1]
        weights.append(round((dx * along[0] + dy * along[1]) / length**2, 4))
        distances.append(round((dy * along[0] - dx * along[1]) / length, 1))
    return weights, distances
