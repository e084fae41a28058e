"""Lineage of a notebook that means harm."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.notebooks import write_notebook
from tests.ui.graphs import LineageWidget

HARM = "<img src=x onerror=window.harm=1>"


def test_nothing_of_a_notebook_is_executed_by_the_widget(lab):
    root = lab.root / "harm"
    cells = [
        "%load_ext nbpipe",
        f'%%asset bad --group "{HARM}" --description "{HARM}" --metadata "k={HARM}"\nbad = {HARM!r}',
        f'%%asset worse --group "{HARM}"\n# {HARM}\nimport pandas as pd\nworse = pd.DataFrame({{bad: [bad]}})',
        f"%%asset worst\nworst = worse\nraise ValueError({HARM!r})",
        "%lineage",
    ]
    write_notebook(root / "harm.ipynb", cells)
    (root / "nbpipe.toml").touch()
    lab.open("harm/harm.ipynb")
    for index in range(len(cells)):
        lab.run_cell(index)
    lineage = LineageWidget(lab)
    lineage.wait(3)
    assert lineage.statuses()["worst"] == "failed"
    for node in ("bad", "worse", "worst"):
        lineage.click(node)
        expect(lineage.details.get_by_role("heading", level=3)).to_have_text(node)
        lineage.expect_details(HARM)
    lineage.select(HARM)
    expect(lineage.error.get_by_role("alert")).to_contain_text("onerror")
    assert lab.page.evaluate("window.harm") is None
    assert lineage.root.locator("img[src=x]").count() == 0
    lab.close_notebook()
