"""Which assets are out of date or stale, and why.

*Out of date* is what decides whether a cell executes: its own code, the data versions of its inputs, its files,
the values of the parameters it reaches, or `--fresh-for`. *Stale* also counts an input that is stale itself, and
is what is shown. Both compare facts, never times: undoing an edit makes an asset fresh again, and an input that
was recomputed to the same content leaves what reads it fresh.

An upstream that is order only (`--deps`) carries no data: it never makes an asset stale. A rolled-back asset is
held: it is fresh whatever changed, until somebody forces it.

Assets with partitions are judged by `core.partitions.assessing`, which a project without any never loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import msgspec

from nbpipe.core.definitions import AssetSpec, Definitions
from nbpipe.core.drift import FileHash, Made, Told, made_reasons, recipe_drift
from nbpipe.core.graph import AssetGraph
from nbpipe.core.reasons import FAILED, NEVER, NEWER, age_text, duration_text, value_reasons
from nbpipe.core.records import AssetState, Materialization
from nbpipe.core.selection import AssetStatus

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.counts import PartitionCounts

_LONGEST_ERROR = 200
_NO_VERSIONS: Mapping[str, str] = MappingProxyType({})


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
    partitions: PartitionCounts | None = None
    """How many of its partitions are what; None if it has none."""

    @property
    def statuses(self) -> tuple[str, ...]:
        """Return what a selection may say of its status: of partitions, what is true of any of them."""
        if self.partitions is None:
            return (self.status,)
        return (self.status, *(name for name in ("failed", "missing", "stale") if getattr(self.partitions, name)))


class PartitionedAssets(Protocol):
    """Judges the assets that have partitions, each after everything upstream of it."""

    def has(self, asset: str) -> bool:
        """Return whether an asset has partitions."""

    def assess(
        self,
        spec: AssetSpec,
        drift: Callable[[Made], Told],
        found: Mapping[str, Assessment],
        states: Mapping[str, AssetState],
    ) -> Assessment:
        """Assess an asset with partitions; `drift` compares a record with today's definition."""

    def version(self, spec: AssetSpec, upstream: str, recorded: str) -> str:
        """Return what stands for the data that an upstream with partitions gives to an asset without.

        That is `recorded` if it stands for the same data, and nothing if it can't be said.
        """

    def trouble(self, spec: AssetSpec, upstream: str) -> str:
        """Say what is wrong with the partitions of an upstream that feed an asset without: `is stale`, or nothing."""


def out_of_date(
    spec: AssetSpec,
    states: Mapping[str, AssetState],
    *,
    parameters: Mapping[str, str],
    files: FileHash,
    now: datetime,
    versions: Mapping[str, str] = _NO_VERSIONS,
) -> tuple[str, ...]:
    """Return why the cell of one asset would execute now; nothing if its stored value can be loaded.

    Args:
        spec: the asset as it is defined at this moment.
        states: the current states of the asset and of its inputs.
        parameters: values in effect in its notebook, as source, by name.
        files: see `FileHash`.
        now: for `--fresh-for`.
        versions: what stands for the data of each input that has partitions (`inputs.link_version`).
    """
    state = states.get(spec.key)
    if state is None or state.current is None:
        return _missing(state)
    if state.held:
        return ()
    effective = {name: parameters[name] for name in spec.parameters if name in parameters}
    values = value_reasons(state.current.parameters, effective)
    return (
        *made_reasons(spec, state.current, values, files),
        *_input_reasons(spec, state.current, states, versions),
        *_overdue(spec, state, now),
    )


def assess(
    definitions: Definitions,
    graph: AssetGraph,
    states: Mapping[str, AssetState],
    *,
    files: FileHash,
    now: datetime,
    parameters: Mapping[str, str] | None = None,
    partitions: PartitionedAssets | None = None,
    keys: Iterable[str] | None = None,
) -> dict[str, Assessment]:
    """Assess every asset of a project in one pass; return them by key, in topological order.

    Without `parameters`, today's defaults are compared with the recorded defaults, and a value made with others
    gets a note. With `parameters` (values as source, by name; those not named keep their defaults), the values
    that a run would use are compared with those of the record. Each file is hashed once. With `keys`, only those are
    assessed: all that feeds one must be among them.
    """
    known_files = cache(files)
    defaults = {
        path: {parameter.name: parameter.default for parameter in notebook.parameters}
        for path, notebook in definitions.notebooks.items()
    }
    found: dict[str, Assessment] = {}
    for key in graph.arrange(graph if keys is None else keys):
        spec = definitions.assets[key]
        state = states.get(key)
        today = defaults.get(spec.cell.notebook, {})
        if partitions is not None and partitions.has(key):
            drift = partial(recipe_drift, spec, defaults=today, given=parameters, files=known_files)
            found[key] = partitions.assess(spec, drift, found, states)
            continue
        if state is None or state.current is None:
            found[key] = _assessment(key, state, own=_missing(state))
            continue
        if state.held:
            found[key] = _assessment(key, state, notes=(f"held at version {state.current.version} (rolled back)",))
            continue
        reasons, made_with = recipe_drift(spec, state.current, defaults=today, given=parameters, files=known_files)
        versions = _versions(spec, state.current, partitions)
        own = (*reasons, *_input_reasons(spec, state.current, states, versions), *_overdue(spec, state, now))
        found[key] = _assessment(
            key,
            state,
            own=own,
            above=_stale_inputs(spec, found, own, partitions),
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
    return (*failure_reason(state), NEVER)


def failure_reason(state: AssetState | None) -> tuple[str, ...]:
    """Say that the latest attempt failed, with the first line of its error; nothing if it didn't."""
    if state is None or state.failed_at is None:
        return ()
    lines = (state.error or "").strip().splitlines()
    if not lines:
        return (FAILED,)
    first = lines[0] if len(lines[0]) <= _LONGEST_ERROR else lines[0][: _LONGEST_ERROR - 1] + "…"
    return (f"{FAILED}: {first}",)


def _versions(spec: AssetSpec, current: Materialization, partitions: PartitionedAssets | None) -> Mapping[str, str]:
    """Return what stands for the data of those inputs that have partitions."""
    if partitions is None:
        return _NO_VERSIONS
    recorded = current.inputs
    return {n: partitions.version(spec, n, recorded.get(n, "")) for n in spec.inputs if partitions.has(n)}


def _input_reasons(
    spec: AssetSpec, current: Materialization, states: Mapping[str, AssetState], versions: Mapping[str, str]
) -> list[str]:
    reasons = []
    for name in spec.inputs:
        if name == spec.key:
            continue  # its own earlier partition
        if name in versions:
            today, number = versions[name], 0
        else:
            state = states.get(name)
            if state is None or state.current is None:
                continue  # nothing to compare with
            today, number = state.current.stored.data_version, state.current.version
        before = current.inputs.get(name)
        if before is None:
            reasons.append(f"upstream {name} is new")
        elif before != today and today:
            older = 0 < number < current.input_versions.get(name, 0)
            reasons.append(f"upstream {name} {'was rolled back' if older else NEWER}")
    if current.code == spec.code:
        reasons.extend(f"upstream {name} is gone" for name in sorted(current.inputs) if name not in spec.inputs)
    return reasons


def _overdue(spec: AssetSpec, state: AssetState, now: datetime) -> tuple[str, ...]:
    """Return the reasons that follow from no comparison: time has passed, or the last attempt failed."""
    limit = spec.options.fresh_for
    passed = (
        limit is not None and state.current is not None and now - state.current.created_at > timedelta(seconds=limit)
    )
    return (*((f"fresh for {duration_text(limit or 0)}, which have passed",) if passed else ()), *failure_reason(state))


def _stale_inputs(
    spec: AssetSpec, found: Mapping[str, Assessment], own: tuple[str, ...], partitions: PartitionedAssets | None
) -> tuple[str, ...]:
    """Name the inputs that are stale themselves, but for those that are reasons already."""
    reasons = []
    for name in spec.inputs:
        above = found.get(name)
        if above is None or not above.stale or any(reason.startswith(f"upstream {name} ") for reason in own):
            continue
        whole = partitions is None or not partitions.has(name)
        trouble = trouble_of(above) if partitions is None or whole else partitions.trouble(spec, name)
        if trouble:
            reasons.append(f"upstream {name} {trouble}")
    return tuple(reasons)


def trouble_of(above: Assessment) -> str:
    """Say what is wrong with an input, as the end of a sentence; nothing if it is sound."""
    if not above.stale:
        return ""
    if NEVER in above.reasons:
        return "is missing"
    return "failed" if any(reason.startswith(FAILED) for reason in above.reasons) else "is stale"


def _opaque_inputs(spec: AssetSpec, states: Mapping[str, AssetState], own: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"{name} is a pickle: only its bytes can be compared, and they may differ for equal content"
        for name in spec.inputs
        if f"upstream {name} {NEWER}" in own and _is_opaque(states.get(name))
    )


def _is_opaque(state: AssetState | None) -> bool:
    return state is not None and state.current is not None and state.current.stored.opaque


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
