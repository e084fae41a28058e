"""The asset graph as a networkx graph, for people who want its algorithms.

The only file that imports networkx, and only when it is called: the import costs a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.graph import AssetGraph


def digraph(graph: AssetGraph, specs: Mapping[str, AssetSpec] | None = None, keys: Iterable[str] | None = None) -> Any:
    """Return a new `networkx.DiGraph` of all assets, or of `keys` alone, nodes in topological order.

    Edges go from upstream to downstream. With `specs`, nodes carry `group`, `notebook`, `kinds`, `owners`, `tags`
    (a dictionary) and `description`, and each edge says in `loaded` whether the value is read or only the order kept.
    """
    import networkx as nx

    chosen = graph.arrange(graph if keys is None else keys)
    among = frozenset(chosen)
    result = nx.DiGraph()
    for key in chosen:
        result.add_node(key, **(_attributes(specs[key]) if specs else {}))
    for key in chosen:
        for above in graph.upstream(key):
            if above in among:
                result.add_edge(above, key, **({"loaded": above in specs[key].inputs} if specs else {}))
    return result


def _attributes(spec: AssetSpec) -> dict[str, Any]:
    return {
        "group": spec.options.group,
        "notebook": spec.cell.notebook,
        "kinds": spec.options.kinds,
        "owners": spec.options.owners,
        "tags": dict(spec.options.tags),
        "description": spec.description,
    }
