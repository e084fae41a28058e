"""One step handed to an executor, what comes back, and what is said on the way.

All of it can be pickled: a step may be carried out by another process or machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from nbpipe.core.records import Counted, Outcome, StepStatus
from nbpipe.core.runs.plans import StepRequest

#: Both sides of a step, the process that drives it and the kernel, must have the same number.
PROTOCOL = 1

#: The kernel of a notebook that names none.
DEFAULT_KERNEL = "python3"


#: Characters of output that a record holds, unless `[limits]` says something else.
RECORD_SIZE = 50_000_000


class OutputLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one record may hold."""

    record: int = RECORD_SIZE
    """Characters of output in all."""
    output: int = 2_000_000
    """Characters of one display, or of one uninterrupted text that a cell prints."""
    count: int = 2_000
    """Outputs of one cell."""


class MemoryLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel may take."""

    size: int
    """Bytes."""
    set_by: str
    """Where it can be changed, in words."""


class StepTask(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is ready to be carried out."""

    request: StepRequest
    output: str
    """Path of the record relative to the root; its first content is a copy of the notebook."""
    environ: Mapping[str, str] = MappingProxyType({})
    """Variables set in the kernel in addition to those of the process that starts it."""
    limits: OutputLimits = OutputLimits()
    memory: MemoryLimit | None = None
    save_every: float = 2.0
    """Seconds between two writings of the record, at least."""
    timeout_grace: float = 60.0
    """Seconds for loading inputs and storing values, beyond what an asset's own timeout and retries allow."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as JSON: the read-only mappings inside can't be pickled."""
        return _decoded, (StepTask, encoded(self))


class StepOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a step ended."""

    index: int
    status: StepStatus
    error: str | None = None
    executed: tuple[str, ...] = ()
    """Assets that were materialized, in order."""
    outcomes: Mapping[str, Outcome] = MappingProxyType({})
    partial: tuple[str, ...] = ()
    """Assets of which some partitions are done and others are not."""
    record_hash: str | None = None
    cut: Mapping[int, Mapping[str, int]] = MappingProxyType({})
    """By 0-based position in the record: outputs and characters that are not kept."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as JSON: the read-only mappings inside can't be pickled."""
        return _decoded, (StepOutcome, encoded(self))


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a run, for progress bars and live displays."""

    run_id: str
    kind: Literal[
        "run_started", "step_started", "cell_started", "partitions_ended", "cell_ended", "step_ended", "run_ended"
    ]
    at: datetime
    step: int | None = None
    notebook: str = ""
    cell: int | None = None
    """0-based position in the saved notebook."""
    assets: tuple[str, ...] = ()
    status: str = ""
    """Of what ended: a step's or run's status, or the outcome of the assets of a cell."""
    error: str | None = None
    counts: Mapping[str, Mapping[Counted, int]] = MappingProxyType({})
    """Of `partitions_ended`: see `RunStore.outcome_counts`, for the assets that have partitions."""
    data: Mapping[str, Any] = MappingProxyType({})


def encoded(value: msgspec.Struct) -> bytes:
    """Return a value of the core as JSON; `msgspec.json.decode` with its type reads it."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _decoded(kind: type[msgspec.Struct], content: bytes) -> msgspec.Struct:
    return msgspec.json.decode(content, type=kind)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):  # read-only views of dicts
        return dict(value)
    raise NotImplementedError(f"values of type {type(value).__name__} can't be written as JSON")
