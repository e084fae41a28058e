"""What an asset body sees in a job is what it sees in a person's kernel."""

from __future__ import annotations

from pathlib import Path

from tests.notebooks import write_notebook
from tests.runs import materialized, opened


def test_names_that_a_foreign_star_import_brings_are_seen(project: Path) -> None:
    cells = [
        "from math import *",
        "%%asset other\nscratch = 1\nother = 2",
        "%%asset a\na = [floor(pi), 'scratch' in globals(), 'other' in globals(), 'later' in globals()]",
        "later = 1",
    ]
    write_notebook(project / "n.ipynb", cells)
    run = materialized(project)
    assert (run.status, run.error) == ("success", None)
    with opened(project) as store:
        current = store.materialization("default", "a")
        assert current is not None
        preview = store.details(current.id).preview
    assert "3" in preview.text
    assert preview.text.lower().count("false") == 3
