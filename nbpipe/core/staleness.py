"""Which assets are out of date or stale, and why.

*Out of date* is what decides whether a cell executes: its own code, the data versions of its inputs, its files,
the values of the parameters it reaches, or `--fresh-for`. *Stale* also counts an input that is stale itself, and
is what is shown. Both compare facts, never times: undoing an edit makes an asset fresh again, and an input that
was recomputed to the same content leaves what reads it fresh.

An upstream that is order only (`--deps`) carries no data: it never makes an asset stale. A rolled-back asset is
held: it is fresh whatever changed, until somebody forces it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache

import msgspec

from nbpipe.core.definitions import AssetSpec, Definitions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.reasons import (
    age_text,
    code_reasons,
    default_reasons,
    duration_text,
    file_reasons,
    value_reasons,
)
from nbpipe.core.records import AssetState, Materialization
from nbpipe.core.selection import AssetStatus

FileHash = Callable[[str], str]
"""Returns the content hash of an entry of `AssetSpec.files`, empty if there is no such file."""

NEVER = "never materialized"
FAILED = "the latest attempt failed"

_NEWER = "has newer data"
_LONGEST_ERROR = 200


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said of one asset now."""

    asset: str
    status: AssetStatus
    """What an active run does with it comes first, then a failure, then staleness."""
    reasons: tuple[str, ...] = ()
    """Why it is missing, stale or failed; one line each."""
    notes: tuple[str, ...] = ()
    """What is worth knowing although it makes nothing stale."""
    out_of_date: bool = False
    """It is reason enough for its cell to execute now."""
    stale: bool = False
    """Missing, stale or failed, whatever an active run does: what `--stale` chooses."""


def out_of_date(
    spec: AssetSpec,
    states: Mapping[str, AssetState],
    *,
    parameters: Mapping[str, str],
    files: FileHash,
    now: datetime,
) -> tuple[str, ...]:
    """Return why the cell of one asset would execute now; nothing if its stored value can be loaded.

    Args:
        spec: the asset as it is defined at this moment.
        states: the current states of the asset and of its inputs.
        parameters: values in effect in its notebook, as source, by name.
        files: see `FileHash`.
        now: for `--fresh-for`.
    """
    state = states.get(spec.key)
    if state is None or state.current is None:
        return _missing(state)
    if state.held:
        return ()
    effective = {name: parameters[name] for name in spec.parameters if name in parameters}
    values = value_reasons(state.current.parameters, effective)
    return _drift(spec, state.current, values, states, files) + _overdue(spec, state, now)


def assess(
    definitions: Definitions,
    graph: AssetGraph,
    states: Mapping[str, AssetState],
    *,
    files: FileHash,
    now: datetime,
    parameters: Mapping[str, str] | None = None,
) -> dict[str, Assessment]:
    """Assess every asset of a project in one pass; return them by key, in topological order.

    Without `parameters`, today's defaults are compared with the recorded defaults, and a value made with others
    gets a note. With `parameters` (values as source, by name; those not named keep their defaults), the values
    that a run would use are compared with those of the record. Each file is hashed once.
    """
    known_files = cache(files)
    defaults = {
        path: {parameter.name: parameter.default for parameter in notebook.parameters}
        for path, notebook in definitions.notebooks.items()
    }
    found: dict[str, Assessment] = {}
    for key in graph.arrange(graph):
        spec = definitions.assets[key]
        state = states.get(key)
        if state is None or state.current is None:
            found[key] = _assessment(key, state, own=_missing(state))
            continue
        if state.held:
            found[key] = _assessment(key, state, notes=(f"held at version {state.current.version} (rolled back)",))
            continue
        today = defaults.get(spec.cell.notebook, {})
        values, made_with = _parameter_drift(state.current, _reached(spec, today), parameters)
        own = _drift(spec, state.current, values, states, known_files) + _overdue(spec, state, now)
        found[key] = _assessment(
            key,
            state,
            own=own,
            above=_stale_inputs(spec, found, own),
            notes=(*made_with, *_opaque_inputs(spec, states, own), *_age_notes(spec, state.current, now)),
        )
    return found


def is_watched(spec: AssetSpec, current: Materialization) -> bool:
    """Tell whether a value was made of something that can be seen to change: another asset, or a file."""
    return bool(spec.inputs or spec.files or current.files)


def _assessment(
    key: str,
    state: AssetState | None,
    *,
    own: tuple[str, ...] = (),
    above: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Assessment:
    status: AssetStatus = "stale" if own or above else "fresh"
    if state is not None and state.activity:
        status = state.activity
    elif state is not None and state.failed_at is not None and not state.held:
        status = "failed"
    elif state is None or state.current is None:
        status = "missing"
    return Assessment(
        asset=key, status=status, reasons=own + above, notes=notes, out_of_date=bool(own), stale=bool(own or above)
    )


def _missing(state: AssetState | None) -> tuple[str, ...]:
    return (*_failure(state), NEVER)


def _failure(state: AssetState | None) -> tuple[str, ...]:
    if state is None or state.failed_at is None:
        return ()
    lines = (state.error or "").strip().splitlines()
    if not lines:
        return (FAILED,)
    first = lines[0] if len(lines[0]) <= _LONGEST_ERROR else lines[0][: _LONGEST_ERROR - 1] + "…"
    return (f"{FAILED}: {first}",)


def _drift(
    spec: AssetSpec,
    current: Materialization,
    values: tuple[str, ...],
    states: Mapping[str, AssetState],
    files: FileHash,
) -> tuple[str, ...]:
    """Compare code, parameters, files and inputs with the record; `values` are the reasons of the parameters."""
    return (
        *code_reasons(current.code, spec.code),
        *values,
        *file_reasons(
            current.files, {**{path: files(path) for path in spec.files}, **_lost_files(spec, current, files)}
        ),
        *_input_reasons(spec, current, states),
    )


def _lost_files(spec: AssetSpec, current: Materialization, files: FileHash) -> dict[str, str]:
    """Return the recorded files that are gone: a text that names no file any more is no input of today's definition."""
    if current.code != spec.code:
        return {}
    return {path: "" for path in current.files if path not in spec.files and not files(path)}


def _input_reasons(spec: AssetSpec, current: Materialization, states: Mapping[str, AssetState]) -> list[str]:
    reasons = []
    for name in spec.inputs:
        state = states.get(name)
        if name == spec.key or state is None or state.current is None:
            continue  # its own earlier partition; or nothing to compare with
        before, today = current.inputs.get(name), state.current.stored.data_version
        if before is None:
            reasons.append(f"upstream {name} is new")
        elif before != today:
            older = state.current.version < current.input_versions.get(name, 0)
            reasons.append(f"upstream {name} {'was rolled back' if older else _NEWER}")
    if current.code == spec.code:
        reasons.extend(f"upstream {name} is gone" for name in sorted(current.inputs) if name not in spec.inputs)
    return reasons


def _overdue(spec: AssetSpec, state: AssetState, now: datetime) -> tuple[str, ...]:
    """Return the reasons that follow from no comparison: time has passed, or the last attempt failed."""
    limit = spec.options.fresh_for
    passed = (
        limit is not None and state.current is not None and now - state.current.created_at > timedelta(seconds=limit)
    )
    return (*((f"fresh for {duration_text(limit or 0)}, which have passed",) if passed else ()), *_failure(state))


def _reached(spec: AssetSpec, today: Mapping[str, str]) -> dict[str, str]:
    return {name: today[name] for name in spec.parameters if name in today}


def _parameter_drift(
    current: Materialization, today: Mapping[str, str], given: Mapping[str, str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if given is None:
        return default_reasons(current.parameters, current.parameter_defaults, today)
    return value_reasons(current.parameters, {name: given.get(name, default) for name, default in today.items()}), ()


def _stale_inputs(spec: AssetSpec, found: Mapping[str, Assessment], own: tuple[str, ...]) -> tuple[str, ...]:
    """Name the inputs that are stale themselves, but for those that are reasons already."""
    reasons = []
    for name in spec.inputs:
        above = found.get(name)
        if above is None or not above.stale or any(reason.startswith(f"upstream {name} ") for reason in own):
            continue
        if NEVER in above.reasons:
            reasons.append(f"upstream {name} is missing")
        elif any(reason.startswith(FAILED) for reason in above.reasons):
            reasons.append(f"upstream {name} failed")
        else:
            reasons.append(f"upstream {name} is stale")
    return tuple(reasons)


def _opaque_inputs(spec: AssetSpec, states: Mapping[str, AssetState], own: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"{name} is a pickle: only its bytes can be compared, and they may differ for equal content"
        for name in spec.inputs
        if f"upstream {name} {_NEWER}" in own and (current := states[name].current) and current.stored.opaque
    )


def _age_notes(spec: AssetSpec, current: Materialization, now: datetime) -> tuple[str, ...]:
    """Tell the age of what reads nothing that we can watch: a URL, a database."""
    if is_watched(spec, current):
        return ()
    age = age_text(now - current.created_at)
    if spec.options.fresh_for is not None:
        return (f"made {age}, fresh for {duration_text(spec.options.fresh_for)}",)
    return (
        f"made {age}; it reads nothing that is watched: %force {spec.key} makes it again, --fresh-for sets a limit",
    )
