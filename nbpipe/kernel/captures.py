"""Keep a copy of what a cell displays, while it is displayed as always."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

#: Larger displays are not kept with the materialization (bytes, all displays of a cell together).
DISPLAY_LIMIT = 1_000_000

#: A widget's view is nothing without its kernel.
_LIVE_ONLY = "application/vnd.jupyter.widget-view+json"

_MISSING = object()


class Displays:
    """The mime bundles that one cell displayed."""

    def __init__(self) -> None:
        self._bundles: list[Mapping[str, Any]] = []
        self._updatable: dict[str, int] = {}
        self._size = 0

    def add(self, data: Mapping[str, Any], display_id: str | None = None, *, update: bool = False) -> None:
        """Keep a bundle if it fits; a display that is updated is kept as it was last."""
        bundle = {mime: _as_text(value) for mime, value in data.items() if mime != _LIVE_ONLY}
        place = self._updatable.get(display_id or "")
        if update and place is None:
            return
        before = _size(self._bundles[place]) if place is not None and update else 0
        size = self._size + _size(bundle) - before
        if not bundle or size > DISPLAY_LIMIT:
            return
        self._size = size
        if update and place is not None:
            self._bundles[place] = bundle
            return
        if display_id is not None:
            self._updatable[display_id] = len(self._bundles)
        self._bundles.append(bundle)

    @property
    def bundles(self) -> tuple[Mapping[str, Any], ...]:
        """What was displayed, in order."""
        return tuple(self._bundles)


@contextmanager
def captured_displays(shell: InteractiveShell) -> Iterator[Displays]:
    """Copy what is displayed inside the block, `display()` and last expressions alike."""
    displays = Displays()
    publisher, hook = shell.display_pub, shell.displayhook
    publish, write = publisher.publish, hook.write_format_data

    def copying_publish(data: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        transient = kwargs.get("transient") or {}
        displays.add(data, transient.get("display_id"), update=bool(kwargs.get("update")))
        return publish(data, *args, **kwargs)

    def copying_write(format_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        displays.add(format_dict)
        return write(format_dict, *args, **kwargs)

    # Hooks of the publisher exist in kernels only; an attribute of the instance covers the method everywhere.
    with _replaced(publisher, "publish", copying_publish), _replaced(hook, "write_format_data", copying_write):
        yield displays


def show_figures() -> None:
    """Show the figures that the inline backend of matplotlib would show at the end of the cell, if it is in use."""
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    pyplot = sys.modules.get("matplotlib.pyplot")
    if inline is not None and pyplot is not None and pyplot.get_fignums() and "inline" in pyplot.get_backend().lower():
        inline.flush_figures()


def replay(shell: InteractiveShell, bundles: tuple[Mapping[str, Any], ...]) -> None:
    """Display again what a cell displayed when its value was computed."""
    for bundle in bundles:
        shell.display_pub.publish(dict(bundle))


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an object another method, and leave it as it was, unless somebody replaced ours."""
    own = vars(owner)
    before = own.get(name, _MISSING)
    own[name] = value
    try:
        yield
    finally:
        if own.get(name) is value:
            del own[name]
            if before is not _MISSING:
                own[name] = before


def _size(bundle: Mapping[str, Any]) -> int:
    return sum(len(str(value)) for value in bundle.values())


def _as_text(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
