import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.core import networks
from nbpipe.core.definitions import AssetOptions
from nbpipe.core.graph import AssetGraph
from tests.unit.core.assets import chain, project, spec


def order(graph: AssetGraph) -> tuple[str, ...]:
    """Return what has a place in an order: all assets but those on circles."""
    return tuple(key for key in graph.arrange(graph) if key not in graph.cyclic)


DIAMOND = AssetGraph({"d": "bc", "b": "a", "c": "a", "a": ""})


def test_neighbours_are_sorted_and_direct():
    assert DIAMOND.upstream("d") == ("b", "c")
    assert DIAMOND.downstream("a") == ("b", "c")
    assert DIAMOND.keys == ("a", "b", "c", "d")
    assert list(DIAMOND.edges) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


@pytest.mark.parametrize(
    ("start", "depth", "above", "below"),
    [
        ("a", None, "", "bcd"),
        ("b", None, "a", "d"),
        ("d", None, "abc", ""),
        ("d", 1, "bc", ""),
        ("a", 1, "", "bc"),
        ("a", 0, "", ""),
        ("bd", None, "abc", "d"),
        ("", None, "", ""),
    ],
)
def test_reaches_the_given_number_of_edges(start, depth, above, below):
    assert DIAMOND.ancestors(start, depth) == set(above)
    assert DIAMOND.descendants(start, depth) == set(below)


def test_roots_and_sinks_of_all_and_of_some():
    assert (DIAMOND.roots(), DIAMOND.sinks()) == (("a",), ("d",))
    assert (DIAMOND.roots("bcd"), DIAMOND.sinks("abc")) == (("b", "c"), ("b", "c"))


def test_order_is_topological_and_by_name_where_free():
    graph = AssetGraph({"z": "", "a": "z", "b": "", "c": "ab"})
    assert order(graph) == ("b", "z", "a", "c")
    assert graph.arrange(["c", "z"]) == ("z", "c")


def test_an_upstream_defined_nowhere_is_listed_and_harmless():
    graph = AssetGraph.of([spec("a", "ghost"), spec("b", "a")])
    assert dict(graph.missing) == {"a": ("ghost",)}
    assert graph.upstream("a") == ()
    assert "ghost" not in graph
    assert order(graph) == ("a", "b")


@pytest.mark.parametrize(
    ("edges", "circles", "ordered"),
    [
        ({"a": "a"}, [("a", "a")], ()),
        ({"a": "b", "b": "a", "c": "b", "d": ""}, [("a", "b", "a")], ("c", "d")),
        ({"b": "a", "c": "b", "a": "c", "x": "y", "y": "x"}, [("a", "b", "c", "a"), ("x", "y", "x")], ()),
        ({"a": "cd", "b": "a", "c": "b", "d": "a"}, [("a", "d", "a")], ()),
        ({"a": "", "b": "ac", "c": "b", "d": "c", "e": "d"}, [("b", "c", "b")], ("a", "d", "e")),
        ({"a": "", "b": "a"}, [], ("a", "b")),
    ],
)
def test_circles_are_shown_and_the_rest_still_has_an_order(edges, circles, ordered):
    graph = AssetGraph(edges)
    assert list(graph.cycles()) == circles
    assert order(graph) == ordered
    assert graph.cyclic == {key for circle in circles for key in circle} | (
        {"b", "c"} if edges.get("a") == "cd" else set()
    )
    assert set(graph.arrange(graph)) == set(edges)


def test_reading_ones_own_earlier_partition_is_no_circle():
    options = AssetOptions(map=(("total", "offset(-1)"),))
    assert not AssetGraph.of([spec("total", "total", options=options)]).cycles()
    assert AssetGraph.of([spec("total", "total")]).cycles() == (("total", "total"),)


@pytest.mark.parametrize("closed", [False, True])
def test_a_chain_of_20_000_assets_works(closed):
    names = [f"n{index:05}" for index in range(20_000)]
    edges = {name: [names[index - 1]] if index else [] for index, name in enumerate(names)}
    if closed:
        edges[names[0]] = [names[9_999]]
    graph = AssetGraph(edges)
    assert len(order(graph)) == (10_000 if closed else 20_000)
    assert [len(circle) for circle in graph.cycles()] == ([10_001] if closed else [])
    assert len(graph.descendants([names[0]])) == (20_000 if closed else 19_999)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_agrees_with_networkx(pairs):
    edges = {str(node): [str(a) for a, b in pairs if b == node] for node in range(8)}
    graph = AssetGraph(edges)
    other = networks.digraph(graph)
    knots = [c for c in nx.strongly_connected_components(other) if len(c) > 1 or other.has_edge(*[*c] * 2)]
    assert graph.cyclic == set().union(*knots)
    assert len(graph.cycles()) == len(knots)
    for circle in graph.cycles():
        assert nx.is_path(other, circle)
    for node in other:
        assert graph.ancestors([node]) - {node} == nx.ancestors(other, node)
    place = {key: index for index, key in enumerate(order(graph))}
    assert all(place[a] < place[b] for a, b in graph.edges if a in place and b in place)


def test_a_networkx_graph_carries_what_the_assets_say():
    definitions = project(
        spec("a", options=AssetOptions(group="g", tags=(("k", "v"),))), spec("b", "~a"), spec("c", "a")
    )
    result = networks.digraph(AssetGraph.of(definitions), definitions.assets, keys=["a", "b"])
    assert list(result) == ["a", "b"]
    assert result.nodes["a"]["tags"] == {"k": "v"}
    assert result.edges["a", "b"] == {"loaded": False}


def test_definitions_make_the_same_graph_as_their_assets():
    definitions = project(*chain("x", "y", "z"))
    assert list(AssetGraph.of(definitions).edges) == list(AssetGraph.of(definitions.assets.values()).edges)
