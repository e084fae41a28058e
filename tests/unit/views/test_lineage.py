import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.staleness import Assessment
from nbpipe.views.bundles import bundles, lineage_of, open_bundles
from nbpipe.views.layout import NODE_GAP, layered
from nbpipe.views.lineage import MOST, lineage
from tests.unit.core.assets import chain, project, spec


def show(specs, selection=None, statuses=None, **wanted):
    definitions = project(*specs)
    graph = AssetGraph.of(definitions)
    assessments = {
        key: Assessment(asset=key, status=status, reasons=(f"why {key}",)) for key, status in (statuses or {}).items()
    }
    return lineage(definitions, graph, assessments, selection, **wanted)


def ids(view):
    return [node.id for node in view.nodes]


def many(count, *, group=None, notebook="nb{0:03}.ipynb", per=10):
    """Write a long chain in which each notebook (or group) holds `per` assets."""
    return [
        spec(
            f"n{index:04}",
            f"n{index - 1:04}" if index else "",
            notebook=notebook.format(index // per),
            index=index % per,
            options=AssetOptions(group=group.format(index // per) if group else None),
        )
        for index in range(count)
    ]


def test_a_small_graph_is_drawn_asset_by_asset():
    view = show(
        [spec("a", description="raw data"), spec("b", "a", index=1), spec("c", "a b", index=2)],
        statuses={"a": "fresh", "b": "stale"},
    )
    assert [(node.id, node.status, node.upstream, node.downstream) for node in view.nodes] == [
        ("a", "fresh", 0, 2),
        ("b", "stale", 1, 1),
        ("c", "missing", 2, 0),
    ]
    assert [(edge.source, edge.target) for edge in view.edges] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert view.nodes[0].description == "raw data"
    assert view.nodes[1].reasons == ("why b",)
    assert view.counts == {"fresh": 1, "stale": 1, "missing": 1}
    assert view.note == ""


def test_only_the_selection_is_drawn_or_also_what_is_around_it():
    specs = chain("a", "b", "c", "d", "e")
    assert ids(show(specs, ["b", "c"])) == ["b", "c"]
    view = show(specs, ["c"], around=1)
    assert [(node.id, node.outside) for node in view.nodes] == [("b", True), ("c", False), ("d", True)]


def test_what_is_around_is_left_out_where_there_is_no_room():
    specs = [spec("a"), *(spec(f"b{index}", "a", index=1 + index) for index in range(20))]
    assert ids(show(specs, ["a"], around=1, limit=10)) == ["a"]


@pytest.mark.parametrize(
    ("specs", "labels"),
    [
        (many(100, group="g{0}"), [f"g{index}" for index in range(10)]),
        (many(100), [f"nb{index:03}" for index in range(10)]),
        (many(100, notebook="in/nb{0}.ipynb"), [f"nb{index}" for index in range(10)]),
    ],
)
def test_a_big_graph_opens_in_bundles_by_group_or_by_notebook(specs, labels):
    view = show(specs)
    assert [node.label for node in view.nodes] == labels
    assert {(node.kind, node.assets) for node in view.nodes} == {("bundle", 10)}
    assert [(edge.source, edge.target, edge.links) for edge in view.edges] == [
        (a, b, 1) for a, b in itertools.pairwise(ids(view))
    ]
    assert "100 assets, drawn as 10 nodes" in view.note


def test_assets_without_a_group_are_bundled_by_notebook_beside_the_groups():
    specs = many(50, group="g{0}") + [
        spec(f"m{index:02}", notebook=f"plain{index // 10}.ipynb", index=index) for index in range(20)
    ]
    assert sorted(ids(show(specs))) == [
        *(f"group:g{index}" for index in range(5)),
        "notebook:plain0.ipynb",
        "notebook:plain1.ipynb",
    ]


def test_a_bundle_says_how_its_assets_are():
    statuses = {f"n{index:04}": "failed" if index == 3 else "fresh" for index in range(100)}
    view = show(many(100, group="g{0}"), statuses=statuses)
    assert (view.nodes[0].status, view.nodes[0].counts) == ("failed", {"fresh": 9, "failed": 1})
    assert view.nodes[0].reasons == ("1 failed, 9 fresh",)
    assert view.nodes[1].status == "fresh"
    assert view.groups[0].counts == {"fresh": 9, "failed": 1}


def test_a_bundle_opens_into_its_assets():
    view = show(many(100, group="g{0}"), expanded=["group:g3"])
    assert view.expanded == ("group:g3",)
    assert [node.id for node in view.nodes if node.kind == "asset"] == [f"n{index:04}" for index in range(30, 40)]
    assert ("group:g2", "n0030") in {(edge.source, edge.target) for edge in view.edges}


def test_earlier_bundles_are_closed_where_there_is_no_room():
    view = show(many(600, group="g{0}", per=30), expanded=["group:g3", "group:g8", "group:gone"])
    assert view.expanded == ("group:g8",)
    assert len(view.nodes) == 49


def test_what_is_not_linked_to_an_open_bundle_is_left_out_where_there_is_no_room():
    view = show(many(1500, group="g{0:02}", per=30), expanded=["group:g08"])
    assert len(view.nodes) == 32
    assert view.note == "g08 and what is linked to it; 47 more nodes are not drawn"


@pytest.mark.parametrize("limit", [60, 300, 5_000])
@pytest.mark.parametrize(
    "specs",
    [
        many(2_000),
        many(2_000, per=2_000),
        many(2_000, per=1),
        many(2_000, per=5, notebook="a/b/c{0}.ipynb"),
        many(2_000, per=3, group="team/g{0}"),
        many(2_000, per=2_000, group="one"),
    ],
)
def test_never_more_than_the_limit_is_drawn_at_first(specs, limit):
    view = show(specs, limit=limit)
    assert 1 < len(view.nodes) <= min(limit, MOST)
    assert sum(node.assets for node in view.nodes) == view.assets == 2_000
    assert view.note


def test_300_nodes_are_drawn_by_choice():
    assert len(show(many(300), limit=300).nodes) == 300


@pytest.mark.parametrize(
    ("notebooks", "labels"),
    [
        ([f"{team}/nb{index}.ipynb" for team in "ab" for index in range(5)], ["a/", "b/"]),
        ([f"top/{team}/nb{index}.ipynb" for team in "ab" for index in range(5)], ["top/a/", "top/b/"]),
        (["x.ipynb", *(f"a/nb{index}.ipynb" for index in range(5))], ["a/", "x"]),
        ([f"nb{index:02}.ipynb" for index in range(8)], ["nb00 … nb03", "nb04 … nb07"]),
    ],
)
def test_too_many_bundles_are_bundled_by_folder_or_by_range(notebooks, labels):
    specs = {f"n{index}": spec(f"n{index}", notebook=path) for index, path in enumerate(notebooks)}
    assert sorted(bundle.label for bundle in bundles(list(specs), specs, 4)) == labels


def test_groups_are_bundled_by_what_their_names_begin_with():
    names = ["sales", "sales/eu", "sales/us", "people/a", "people/b"]
    specs = {f"n{index}": spec(f"n{index}", options=AssetOptions(group=name)) for index, name in enumerate(names)}
    roots = bundles(list(specs), specs, 3)
    assert {root.label: root.keys for root in roots} == {"sales/": ("n0", "n1", "n2"), "people/": ("n3", "n4")}
    assert [bundle.id for bundle in lineage_of(roots, "group:sales/eu")] == ["groups:sales", "group:sales/eu"]
    assert lineage_of(roots, "group:nothing") == ()


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "g", "g/h", "x/y/z"]), st.sampled_from("abcdefgh")), min_size=1, max_size=60
    )
)
def test_bundles_hold_every_asset_once_however_they_are_opened(drawn):
    specs = {
        f"n{index:02}": spec(f"n{index:02}", notebook=f"{name}/{name}.ipynb", options=AssetOptions(group=group or None))
        for index, (group, name) in enumerate(drawn)
    }
    roots = bundles(list(specs), specs, 4)
    assert len(roots) <= 4
    opened, seen = set(), None
    while seen != opened:
        seen = set(opened)
        items = open_bundles(roots, opened)
        keys = [key for item in items for key in ([item] if isinstance(item, str) else item.keys)]
        assert sorted(keys) == list(specs)
        opened |= {item.id for item in items if not isinstance(item, str)}
    assert all(isinstance(item, str) for item in items)


def test_bundles_may_feed_each_other_in_a_circle():
    specs = [
        spec(f"n{index}", f"n{index - 1}" if index else "", options=AssetOptions(group="ab"[index % 2]))
        for index in range(8)
    ]
    view = show(specs, limit=3)
    assert {(edge.source, edge.target, edge.links) for edge in view.edges} == {
        ("group:a", "group:b", 4),
        ("group:b", "group:a", 3),
    }
    assert len({(node.x, node.y) for node in view.nodes}) == 2


def test_assets_on_a_circle_are_drawn_too():
    view = show([spec("a", "c"), spec("b", "a", index=1), spec("c", "b", index=2)])
    assert len(view.edges) == 3


def test_an_empty_project_is_an_empty_view():
    assert show([]).nodes == ()
    assert show(chain("a"), []).nodes == ()


# --- places ---


def test_layers_follow_the_arrows_and_roots_stand_beside_what_they_feed():
    places = layered("azbc", [("a", "b"), ("b", "c"), ("z", "c"), ("a", "c")]).nodes
    assert [places[node][0] / places["b"][0] for node in "abcz"] == [0, 1, 2, 1]


def test_long_edges_are_led_through_the_layers_between():
    layout = layered("abc", [("a", "b"), ("b", "c"), ("a", "c")])
    (way,) = layout.waypoints.values()
    assert list(layout.waypoints) == [("a", "c")]
    assert way[0][0] == layout.nodes["b"][0]
    assert way[0][1] != layout.nodes["b"][1]


def test_nodes_without_edges_stand_below_in_rows():
    places = layered([*"ab", *"uvwxyz"], [("a", "b")]).nodes
    assert min(places[node][1] for node in "uvwxyz") >= max(places["a"][1], places["b"][1]) + NODE_GAP


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=40))
def test_nodes_never_overlap(pairs):
    nodes = [f"{index:02}" for index in range(15)]
    edges = {(f"{a:02}", f"{b:02}") for a, b in pairs if a != b}
    places = layered(nodes, sorted(edges)).nodes
    assert set(places) == set(nodes)
    for one, other in itertools.combinations(places.values(), 2):
        assert one[0] != other[0] or abs(one[1] - other[1]) >= NODE_GAP - 0.2


def test_a_chain_of_many_nodes_is_laid_out():
    nodes = [f"{index:05}" for index in range(5_000)]
    assert len({x for x, _ in layered(nodes, itertools.pairwise(nodes)).nodes.values()}) == 5_000
