"""A backfill as it is shown in a notebook: a bar and numbers, updated in place, and a button that cancels it."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from IPython.core.display_functions import DisplayHandle, display

from nbpipe.core.backfills.records import ACTIVE_BACKFILL, Backfill
from nbpipe.pages.faces import in_notebook
from nbpipe.pages.text import shown

_WORDS = {"queued": "starting", "success": "done", "failure": "failed", "canceled": "canceled", "running": "running"}
_PARTS = (
    ("done", "done", "var(--jp-success-color1, #1a7f37)"),
    ("skipped", "skipped", "var(--jp-ui-font-color2, #5c6570)"),
    ("failed", "failed", "var(--jp-error-color1, #c11c28)"),
    ("lost", "lost because of failures upstream", "var(--jp-warn-color1, #8a5a00)"),
)
_WIDGET = "application/vnd.jupyter.widget-view+json"


class BackfillDisplay:
    """What IPython displays, again after each change. No times: they would make a difference in git for nothing."""

    def __init__(self, backfill: Backfill, cancel: Callable[[], None] | None) -> None:
        """Begin with a backfill as it is recorded; without `cancel` there is no button."""
        self._backfill = backfill
        self._stopped = False
        self._handle: DisplayHandle | None = None
        self._button = None if cancel is None else _button(cancel)

    def show(self) -> None:
        """Display it, to be updated in place."""
        show: Callable[..., DisplayHandle | None] = display
        self._handle = show(self, display_id=True)
        if self._button is not None:
            bundle = {
                "text/plain": "",
                _WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self._button.model_id},
            }
            show(bundle, raw=True)

    def update(self, backfill: Backfill, *, stopped: bool = False) -> None:
        """Show what has changed; without the button, once it has ended, or once nobody works on it any more."""
        if (backfill, stopped) == (self._backfill, self._stopped):
            return
        self._backfill, self._stopped = backfill, stopped
        if self._handle is not None:
            update: Callable[[BackfillDisplay], None] = self._handle.update
            update(self)
        if self._button is not None and (stopped or backfill.status not in ACTIVE_BACKFILL):
            self._button.close()
            self._button = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self._plain(), "text/html": self._html()}

    def _headline(self) -> str:
        found = self._backfill
        if self._stopped:
            return f"backfill stopped: %backfill resume {found.id} goes on with it"
        asked = ", asked to stop" if found.cancel_requested and found.status == "running" else ""
        return f"backfill of {shown(found.selection)} ({shown(found.partitions)}): {_WORDS[found.status]}{asked}"

    def _numbers(self) -> str:
        found = self._backfill
        told = [f"{getattr(found, name):,} {word}" for name, word, _ in _PARTS if getattr(found, name)]
        return f"{', '.join(told) or 'nothing done'} of {found.total:,}"

    def _plain(self) -> str:
        lines = [self._headline(), f"  {self._numbers()}"]
        return "\n".join(lines + ([f"  {shown(in_notebook(self._backfill.error))}"] if self._backfill.error else []))

    def _html(self) -> str:
        found = self._backfill
        shares = "".join(
            f'<div title="{getattr(found, name):,} {word}" '
            f'style="width:{100 * getattr(found, name) / max(1, found.total):.3f}%;background:{colour}"></div>'
            for name, word, colour in _PARTS
            if getattr(found, name)
        )
        error = (
            f'<div style="color:{_PARTS[2][2]}">{html.escape(in_notebook(found.error))}</div>' if found.error else ""
        )
        return (
            f'<div role="status"><b>{html.escape(self._headline())}</b>'
            '<div style="display:flex;height:8px;max-width:480px;margin:4px 0;'
            f'background:var(--jp-layout-color3, #d0d7de)">{shares}</div>'
            f"<div>{html.escape(self._numbers())}</div>{error}</div>"
        )


def _button(cancel: Callable[[], None]) -> Any:
    from nbpipe.kernel.lineage.buttons import button

    return button("Cancel", "Stop this backfill and its runs; what is done stays", cancel)
