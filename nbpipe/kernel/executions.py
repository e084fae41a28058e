"""An asset cell, one execution of its body, and what the body is to make: values shared by all who execute cells."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.records import Materialization
from nbpipe.errors import DefinitionError
from nbpipe.kernel.bodies import Body
from nbpipe.kernel.captures import Displays
from nbpipe.kernel.context import Context


@dataclass(frozen=True, kw_only=True)
class AssetCell:
    """An asset cell that is about to be executed or loaded."""

    specs: tuple[AssetSpec, ...]
    """Its assets in the order of their declaration."""
    source: str
    """The whole cell."""
    body: str
    first_line: int
    """1-based line of the cell on which the body starts."""
    visible: Collection[str]
    """Names of setup and parameters cells above it."""
    protected: Collection[str]
    """Names that publishing must not overwrite."""
    defaults: Mapping[str, str]
    """Source of the defaults of the notebook's parameters."""
    sources: Mapping[str, str]
    """Source text by component hash."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """SPEC of the partitions of those of its assets and their inputs that have some."""
    chosen: tuple[str, ...] | None = None
    """Keys of its partitions to execute, in their order; None for a cell without partitions."""
    only_stale: bool = False
    """Leave those of its partitions that prove unchanged when their turn comes."""

    @property
    def name(self) -> str:
        """Name the cell in messages and as owner of what it publishes."""
        return " ".join(spec.key for spec in self.specs)

    @property
    def label(self) -> str:
        """Name the cell with the partition that it is executed for, if it is one."""
        return f"{self.name}@{self.chosen[0]}" if self.chosen is not None and len(self.chosen) == 1 else self.name


class Inputs(Protocol):
    """The values of the upstream assets that one execution reads."""

    def take(self) -> dict[str, Any]:
        """Return them for one attempt, by name: what an earlier attempt did to its own is not seen."""


@dataclass(kw_only=True)
class Execution:
    """One execution of a body, between its inputs and its commit."""

    cell: AssetCell
    body: Body
    context: Context
    names: Mapping[str, Any]
    """Names of the notebook that the body sees."""
    inputs: Inputs
    partition: Any = None
    """What the body sees as `partition`."""
    files: Mapping[str, str]
    parameters: Mapping[str, str]
    started: float
    before: dict[str, Any] = field(default_factory=dict)
    """The body's namespace as the latest attempt began."""
    namespace: Mapping[str, Any] = field(default_factory=dict)
    """The same as it is now: the names of `module`."""
    module: types.ModuleType = field(default_factory=lambda: types.ModuleType("__main__"))
    displays: Displays = field(default_factory=Displays)


class Work(Protocol):
    """What becomes of an asset cell: its body is executed once, or once for each batch of partitions."""

    def executions(self) -> Iterator[Execution]:
        """Yield what is to be executed; each begins when the one before has ended."""

    def begin(self, execution: Execution) -> None:
        """Prepare an attempt; a failed one may have changed something."""

    def watched(self, execution: Execution) -> AbstractContextManager[None]:
        """Stand around an execution: keep what it displays, and record its failure."""

    def take(self, execution: Execution, value: Any) -> None:
        """Take over, within an attempt, what a body gives one by one.

        Args:
            execution: whose body has just run.
            value: of its last expression.
        """

    def finish(self, execution: Execution, value: Any) -> None:
        """Store what a body made."""

    def result(self) -> tuple[Materialization, ...]:
        """Return what was made current, the latest of each asset, when all has been executed."""


def results_of(execution: Execution, value: Any) -> dict[str, Any]:
    """Return the value of each asset of a cell: the variable of its name, else the last expression's value.

    Raises:
        DefinitionError: there is none.
    """
    specs = execution.cell.specs
    results = {}
    for spec in specs:
        key = spec.key
        if _is_assigned(execution, key):
            results[key] = execution.namespace[key]
        elif len(specs) == 1 and execution.body.ends_in_expression:
            results[key] = value
        else:
            raise DefinitionError(
                f"the cell of asset {key} ended without a value for it: assign the variable {key}"
                + (", or end the cell with the value as its last expression" if len(specs) == 1 else "")
            )
    return results


def _is_assigned(execution: Execution, key: str) -> bool:
    """Tell whether a body left its asset a value; an asset that reads itself found an older one under its name."""
    namespace, before = execution.namespace, execution.before
    if key not in namespace:
        return False
    # assigning the very object that was found (small numbers, or a table that was changed in place) counts as well
    return key not in before or namespace[key] is not before[key] or execution.body.binds(key)
