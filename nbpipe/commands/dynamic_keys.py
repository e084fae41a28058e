"""Keys of dynamic sets of partitions: which sets there are, which keys they have, and how these come and go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from nbpipe import clock, settings
from nbpipe.commands.partition_references import partition_set
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import RefusedError, UnknownNameError, UsageError, nearest

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.listing import PartitionKeys
    from nbpipe.core.partitions.registries import KeyRegistry

_PREFIX = "dynamic:"
_FEW = 3
"""Keys that an error shows."""
_ENOUGH = 1_000
"""Keys among which the most similar one is looked for."""


class KeysAdded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of keys that were to be added; `total` is how many there are now."""

    set: str
    added: tuple[str, ...]
    known: tuple[str, ...]
    """Those that were there already."""
    total: int


class KeysDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of keys that were to be deleted; `total` is how many are left."""

    set: str
    deleted: tuple[str, ...]
    gone: tuple[str, ...]
    """Those that had been deleted before."""
    total: int


def add_keys(workspace: Workspace, name: str, keys: Iterable[str]) -> KeysAdded:
    """Add keys to a dynamic set; deleted ones come back with all that was known of them.

    Args:
        workspace: the project.
        name: the NAME in `dynamic:NAME`.
        keys: any texts.

    Raises:
        UnknownNameError: no asset is partitioned by such a set.
        DeclarationError: a key is empty, or has blanks at its ends or control characters.
        RefusedError: a sensor is being asked.
    """
    name = declared_set(workspace, name)
    wanted = _distinct(keys)
    _refuse_in_a_sensor(name, "add", wanted)
    added = workspace.store.partitions.add_keys(workspace.env, name, wanted, at=clock.now())
    new = frozenset(added)
    known = tuple(key for key in wanted if key not in new)
    return KeysAdded(set=name, added=added, known=known, total=len(keys_of(workspace, name).present))


def delete_keys(workspace: Workspace, name: str, keys: Iterable[str]) -> KeysDeleted:
    """Delete keys from a dynamic set, all or none. What is stored of their partitions stays.

    Raises:
        UnknownNameError: no asset is partitioned by such a set, or it never had such a key.
        RefusedError: a sensor is being asked.
    """
    name = declared_set(workspace, name)
    wanted = _distinct(keys)
    _refuse_in_a_sensor(name, "delete", wanted)
    registry = keys_of(workspace, name)
    for key in wanted:
        if key not in registry.ordinals:
            present = [known for known in registry.keys[:_ENOUGH] if known in registry]
            hint = "" if nearest(key, present) else _some(name, present)
            raise UnknownNameError(f"key of {name}", key, present, hint=hint)
    deleted = workspace.store.partitions.remove_keys(workspace.env, name, wanted, at=clock.now())
    old = frozenset(deleted)
    gone = tuple(key for key in wanted if key not in old)
    return KeysDeleted(set=name, deleted=deleted, gone=gone, total=len(keys_of(workspace, name).present))


def keys_of(workspace: Workspace, name: str) -> KeyRegistry:
    """Return the keys of a dynamic set."""
    if workspace.is_untouched:
        from nbpipe.core.partitions.registries import KeyRegistry

        return KeyRegistry()
    return workspace.store.partitions.keys(workspace.env, name)


def keys_named(workspace: Workspace, name: str) -> PartitionKeys:
    """Return the keys of an asset with partitions, else of a dynamic set; `dynamic:NAME` is always the set.

    Raises:
        UnknownNameError: there is neither.
        UsageError: the asset has no partitions.
    """
    from nbpipe.core.partitions.listing import PartitionKeys
    from nbpipe.core.partitions.sets import PartitionSet, dynamic

    sets = dynamic_sets(workspace)
    asset = workspace.definitions.assets.get(name)
    if asset is None or (asset.options.partitions is None and name in sets):
        if not name.startswith(_PREFIX) and name not in sets:
            known = {*sets, *(key for key, spec in workspace.definitions.assets.items() if spec.options.partitions)}
            raise UnknownNameError("dynamic set, or asset with partitions,", name, sorted(known))
        source = declared_set(workspace, name)
        return PartitionKeys(PartitionSet((dynamic("", source, keys_of(workspace, source)),)), clock.now())
    return PartitionKeys(partition_set(workspace, name), clock.now())


def declared_set(workspace: Workspace, name: str) -> str:
    """Return the name of a dynamic set by which some asset is partitioned.

    Raises:
        UnknownNameError: there is none.
    """
    name = name.removeprefix(_PREFIX)
    known = dynamic_sets(workspace)
    if name not in known:
        remedy = f"an asset of a saved notebook declares it: %%asset NAME --partitions dynamic:{name or 'SET'}"
        hint = f"there are {', '.join(sorted(known))}" if known else remedy
        raise UnknownNameError("dynamic set of partitions", name, sorted(known), hint=hint)
    return name


def dynamic_sets(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    """Return the dynamic sets that assets are partitioned by, with those assets."""
    from nbpipe.core.partitions.spec_syntax import parse_partitions

    found: dict[str, list[str]] = {}
    for asset, spec in workspace.definitions.assets.items():
        if spec.options.partitions is None or _PREFIX not in spec.options.partitions:
            continue
        for source in {getattr(part, "source", "") for part in parse_partitions(spec.options.partitions).dimensions}:
            if source:
                found.setdefault(source, []).append(asset)
    return {name: tuple(assets) for name, assets in found.items()}


def _refuse_in_a_sensor(name: str, change: str, keys: tuple[str, ...]) -> None:
    """See to it that a sensor changes nothing by itself: it may only be tried, and what it asks for goes together."""
    if settings.asks_sensors():
        shown = repr(list(keys[:_FEW]))[:-1] + (", ...]" if len(keys) > _FEW else "]")
        raise RefusedError(
            f"a sensor changes no keys by itself: let it return or end with PartitionsRequest({name!r}, "
            f"{change}={shown}); nothing was changed"
        )


def _distinct(keys: Iterable[str]) -> tuple[str, ...]:
    if isinstance(keys, str):
        raise UsageError(f"keys are a list of texts: write [{keys!r}]")
    wanted = tuple(dict.fromkeys(keys))
    for key in wanted:
        if not isinstance(key, str):
            raise UsageError(f"a partition key is a text: write {str(key)!r}, not {key!r}")
    return wanted


def _some(name: str, present: list[str]) -> str:
    from nbpipe.core.partitions.texts import quote

    if not present:
        return f"{name} has no keys"
    return "keys are " + ", ".join(map(quote, present[:5])) + (" ..." if len(present) > 5 else "")
