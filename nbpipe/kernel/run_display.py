"""A run as it is shown in a notebook: one line for each asset, updated in place."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from IPython.core.display_functions import DisplayHandle, display

from nbpipe.commands.run_results import AssetProgress
from nbpipe.core.records import Outcome, Run
from nbpipe.core.runs.outcomes import AssetOutcome
from nbpipe.core.runs.plans import RunPlan
from nbpipe.pages.faces import in_notebook
from nbpipe.pages.text import shown

#: Sign and word of each outcome: never colour alone.
_LOOK: dict[Outcome, tuple[str, str]] = {
    "queued": ("◆", "queued"),
    "running": ("▶", "running"),
    "success": ("●", "materialized"),
    "unchanged": ("○", "unchanged"),
    "failed": ("✖", "failed"),
    "skipped": ("□", "skipped"),
    "canceled": ("□", "canceled"),
}
_COLOUR: dict[Outcome, str] = {
    "running": "var(--jp-info-color1, #0a5fc4)",
    "success": "var(--jp-success-color1, #1a7f37)",
    "failed": "var(--jp-error-color1, #c11c28)",
}
_DIM = "var(--jp-ui-font-color2, #5c6570)"


class RunDisplay:
    """What IPython displays, again after each change."""

    def __init__(self, plan: RunPlan) -> None:
        """Begin with everything queued."""
        self._handle: DisplayHandle | None = None
        self._run: Run | None = None
        self._assets = [AssetProgress(asset=spec.key) for spec in plan.assets]
        self._records: list[str] = []

    def show(self) -> None:
        """Display it, to be updated in place."""
        show: Callable[..., DisplayHandle | None] = display
        self._handle = show(self, display_id=True)

    def update(self, run: Run, assets: list[AssetProgress], records: list[str]) -> None:
        """Show what has changed."""
        if (run, assets, records) == (self._run, self._assets, self._records):
            return
        self._run, self._assets, self._records = run, assets, records
        if self._handle is not None:
            update: Callable[[RunDisplay], None] = self._handle.update
            update(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self._plain(), "text/html": self._html()}

    def _headline(self) -> str:
        return "starting" if self._run is None else f"run {self._run.status}"

    def _plain(self) -> str:
        width = max((len(each.asset) for each in self._assets), default=0)
        lines = [self._headline()]
        for each in self._assets:
            sign, word = _LOOK[each.outcome]
            word += f" ({_counted(each.partitions)})" if each.partitions is not None else ""
            lines.append(
                f"  {sign} {each.asset:<{width}}  {word}"
                + (f": {shown(in_notebook(each.error))}" if each.error else "")
            )
        return "\n".join([*lines, *(f"  record: {shown(path)}" for path in self._records)])

    def _html(self) -> str:
        rows = "".join(map(_row, self._assets))
        records = "".join(
            f'<div style="color:{_DIM}">record: <code>{html.escape(path)}</code></div>' for path in self._records
        )
        return (
            f'<div role="status"><b>{html.escape(self._headline())}</b>'
            f'<table style="margin:4px 0">{rows}</table>{records}</div>'
        )


def _row(asset: AssetProgress) -> str:
    sign, word = _LOOK[asset.outcome]
    colour = _COLOUR.get(asset.outcome, _DIM)
    error = f"<td>{html.escape(in_notebook(asset.error))}</td>" if asset.error else "<td></td>"
    bar = "" if asset.partitions is None else _bar(asset.asset, asset.partitions)
    return (
        f'<tr><td style="text-align:left">{html.escape(asset.asset)}</td>'
        f'<td style="text-align:left;color:{colour}">{sign} {word}{bar}</td>{error}</tr>'
    )


def _bar(asset: str, found: AssetOutcome) -> str:
    """Draw how many partitions have ended."""
    label = html.escape(f"partitions of {asset}", quote=True)
    return (
        f' <progress aria-label="{label}" max="{found.total}" value="{found.total - found.left}"></progress>'
        f' <span style="color:{_DIM}">{_counted(found)}</span>'
    )


def _counted(found: AssetOutcome) -> str:
    """Say how many partitions have ended, and how."""
    parts = [f"{found.done:,} of {found.total:,} partitions"]
    more = ((found.idle, "skipped"), (found.failed, "failed"), (found.lost, "not done"))
    parts += [f"{number:,} {word}" for number, word in more if number]
    return ", ".join(parts)
