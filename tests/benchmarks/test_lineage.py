"""What looking at the lineage of a big project costs, as data, as a picture, and in a notebook."""

from __future__ import annotations

import time

import pytest

from nbpipe.commands.lineage import lineage_view
from nbpipe.commands.workspace import Workspace
from nbpipe.views.svg import svg
from tests.benchmarks.figures import milliseconds, slowness
from tests.benchmarks.kernels import persons_kernel
from tests.benchmarks.projects import write_project
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]


def test_the_lineage_of_2000_assets_opens_in_two_seconds(figures, tmp_path):
    write_project(tmp_path, notebooks=100, assets=20)
    with Workspace.open(tmp_path) as workspace:
        views = []
        took = milliseconds(lambda: views.append(lineage_view(workspace)), times=5, clock=time.process_time)
        figures.note("lineage of 2,000 assets, as data (CPU)", took)
        assert views[-1].assets == 2_000
        figures.note("lineage of 2,000 assets, as SVG (CPU)", milliseconds(lambda: svg(views[-1]), times=5))
        whole = milliseconds(lambda: svg(lineage_view(workspace, limit=300)), times=5, clock=time.process_time)
        figures.note("lineage of 2,000 assets, 300 nodes, as SVG (CPU)", whole)
    notebook = write_notebook(tmp_path / "lineage.ipynb", ["%load_ext nbpipe", "%lineage"])
    with persons_kernel(notebook) as kernel:
        loading, _ = kernel.run("%load_ext nbpipe", "cell-0")
        first, _ = kernel.run("%lineage", "cell-1")
        again = sorted(kernel.run("%lineage", "cell-1")[0] for _ in range(3))[1]
    limit = 1000 * slowness()  # the browser has the other second
    figures.note("%load_ext nbpipe in a project of 2,000 assets", loading)
    figures.check("%lineage of 2,000 assets in a kernel, the first time", first, limit)
    figures.check("%lineage of 2,000 assets in a kernel, again", again, limit)
