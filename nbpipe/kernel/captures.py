"""Keep a copy of what a cell displays, while it is displayed as always."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

#: Larger displays are not kept with the materialization (bytes, all displays of a cell together).
DISPLAY_LIMIT = 1_000_000

#: A widget's view is nothing without its kernel.
_LIVE_ONLY = "application/vnd.jupyter.widget-view+json"


class Displays:
    """The mime bundles that one cell displayed."""

    def __init__(self) -> None:
        self._bundles: list[Mapping[str, Any]] = []
        self._size = 0

    def add(self, data: Mapping[str, Any]) -> None:
        """Keep a bundle if it fits."""
        bundle = {mime: _as_text(value) for mime, value in data.items() if mime != _LIVE_ONLY}
        size = sum(len(str(value)) for value in bundle.values())
        if bundle and self._size + size <= DISPLAY_LIMIT:
            self._bundles.append(bundle)
            self._size += size

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
        if not kwargs.get("update"):
            displays.add(data)
        return publish(data, *args, **kwargs)

    def copying_write(format_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        displays.add(format_dict)
        return write(format_dict, *args, **kwargs)

    # Hooks of the publisher exist in kernels only; an attribute of the instance covers the method everywhere.
    vars(publisher)["publish"] = copying_publish
    vars(hook)["write_format_data"] = copying_write
    try:
        yield displays
    finally:
        del vars(publisher)["publish"]
        del vars(hook)["write_format_data"]


def replay(shell: InteractiveShell, bundles: tuple[Mapping[str, Any], ...]) -> None:
    """Display again what a cell displayed when its value was computed."""
    for bundle in bundles:
        shell.display_pub.publish(dict(bundle))


def _as_text(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
