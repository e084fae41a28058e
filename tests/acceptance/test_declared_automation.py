"""A notebook that declares jobs, schedules and sensors is executed like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks import write_notebook
from tests.terminal import nbpipe

CELLS = [
    "%load_ext nbpipe",
    "folder = 'in'\n%job nightly orders\n%schedule daily 0 6 * * * --job nightly",
    "%schedule wrong 0 6 * * 9 --job nightly",
    "%%sensor inbox --job nightly\nraise RuntimeError(folder)",
    "%%asset orders\norders = [folder]",
]


@pytest.mark.parametrize("words", [("materialize", "orders"), ("run", "shop.ipynb")])
def test_declarations_do_nothing_in_a_job(project: Path, words: tuple[str, ...]):
    write_notebook(project / "shop.ipynb", CELLS)
    done = nbpipe(project, *words)
    assert done.status == 0, done.err
    assert nbpipe(project, "load", "orders", "--path").status == 0
