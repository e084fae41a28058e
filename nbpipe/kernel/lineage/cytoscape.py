"""The one file that knows ipycytoscape (1.3), its traps and their remedies.

- Data given to an element is a plain dictionary: a change within it reaches no browser. Data is always assigned.
- Removing elements leaves the browser with a wrong rest, and each change of the lists lays everything out again.
  A drawing never gains or loses elements; another graph is another drawing.
- The height that counts is the one of the style sheet when the graph is first laid out. So are colours: there
  is a class for each height, and one for the theme (see `style`).
- Handlers registered after display may never be attached: all are there before.
- `tooltip` is inserted as HTML: no data has the key that is looked for.
- Edges need an id, and a class added later costs one message for each: both are given at once.
- Each list change of a graph is a message: the whole graph is filled under one `hold_sync`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbpipe.kernel.lineage.curves import NODE_HEIGHT, NODE_WIDTH, control_points
from nbpipe.kernel.lineage.faces import FONT, TEXT_LEFT, face
from nbpipe.kernel.lineage.light_import import import_ipycytoscape
from nbpipe.kernel.lineage.style import GRAPH_CLASS, HEIGHTS, height_class
from nbpipe.views.lineage import LineageEdge, LineageNode, LineageView
from nbpipe.views.palette import LOOKS

ipycytoscape = import_ipycytoscape()

_PADDING = 20
#: About the room that a graph has beside the details.
_USUAL_WIDTH = 560
#: Names can't be read in a graph that is smaller.
_READABLE = 0.55
_WHOLE = {"name": "preset", "animate": False, "fit": True, "padding": _PADDING}
_NO_TOOLTIP = "nbpipe-has-no-tooltips"

_CHOSEN, _OUTSIDE, _BUNDLE = "chosen", "outside", "bundle"


class Drawing:
    """One graph on the screen. What is drawn stays; how its nodes look changes."""

    def __init__(self, view: LineageView, on_click: Callable[[str], None], *, wheel: bool = False) -> None:
        """Prepare a graph for display.

        Args:
            view: what to draw, and where.
            on_click: is called with the id of a node that was clicked.
            wheel: let the mouse wheel zoom the graph instead of scrolling the page.
        """
        self._nodes = {node.id: _node(node) for node in view.nodes}
        places = {node.id: (node.x, node.y) for node in view.nodes}
        self._edges = [_edge(edge, places) for edge in view.edges]
        self._shown = {node.id: node for node in view.nodes}
        self._chosen: str | None = None
        self.widget = ipycytoscape.CytoscapeWidget(
            auto_ungrabify=True,
            max_zoom=1.25,
            min_zoom=0.02,
            tooltip_source=_NO_TOOLTIP,
            user_zooming_enabled=wheel,
        )
        self.widget.set_style(_STYLE)
        self.height = _height(view)
        self.widget.set_layout(**_first_look(view, self.height))
        self.widget.add_class(GRAPH_CLASS)
        self.widget.add_class(height_class(self.height))
        with self.widget.graph.hold_sync():
            self.widget.graph.add_nodes(self._nodes.values())
            self.widget.graph.add_edges(self._edges, directed=True)
        self.widget.on("node", "click", lambda event: on_click(str(event["data"]["id"])))

    def fits(self, view: LineageView) -> bool:
        """Tell whether a view can be shown by `update`: it has the same nodes, places and arrows."""
        places = {node.id: (node.x, node.y) for node in view.nodes}
        return places == {key: (node.x, node.y) for key, node in self._shown.items()} and {
            edge.id for edge in view.edges
        } == {edge.data["id"] for edge in self._edges}

    def update(self, nodes: Iterable[LineageNode]) -> int:
        """Show nodes as they are now; only those that look different are sent. Return how many."""
        changed = 0
        for node in nodes:
            data = _data(node)
            element = self._nodes[node.id]
            self._shown[node.id] = node
            if element.data != data:
                element.data = data
                changed += 1
        return changed

    def choose(self, node: str | None) -> None:
        """Mark a node, and no other."""
        for key in (self._chosen, node):
            if key is not None and key in self._nodes:
                self._nodes[key].classes = _classes(self._shown[key], chosen=key == node)
        self._chosen = node

    def fit(self) -> None:
        """Show all of the graph."""
        if self.widget.get_layout() == _WHOLE:
            self.widget.relayout()
        else:
            self.widget.set_layout(**_WHOLE)

    def zoom_by_wheel(self, *, on: bool) -> None:
        """Let the mouse wheel zoom, or scroll the page."""
        self.widget.user_zooming_enabled = on

    def close(self) -> None:
        """Give up everything in the browser that belongs to this drawing."""
        graph = self.widget.graph
        for widget in (self.widget, graph, *self._nodes.values(), *self._edges):
            widget.close()


def _node(node: LineageNode) -> Any:
    return ipycytoscape.Node(
        data=_data(node), position={"x": node.x, "y": node.y}, classes=_classes(node), grabbable=False
    )


def _data(node: LineageNode) -> dict[str, Any]:
    return {"id": node.id, "label": node.label, "status": node.status, "face": face(node)}


def _classes(node: LineageNode, *, chosen: bool = False) -> str:
    marks = {_CHOSEN: chosen, _OUTSIDE: node.outside, _BUNDLE: node.kind == "bundle"}
    return " ".join(name for name, holds in marks.items() if holds)


def _edge(edge: LineageEdge, places: Mapping[str, tuple[float, float]]) -> Any:
    weights, distances = control_points(places[edge.source], places[edge.target], edge.waypoints)
    data = {
        "id": edge.id,
        "source": edge.source,
        "target": edge.target,
        "weights": weights,
        "distances": distances,
    }
    return ipycytoscape.Edge(data=data, classes="directed many" if edge.links > 1 else "directed")


def _extent(view: LineageView) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of all that is drawn."""
    xs, ys = [node.x for node in view.nodes] or [0.0], [node.y for node in view.nodes] or [0.0]
    ys += [y for edge in view.edges for _, y in edge.waypoints]
    across, down = NODE_WIDTH / 2, NODE_HEIGHT / 2
    return min(xs) - across, min(ys) - down, max(xs) + across, max(ys) + down


def _height(view: LineageView) -> int:
    """Return the smallest height in which the graph is as large as its width lets it be."""
    left, top, right, bottom = _extent(view)
    zoom = min(1.0, max(_READABLE, _USUAL_WIDTH / (right - left)))
    wanted = (bottom - top) * zoom + 3 * _PADDING
    return next((each for each in HEIGHTS if each >= wanted), HEIGHTS[-1])


def _first_look(view: LineageView, height: int) -> dict[str, Any]:
    """Show all of the graph if it is readable then, else where it begins."""
    left, top, right, bottom = _extent(view)
    if min(_USUAL_WIDTH / (right - left), height / (bottom - top)) >= _READABLE:
        return _WHOLE
    first = [node.y for node in view.nodes if node.x - NODE_WIDTH / 2 <= left]
    middle = (top + bottom) / 2 if (bottom - top) * _READABLE <= height else sum(first) / len(first)
    pan = {"x": _PADDING - left * _READABLE, "y": height / 2 - middle * _READABLE}
    return {**_WHOLE, "fit": False, "zoom": _READABLE, "pan": pan}


_STYLE: list[dict[str, Any]] = [
    {
        "selector": "node",
        "style": {
            "shape": "round-rectangle",
            "width": NODE_WIDTH,
            "height": NODE_HEIGHT,
            "border-width": 1.5,
            "background-image": "data(face)",
            "background-fit": "contain",
            "label": "data(label)",
            "color": "#1f2328",
            "font-family": FONT,
            "font-size": 13,
            "font-weight": 600,
            "text-halign": "right",
            "text-valign": "center",
            "text-margin-x": TEXT_LEFT - NODE_WIDTH,
            "text-margin-y": -8,
            "text-max-width": NODE_WIDTH - TEXT_LEFT - 8,
            "text-wrap": "ellipsis",
        },
    },
    *(
        {
            "selector": f'node[status = "{status}"]',
            "style": {
                "background-color": look.fill,
                "border-color": look.ink,
                "border-style": "dashed" if status == "missing" else "solid",
            },
        }
        for status, look in LOOKS.items()
    ),
    {
        "selector": f"node.{_BUNDLE}",
        "style": {"ghost": "yes", "ghost-offset-x": 5, "ghost-offset-y": 5, "ghost-opacity": 0.5},
    },
    {"selector": f"node.{_OUTSIDE}", "style": {"opacity": 0.55}},
    {
        "selector": f"node.{_CHOSEN}",
        "style": {"border-width": 3, "overlay-color": "#0a5fc4", "overlay-opacity": 0.05, "overlay-padding": 5},
    },
    {
        "selector": "edge",
        "style": {
            "width": 1.4,
            "line-color": "#848d97",
            "target-arrow-color": "#848d97",
            "target-arrow-shape": "triangle",
            "arrow-scale": 0.9,
            "curve-style": "unbundled-bezier",
            "edge-distances": "node-position",
            "control-point-weights": "data(weights)",
            "control-point-distances": "data(distances)",
            "source-endpoint": "90deg",
            "target-endpoint": "270deg",
        },
    },
    {"selector": "edge.many", "style": {"width": 2.6}},
    {"selector": ":active", "style": {"overlay-color": "#0a5fc4", "overlay-opacity": 0.08}},
]
