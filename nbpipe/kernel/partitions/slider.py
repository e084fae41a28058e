"""Controls that choose the current partition: a slider for time, a drop-down for lists, one for each dimension."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as widgets

from nbpipe import clock
from nbpipe.core.partitions.sets import Dimension, PartitionSet, TimeDimension
from nbpipe.errors import NbpipeError
from nbpipe.kernel.partitions.current import Shown, text_of

_LISTED = 1_000
"""More keys than this are typed, not picked."""
_WHOLE = {"description_width": "initial"}
"""Names of dimensions are as long as they are."""

Move = Callable[[PartitionSet, int, str], list[Shown]]
"""Makes a key of a dimension of a set the current one, and returns what follows for every set."""


class PartitionControls(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """What `%partition` displays."""

    def __init__(self, shown: list[Shown], move: Move) -> None:
        """Show the current partitions; `move` is called when a person moves something."""
        super().__init__()
        self._move, self._quiet = move, True
        self._told = widgets.HTML()
        self._rows = [_Row(each, partial(self._moved, index)) for index, each in enumerate(shown)]
        self._shown = shown
        self.children = (*(row.widget for row in self._rows), self._told)
        self._quiet = False

    def _moved(self, row: int, dimension: int, key: str) -> None:
        if self._quiet:
            return
        self._told.value = ""
        try:
            self._shown = self._move(self._shown[row].of, dimension, key)
        except NbpipeError as error:
            self._told.value = _escaped(str(error))
        self._quiet = True  # following is no moving
        try:
            for each, shown in zip(self._rows, self._shown, strict=True):
                each.follow(shown)
        finally:
            self._quiet = False

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["text/plain"] = text_of(self._shown)
        return bundle


class _Row:
    """The controls of one set: side by side, and below each other where that is too narrow."""

    def __init__(self, shown: Shown, moved: Callable[[int, str], None]) -> None:
        self._key = _words()
        self._parts = [_control(part, partial(moved, index)) for index, part in enumerate(shown.of.dimensions)]
        name = _words(", ".join(shown.assets))
        row = widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 8px")
        self.widget = widgets.HBox([name, *(part.widget for part in self._parts), self._key], layout=row)
        self.follow(shown)

    def follow(self, shown: Shown) -> None:
        """Show the current key."""
        self._key.value = _escaped(shown.key or "no partition so far")
        if shown.key is not None:
            for part, key in zip(self._parts, shown.of.split(shown.key), strict=True):
                part.show(key)


class _Slider:
    """Windows of time, by their rank among those that have ended."""

    def __init__(self, part: TimeDimension, moved: Callable[[str], None]) -> None:
        self._part, self._members = part, part.members(clock.now())
        last = max(len(self._members) - 1, 0)
        self.widget = widgets.IntSlider(
            min=0,
            max=last,
            value=last,
            description=part.name,
            style=_WHOLE,
            readout=False,
            continuous_update=False,
            disabled=not self._members,
        )
        self.widget.observe(lambda change: moved(self._part.key(self._members[change["new"]])), names="value")

    def show(self, key: str) -> None:
        """Go to a key; one whose window has not ended is beyond the end."""
        ordinal = self._part.ordinal(key)
        if ordinal in self._members:
            self.widget.value = self._members.rank(ordinal) - 1


class _Menu:
    """Keys that are listed."""

    def __init__(self, part: Dimension, moved: Callable[[str], None]) -> None:
        keys = [part.key(ordinal) for ordinal in part.ordered(part.members(clock.now()))]
        self.widget = (
            widgets.Dropdown(options=keys, description=part.name, style=_WHOLE)
            if len(keys) <= _LISTED
            else widgets.Text(description=part.name, style=_WHOLE, continuous_update=False)
        )
        self.widget.observe(lambda change: moved(change["new"]) if change["new"] else None, names="value")

    def show(self, key: str) -> None:
        """Go to a key, which may have been added since the control was made."""
        if isinstance(self.widget, widgets.Dropdown) and key not in self.widget.options:
            self.widget.options = (*self.widget.options, key)
        self.widget.value = key


def _control(part: Dimension, moved: Callable[[str], None]) -> _Slider | _Menu:
    return _Slider(part, moved) if isinstance(part, TimeDimension) else _Menu(part, moved)


def _words(text: str = "") -> Any:
    """Return text that goes on in the next line where a label would be cut off."""
    return widgets.HTML(_escaped(text), layout=widgets.Layout(width="auto", max_width="100%"))


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
