"""Small things that the parts of the widget share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets


def button(text: str, tooltip: str, on_click: Callable[[], None]) -> Any:
    """Return a button; a person can press it by mouse or keyboard."""
    found = widgets.Button(description=text, tooltip=tooltip)
    found.on_click(lambda _: on_click())
    return found


def change(widget: Any, trait: str, value: object) -> None:
    """Change a trait if it is different: what is the same is not sent to the browser."""
    if getattr(widget, trait) != value:
        setattr(widget, trait, value)


def show(widget: Any, *, shown: bool) -> None:
    """Show or hide a widget."""
    change(widget.layout, "display", None if shown else "none")
