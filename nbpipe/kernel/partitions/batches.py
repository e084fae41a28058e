"""What a body gives for a batch of partitions: a value for each key, at once or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from nbpipe.errors import DefinitionError, nearest

Within: TypeAlias = Callable[[], AbstractContextManager[None]]

_NAMED = 3


def pairs(
    asset: str, keys: Sequence[str], value: Any, within: Within, *, excused: Container[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield key and value for every partition of a batch, as the body gives them.

    Args:
        asset: its name, for messages.
        keys: of the batch.
        value: what the body gave: a mapping from key to value, or an iterator of such pairs; for one key a value that
            is neither is enough.
        within: entered while the iterator computes its next pair.
        excused: keys that need no value; looked at in the end.

    Raises:
        DefinitionError: what was given has another form, or a key that is unknown, or comes twice; what was yielded
            before counts. At the end: keys are missing.
    """
    left = dict.fromkeys(keys)
    for key, each in _given(asset, keys, value, within):
        if key not in left:
            raise DefinitionError(_unexpected(asset, key, keys))
        del left[key]
        yield key, each
    missing = [key for key in left if key not in excused]
    if missing:
        raise DefinitionError(f"asset {asset} gave no value for {named(missing)}")


def named(keys: Sequence[str]) -> str:
    """Return some keys for a message, and how many there are.

    >>> named(["a"]), named(["a", "b", "c", "d", "e"])
    ('a', 'a, b, c and 2 more')
    """
    more = f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more


def _given(asset: str, keys: Sequence[str], value: Any, within: Within) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Iterator):
        for pair in _one_by_one(value, within):
            if not (isinstance(pair, tuple) and len(pair) == 2):
                raise DefinitionError(
                    f"asset {asset} gave {type(pair).__name__} for a batch: yield pairs of key and value"
                )
            yield pair
    elif isinstance(value, Mapping):
        yield from value.items()
    elif len(keys) == 1:
        yield keys[0], value
    else:
        raise DefinitionError(
            f"asset {asset} gave one {type(value).__name__} for {len(keys):,} partitions: in a range run its value is "
            "a dict from key to value, or a generator of pairs, with all of partition.keys"
        )


def _one_by_one(values: Iterator[Any], within: Within) -> Iterator[Any]:
    end = object()
    while True:
        with within():
            found = next(values, end)
        if found is end:
            return
        yield found


def _unexpected(asset: str, key: object, keys: Sequence[str]) -> str:
    if key in keys:
        return f"asset {asset} gave a second value for {key}"
    similar = nearest(key, keys) if isinstance(key, str) else None
    meant = f": did you mean {similar!r}?" if similar else f" ({named(keys)})"
    text = f"asset {asset} gave a value for {key!r}, which is not among partition.keys{meant}"
    return text if len(keys) != 1 or similar else f"{text}: a cell that reads them gives {{key: value}}, also for one"
