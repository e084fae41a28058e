"""ipycytoscape, imported without pandas and networkx, works as it does with them."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = "import sys; from nbpipe.kernel.lineage.light_import import import_ipycytoscape as light\n"


@pytest.mark.parametrize(
    "code",
    [
        "light().CytoscapeWidget(); assert not {'pandas', 'networkx'} & set(sys.modules)",
        "light(); import ipycytoscape; assert light() is ipycytoscape is light()",
        "light(); assert not any('light_import' in type(each).__module__ for each in sys.meta_path)",
        (
            "library = light()\nimport networkx\n"
            "drawn = library.CytoscapeWidget(graph=networkx.path_graph(3)).graph\n"
            "assert (len(drawn.nodes), len(drawn.edges)) == (3, 2)"
        ),
        "import networkx\nassert light().cytoscape.nx is networkx",
        "import ipycytoscape\nassert light() is ipycytoscape and light().cytoscape.pd is sys.modules['pandas']",
        "library = light()\nassert library.cytoscape.pd.DataFrame.__name__ == 'DataFrame' and 'pandas' in sys.modules",
        "light(); import pandas; assert sys.modules['pandas'] is pandas and pandas.__file__",
        "import inspect\nassert 'class CytoscapeWidget' in inspect.getsource(light().cytoscape)",
    ],
    ids=[
        "neither is imported",
        "there is one package",
        "imports are as before",
        "graphs of networkx are taken",
        "what is there is used",
        "an imported package is left as it is",
        "what is used is imported",
        "others import the real ones",
        "its source is found",
    ],
)
def test_a_new_process_imports_only_what_is_needed(code):
    subprocess.run([sys.executable, "-c", LIGHT + code], check=True, timeout=120)
