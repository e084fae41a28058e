"""Why an asset is out of date, in words: one line for each thing that drifted since its record was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from nbpipe.core.parameters import canonical_source

Code = tuple[tuple[str, str], ...]

NEVER = "never materialized"
FAILED = "the latest attempt failed"
NEWER = "has newer data"

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_LONGEST_VALUE = 40


def code_reasons(recorded: Code, today: Code) -> tuple[str, ...]:
    """Name the components of a code version that changed.

    Components that came or went follow from a change of those that use them, and are named only where
    nothing else changed (a helper that became a constant).
    """
    if recorded == today:
        return ()
    before, after = dict(recorded), dict(today)
    both = [component for component in after if component in before]
    changed = [component for component in both if before[component] != after[component]]
    if changed and all(_algorithm(before[name]) != _algorithm(after[name]) for name in both):
        return ("code is compared in a new way since nbpipe was updated",)
    if changed:
        return tuple(f"{component_name(name)} changed" for name in sorted(changed, key=_prominence))
    apart = sorted(before.keys() ^ after.keys(), key=_prominence)
    return tuple(f"{component_name(name)} {_came_or_went(name, after)}" for name in apart)


def component_name(component: str) -> str:
    """Name a component of a code version as a person would.

    >>> [component_name(name) for name in ("body", "helper:clean", "constant:LIMIT", "module:tools.load()")]
    ['code', 'helper clean()', 'constant LIMIT', 'tools.load()']
    """
    kind, _, name = component.partition(":")
    match kind:
        case "body":
            return "code"
        case "helper":
            return f"helper {name.removesuffix('()')}()"
        case "module":
            return name if name.endswith("()") else f"module {name}"
        case _:
            return f"{kind} {name}".rstrip()


def default_reasons(
    made: Mapping[str, str], recorded: Mapping[str, str], today: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare today's parameter defaults with the recorded ones; return reasons and notes.

    Args:
        made: values that the asset was made with, by name, as source.
        recorded: the defaults of that time.
        today: the defaults of the parameters that the asset reaches now.
    """
    reasons, notes = [], []
    for name, default in sorted(today.items()):
        value = made.get(name)
        if value is None:
            reasons.append(f"parameter {name} is new")
        elif not _same(value, default):
            if _same(recorded.get(name, value), default):
                notes.append(f"made with {name}={_short(value)} (default {_short(default)})")
            else:
                reasons.append(f"parameter {name}: {_short(value)} -> {_short(default)}")
    return tuple(reasons), tuple(notes)


def value_reasons(made: Mapping[str, str], effective: Mapping[str, str]) -> tuple[str, ...]:
    """Compare the parameter values that would be used now with those of the record."""
    reasons = []
    for name, value in sorted(effective.items()):
        before = made.get(name)
        if before is None:
            reasons.append(f"parameter {name} is new")
        elif not _same(before, value):
            reasons.append(f"parameter {name}: {_short(before)} -> {_short(value)}")
    return tuple(reasons)


def file_reasons(recorded: Mapping[str, str], today: Mapping[str, str]) -> tuple[str, ...]:
    """Compare content hashes by path or pattern; an empty hash stands for no file."""
    reasons = []
    for path, content in sorted(today.items()):
        before = recorded.get(path)
        if before == content:
            continue
        name = f"file {path}" if not path.startswith("glob:") else f"files {path.removeprefix('glob:')}"
        if before is None:
            reasons.append(f"{name} is a new input")
        elif not content:
            reasons.append(f"{name} is gone")
        else:
            reasons.append(f"{name} changed")
    return tuple(reasons)


def duration_text(seconds: float) -> str:
    """Write a duration in its largest fitting unit.

    >>> [duration_text(seconds) for seconds in (0.2, 60, 5400, 86400 * 3)]
    ['0 seconds', '1 minute', '90 minutes', '3 days']
    """
    for size, unit in _UNITS:
        count = int(seconds // size)
        if count >= 2 or (count == 1 and seconds % size == 0):
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "1 second" if seconds >= 1 else "0 seconds"


def age_text(age: timedelta) -> str:
    """Write how long ago something was, coarsely."""
    seconds = age.total_seconds()
    return "just now" if seconds < 1 else f"{duration_text(seconds)} ago"


def _came_or_went(component: str, after: Mapping[str, str]) -> str:
    if component == "options":  # there are always options: their component is left out where all are defaults
        return "changed"
    return "is new" if component in after else "is gone"


def _same(one: str, other: str) -> bool:
    return one == other or canonical_source(one) == canonical_source(other)


def _short(source: str) -> str:
    text = " ".join(source.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _algorithm(digest: str) -> str:
    return digest.partition(":")[0] if ":" in digest else ""


def _prominence(component: str) -> tuple[int, str]:
    kind = component.partition(":")[0]
    order = ("body", "helper", "constant", "module", "options")
    return (order.index(kind) if kind in order else len(order), component)
