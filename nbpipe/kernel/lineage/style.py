"""How the widgets look: one style sheet for light and dark themes, built on the theme's own variables.

What ipycytoscape draws on its canvas knows nothing of themes. It is drawn for a light one, and a dark theme turns
lightness around and keeps the hues: so it follows a change of the theme at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from nbpipe.views.palette import LOOKS, StatusLook

PANEL_CLASS, ROOT_CLASS, GRAPH_CLASS = "nbpipe-panel", "nbpipe-lineage", "nbpipe-graph"
HEIGHTS = (300, 380, 460, 540, 640)
"""Heights of graphs in pixels; the details beside a graph are as high, so that nothing moves when one is read."""


_SHEET = Path(__file__).with_name("lineage.css")
_DARK = (
    'body[data-jp-theme-light="false"]',
    "body.vscode-dark",
    "body.vscode-high-contrast:not(.vscode-high-contrast-light)",
)
#: The arrow of a list; the widgets' own is black in every theme.
_ARROW = (
    "url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E"
    "%3Cpath d='M5 7l4 4 4-4' fill='none' stroke='%23cccccc' stroke-width='2'/%3E%3C/svg%3E\")"
)


def height_class(height: int) -> str:
    """Return the class that gives a graph, and what is beside it, a height before it is laid out."""
    return f"nbpipe-h{height}"


@cache
def style_sheet() -> str:
    """Return the style sheet of what has the class `PANEL_CLASS`."""
    light = _variables(lambda look: (look.ink, look.fill))
    dark = _variables(lambda look: (look.dark_ink, look.dark_fill))
    heights = "".join(
        f".{GRAPH_CLASS}.{height_class(each)} {{ height: {each}px; }}\n"
        f".{height_class(each)} > .nbpipe-details {{ max-height: {each}px; }}\n"
        for each in HEIGHTS
    )
    dark_roots = ", ".join(f"{theme} .{PANEL_CLASS}" for theme in _DARK)
    dark_canvases = ", ".join(f"{theme} .{GRAPH_CLASS} canvas" for theme in _DARK)
    statuses = "".join(
        f".nbpipe-chip.nbpipe-{status} {{ color: var(--nbpipe-{status}); background: var(--nbpipe-{status}-fill); }}\n"
        for status in LOOKS
    )
    return (
        f".{PANEL_CLASS} {{ {light} }}\n"
        f"{dark_roots} {{ color-scheme: dark; --jp-widgets-dropdown-arrow: {_ARROW}; {dark} }}\n"
        f"{dark_canvases} {{ filter: invert(0.9) hue-rotate(180deg); }}\n"
        f"{heights}{statuses}{_SHEET.read_text(encoding='utf-8')}"
    )


def _variables(colours: Callable[[StatusLook], tuple[str, str]]) -> str:
    pairs = ((status, colours(look)) for status, look in LOOKS.items())
    return " ".join(f"--nbpipe-{status}: {ink}; --nbpipe-{status}-fill: {fill};" for status, (ink, fill) in pairs)
