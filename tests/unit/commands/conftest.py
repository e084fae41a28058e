"""A small project, and a terminal to call commands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks import markdown, parameters, write_notebook
from tests.terminal import Terminal

CELLS = (
    markdown("The orders of a shop."),
    parameters("limit = 10"),
    "def clean(rows):\n    return [row for row in rows if row > 0]",
    "%%asset orders --group shop --tag team=sales --owner ann --kind list\norders = [3, -1, 2]",
    "%%asset cleaned --description 'Orders that count.'\ncleaned = clean(orders)[:limit]",
    "%%asset total\ntotal = sum(cleaned)",
    "print(total)",
)


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Return what calls commands in this process."""
    return Terminal(capsys)


@pytest.fixture
def shop(project: Path) -> Path:
    """Return the folder of a project with three assets in `shop.ipynb`; it is the current folder."""
    write_notebook(project / "shop.ipynb", CELLS)
    return project
