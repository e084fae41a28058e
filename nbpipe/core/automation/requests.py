"""What a sensor's cell answers: runs to start, keys to add, or why there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from nbpipe.core.automation.definitions import HIGHEST_PRIORITY
from nbpipe.core.parameters import canonical
from nbpipe.errors import DefinitionError

LONGEST_KEY = 500
"""Characters of a run key."""
MOST_REQUESTS = 20_000
"""Requests in one answer."""


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a sensor asks for.

    Attributes:
        run_key: a second request with the same key starts nothing, until the key expires.
        partition_key: of a partitioned job, which partition.
        selection: which assets of the job; None: all of it.
        parameters: values by name, beside those of the job.
        tags: beside those of the job.
        priority: instead of that of the job.
    """

    run_key: str | None = None
    partition_key: str | None = None
    selection: str | None = None
    parameters: Mapping[str, Any] = MappingProxyType({})
    tags: Mapping[str, str] = MappingProxyType({})
    priority: int | None = None


class PartitionsRequest(msgspec.Struct, frozen=True):
    """Keys of a dynamic set that a sensor wants to be there, or gone; done before its runs are planned.

    Attributes:
        name: of the set, as in `dynamic:NAME`.
        add: keys to add; those that are there are left alone.
        delete: keys to delete.
    """

    name: str
    add: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


class SkipReason(msgspec.Struct, frozen=True):
    """Why a sensor asks for nothing.

    Attributes:
        reason: a line for its history.
    """

    reason: str = ""


Wish: TypeAlias = RunRequest | PartitionsRequest


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor's value, understood."""

    runs: tuple[RunRequest, ...] = ()
    partitions: tuple[PartitionsRequest, ...] = ()
    reason: str | None = None
    """Why there is nothing to do."""


def read_answer(value: object) -> Answer:
    """Return what the value of a sensor's cell means.

    `True` asks for one run; `False`, `None` and an empty list for none; a list may hold requests for runs and for
    partitions. Requests with the same run key within one answer count once.

    Raises:
        DefinitionError: it is something else; says what, and what it may be.
    """
    if value is None or value is False:
        return Answer(reason="nothing to do")
    if value is True:
        return Answer(runs=(RunRequest(),))
    if isinstance(value, SkipReason):
        return Answer(reason=value.reason or "nothing to do")
    wishes = [value] if isinstance(value, RunRequest | PartitionsRequest) else _listed(value)
    runs: dict[object, RunRequest] = {}
    for place, wish in enumerate(wishes):
        if isinstance(wish, RunRequest):
            _check(wish)
            runs.setdefault(place if wish.run_key is None else wish.run_key, wish)
    partitions = tuple(_checked_keys(wish) for wish in wishes if isinstance(wish, PartitionsRequest))
    return Answer(runs=tuple(runs.values()), partitions=partitions, reason=None if wishes else "nothing to do")


def _listed(value: object) -> list[Wish]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _nonsense(value)
    wishes: list[Wish] = []
    for each in value:
        if not isinstance(each, RunRequest | PartitionsRequest):
            raise _nonsense(each, " in its list")
        if len(wishes) == MOST_REQUESTS:  # it may be a generator that never ends
            raise DefinitionError(
                f"the sensor asks for more than {MOST_REQUESTS:,} runs at once: ask for the first of them, keep in the "
                "cursor how far it came, and go on at the next evaluation"
            )
        wishes.append(each)
    return wishes


def _check(wish: RunRequest) -> None:
    run_key: object = wish.run_key  # a person may have written anything
    if not (run_key is None or (isinstance(run_key, str) and 0 < len(run_key) <= LONGEST_KEY)):
        raise DefinitionError(f"a run key is a text of 1 to {LONGEST_KEY} characters, this is {_shown(run_key)}")
    partition_key: object = wish.partition_key
    if not isinstance(partition_key, str | None):
        raise DefinitionError(f"a partition key is a text, this is {_shown(partition_key)}")
    selection: object = wish.selection
    if not isinstance(selection, str | None):
        raise DefinitionError(f"a selection is a text, this is {_shown(selection)}")
    priority: object = wish.priority
    if not (priority is None or (isinstance(priority, int) and abs(priority) <= HIGHEST_PRIORITY)):
        raise DefinitionError(
            f"a priority is a whole number from {-HIGHEST_PRIORITY:,} to {HIGHEST_PRIORITY:,}, this is "
            f"{_shown(priority)}"
        )
    for name, value in _items(wish.parameters, "parameters"):
        if canonical(value) is None:
            raise DefinitionError(
                f"parameter {name!r} of a RunRequest is {_shown(value)}: only plain values can be parameters, so give "
                "dates, paths and the like as text"
            )
    for name, tag in _items(wish.tags, "tags"):
        if not isinstance(tag, str):
            raise DefinitionError(f"tag {name!r} of a RunRequest is {_shown(tag)}: tags are texts")


def _items(given: object, what: str) -> Iterable[tuple[str, object]]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise DefinitionError(f"the {what} of a RunRequest are a dict with names as keys, this is {_shown(given)}")
    return given.items()


def _checked_keys(wish: PartitionsRequest) -> PartitionsRequest:
    """Return a request whose keys are tuples of texts, whatever sequences a person wrote."""
    name: object = wish.name
    if not isinstance(name, str) or not name:
        raise DefinitionError(f"a PartitionsRequest names the set, as in dynamic:NAME, this is {_shown(name)}")
    keys: dict[str, tuple[str, ...]] = {}
    for field in ("add", "delete"):
        given: object = getattr(wish, field)
        if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
            raise DefinitionError(f"{field} of a PartitionsRequest is a list of keys, this is {_shown(given)}")
        listed: tuple[object, ...] = tuple(given)
        for key in listed:
            if not isinstance(key, str):
                raise DefinitionError(f"keys of partitions are texts, this is {_shown(key)}")
        keys[field] = tuple(map(str, listed))
    return PartitionsRequest(name, **keys)


def _nonsense(value: object, where: str = "") -> DefinitionError:
    return DefinitionError(
        f"the sensor's value is {_shown(value)}{where}: it can be a RunRequest, a list of them, a SkipReason, "
        "True for one run, or False or None for none"
    )


def _shown(value: object) -> str:
    text = repr(value)
    short = text if len(text) <= 60 else text[:57] + "..."
    return f"{short} ({type(value).__name__})"
