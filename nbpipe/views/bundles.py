"""Bundles of assets, for graphs that are too big to draw: by group, else by notebook.

Where there are more bundles than can be drawn, groups are bundled by the parts of their names (`sales/eu` is in
`sales`), notebooks by their folders, and what is still too much by ranges of names. A bundle opens into the ones
below it, the last ones into their assets; one that holds too many assets opens into its notebooks or into ranges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from nbpipe.core.definitions import AssetSpec

_Item = TypeVar("_Item")


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Assets that are drawn as one node."""

    id: str
    label: str
    kind: str
    """`group`, `notebook`, `folder` or `range`."""
    keys: tuple[str, ...]
    """All its assets, in topological order."""
    parts: tuple[Bundle, ...] = ()
    """What it opens into; if empty, its assets."""


def bundles(keys: Sequence[str], specs: Mapping[str, AssetSpec], limit: int) -> tuple[Bundle, ...]:
    """Return at most `limit` bundles that hold all of `keys`, which come in topological order."""
    place = {key: index for index, key in enumerate(keys)}
    groups: dict[str, list[str]] = {}
    notebooks: dict[str, list[str]] = {}
    for key in keys:
        spec = specs[key]
        if spec.options.group:
            groups.setdefault(spec.options.group, []).append(key)
        else:
            notebooks.setdefault(spec.cell.notebook, []).append(key)
    leaves = [_group(name, own, specs, limit) for name, own in sorted(groups.items())]
    leaves += [_notebook("", path, own, limit) for path, own in sorted(notebooks.items())]
    return _fitted(leaves, limit, place)


def open_bundles(roots: Iterable[Bundle], expanded: Iterable[str]) -> list[Bundle | str]:
    """Return what is drawn when the bundles with these ids are open: bundles, and keys of assets.

    A bundle of one asset is drawn as that asset.
    """
    opened = frozenset(expanded)
    found: list[Bundle | str] = []
    pending = list(roots)[::-1]
    while pending:
        bundle = pending.pop()
        if len(bundle.keys) == 1:
            found.append(bundle.keys[0])
        elif bundle.id not in opened:
            found.append(bundle)
        elif bundle.parts:
            pending.extend(reversed(bundle.parts))
        else:
            found.extend(bundle.keys)
    return found


def lineage_of(roots: Iterable[Bundle], wanted: str) -> tuple[Bundle, ...]:
    """Return the bundle with an id and those around it, the outermost first; nothing if there is none."""
    pending: list[tuple[Bundle, ...]] = [(root,) for root in roots]
    while pending:
        path = pending.pop()
        if path[-1].id == wanted:
            return path
        pending.extend((*path, part) for part in path[-1].parts)
    return ()


def _group(name: str, keys: Sequence[str], specs: Mapping[str, AssetSpec], limit: int) -> Bundle:
    """Make a bundle of a group; with too many assets it opens into notebooks."""
    identity = f"group:{name}"
    parts: tuple[Bundle, ...] = ()
    if len(keys) > limit:
        place = {key: index for index, key in enumerate(keys)}
        notebooks: dict[str, list[str]] = {}
        for key in keys:
            notebooks.setdefault(specs[key].cell.notebook, []).append(key)
        found = [_notebook(f"{identity}/", path, own, limit) for path, own in sorted(notebooks.items())]
        parts = found[0].parts if len(found) == 1 else _fitted(found, limit, place)
    return Bundle(id=identity, label=name, kind="group", keys=tuple(keys), parts=parts)


def _notebook(prefix: str, path: str, keys: Sequence[str], limit: int) -> Bundle:
    """Make a bundle of a notebook; with too many assets it opens into ranges of them."""
    identity = f"{prefix}notebook:{path}"
    label = path.rpartition("/")[2].removesuffix(".ipynb") or path
    parts: tuple[Bundle, ...] = ()
    if len(keys) > limit:
        parts = tuple(
            Bundle(id=f"{identity}/{own[0]}..{own[-1]}", label=f"{own[0]} … {own[-1]}", kind="range", keys=tuple(own))
            for own in _chunks(keys, limit)
        )
    return Bundle(id=identity, label=label, kind="notebook", keys=tuple(keys), parts=parts)


def _fitted(leaves: Sequence[Bundle], limit: int, place: Mapping[str, int]) -> tuple[Bundle, ...]:
    """Put bundles into bigger ones until they are few enough, taking as little as possible off their names."""
    if len(leaves) <= limit:
        return tuple(leaves)
    families = _families(leaves, limit)
    found = list(leaves)
    if 1 < len(families) < len(leaves):
        found = []
        for (kind, name), own in families.items():
            whole = own[0] if len(own) == 1 else None
            found.append(whole or _union(f"{kind}s:{name}", f"{name}/", kind, _fitted(own, limit, place), place))
    if len(found) <= limit:
        return tuple(found)
    return tuple(
        _union(f"range:{own[0].id}..{own[-1].id}", f"{own[0].label} … {own[-1].label}", "range", own, place)
        for own in _chunks(sorted(found, key=lambda bundle: bundle.label), limit)
    )


def _families(leaves: Iterable[Bundle], limit: int) -> dict[tuple[str, str], list[Bundle]]:
    """Sort bundles by what their names begin with: by as many parts of the names as leave few enough families."""
    names = [(bundle, bundle.id.partition(":")[2].split("/")) for bundle in leaves]
    families: dict[tuple[str, str], list[Bundle]] = {}
    for depth in range(max(len(name) for _, name in names) - 1, 0, -1):
        families = {}
        for bundle, name in names:
            kind = "group" if bundle.kind == "group" else "folder"
            parts = name if kind == "group" or len(name) <= depth else name[:-1]  # folders, without the file
            families.setdefault((kind, "/".join(parts[:depth])), []).append(bundle)
        if len(families) <= limit:
            break
    return families


def _union(identity: str, label: str, kind: str, parts: Sequence[Bundle], place: Mapping[str, int]) -> Bundle:
    keys = sorted((key for part in parts for key in part.keys), key=place.__getitem__)
    return Bundle(id=identity, label=label, kind=kind, keys=tuple(keys), parts=tuple(parts))


def _chunks(items: Sequence[_Item], limit: int) -> list[Sequence[_Item]]:
    """Cut a sequence into at most `limit` pieces of about equal length, each of at most `limit` items if that goes."""
    count = min(limit, max(2, -(-len(items) // limit)))
    return [items[len(items) * index // count : len(items) * (index + 1) // count] for index in range(count)]
