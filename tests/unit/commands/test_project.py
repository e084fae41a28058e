"""What Python code can ask of a project."""

from __future__ import annotations

import pytest

import nbpipe
from nbpipe.errors import UnknownNameError


def test_the_graph_is_one_of_networkx(shop):
    with nbpipe.Project(shop) as project:
        whole, part = project.graph(), project.graph("+cleaned")
        with pytest.raises(UnknownNameError):
            project.graph("zork")
    assert list(whole.edges) == [("orders", "cleaned"), ("cleaned", "total")]
    assert list(part) == ["orders", "cleaned"]
    assert part.nodes["orders"]["group"] == "shop"
    assert part.edges["orders", "cleaned"] == {"loaded": True}
