"""What big projects cost: reading notebooks, the graph, planning, and looking at the lineage. In CPU time."""

from __future__ import annotations

import shutil
import time

import pytest

from nbpipe.core.graph import AssetGraph
from nbpipe.core.runs.planning import plan_run
from nbpipe.core.staleness import assess
from nbpipe.loading.project import load_project
from tests.benchmarks.figures import alternate, loop, milliseconds, slower
from tests.benchmarks.projects import chain, write_project
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

CPU = time.process_time
NOTEBOOKS, ASSETS = 250, 5_000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("big")
    write_project(root, notebooks=NOTEBOOKS, assets=ASSETS // NOTEBOOKS)
    return root


@pytest.fixture(scope="module")
def definitions(root):
    definitions = load_project(root).definitions
    assert len(definitions.assets) == ASSETS
    assert not definitions.diagnostics
    return definitions


def test_a_project_that_was_never_seen_is_indexed_fast(figures, root):
    def cold():
        shutil.rmtree(root / ".nbpipe", ignore_errors=True)
        load_project(root)

    cold()
    found = alternate({"loop": loop, "cold": cold}, times=5, clock=CPU)
    figures.check("cold index, a notebook of 20 assets (CPU)", found["cold"] / NOTEBOOKS, 10 * slower(found["loop"]))


def test_a_project_that_was_seen_before_is_loaded_in_no_time(figures, root, definitions):
    figures.note("warm index, 5,000 assets (CPU)", milliseconds(lambda: load_project(root), times=9, clock=CPU))


def test_an_edited_notebook_costs_what_it_costs(figures, root, definitions):
    notebook = next(root.rglob("notebook7.ipynb"))
    text = notebook.read_text(encoding="utf-8")
    numbers = iter(range(100))

    def edit():
        notebook.write_text(text.replace("LIMIT = 7", f"LIMIT = {next(numbers)}"), encoding="utf-8")
        load_project(root)

    edited = milliseconds(edit, times=9, clock=CPU)
    notebook.write_text(text, encoding="utf-8")
    figures.note("index after one edit, 5,000 assets (CPU)", edited)


def test_graph_and_plan_of_5000_assets(figures, definitions):
    graph = AssetGraph.of(definitions)

    def plan():
        run = plan_run(definitions, graph, tuple(definitions.assets), env="default", materialized=set())
        assert sum(len(step.assets) for step in run.steps) == ASSETS

    works = {"loop": loop, "graph": lambda: AssetGraph.of(definitions), "plan": plan}
    found = alternate(works, times=9, clock=CPU)
    slow = slower(found["loop"])
    figures.check("graph of 5,000 assets (CPU)", found["graph"], 150 * slow)
    figures.check("planning all of 5,000 assets (CPU)", found["plan"], 200 * slow)


def test_a_chain_of_20000_assets_works(figures, tmp_path):
    (tmp_path / "nbpipe.toml").touch()
    write_notebook(tmp_path / "chain.ipynb", chain(20_000))
    definitions = load_project(tmp_path).definitions
    assert not definitions.diagnostics
    graph = AssetGraph.of(definitions)
    keys = tuple(definitions.assets)

    def plan():
        (step,) = plan_run(definitions, graph, keys, env="default", materialized=set()).steps
        assert len(step.assets) == 20_000

    def status():
        found = assess(definitions, graph, {}, now=None, files=str)
        assert {each.status for each in found.values()} == {"missing"}

    figures.note("planning a chain of 20,000 assets (CPU)", milliseconds(plan, times=3, clock=CPU))
    figures.note("status of a chain of 20,000 assets (CPU)", milliseconds(status, times=3, clock=CPU))
    assert len(graph.ancestors(["a19999"])) >= 19_999
