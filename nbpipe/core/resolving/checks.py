"""What is wrong with the cells of a notebook, beyond the names that asset bodies read."""

from __future__ import annotations

from collections.abc import Collection

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.keys import AMBIENT, INJECTED, check_name
from nbpipe.core.reading.declarations import SENSOR
from nbpipe.core.reading.notebooks import CellFacts
from nbpipe.core.resolving.bodies import Surroundings, declaring_line
from nbpipe.core.resolving.kinds import declares, skipped
from nbpipe.core.resolving.reports import suggestion
from nbpipe.errors import DeclarationError


def check_cells(around: Surroundings, specs: Collection[AssetSpec]) -> None:
    """Report problems within cells, conflicts of names, and what is wrong with plain cells and parameters."""
    checker = _Checker(around)
    checker.cells()
    checker.parameters(specs)


class _Checker:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def cells(self) -> None:
        for position, cell in enumerate(self._around.facts.cells):
            if skipped(cell):
                continue
            for problem in cell.problems:
                assets = cell.names if problem.breaks else ()
                self._around.reports.error(problem.code, problem.message, cell, problem.line, assets)
            if declares(cell):
                self._resources(cell)
            if cell.magic not in ("asset", SENSOR):
                self._rebinding(position, cell)
                if self._around.names.cells[position].kind == "parameters":
                    self._early_reads(position, cell)
                if cell.problem is None:
                    self._unknown(position, cell)

    def _resources(self, cell: CellFacts) -> None:
        for name in cell.names:
            if name in self._around.outside.resources:
                message = (
                    f"{name!r} is an asset (cell {cell.index + 1}) and also a resource: "
                    "the first counts; rename one of them"
                )
                self._around.reports.warning("ambiguous-name", message, cell, declaring_line(cell))

    def _rebinding(self, position: int, cell: CellFacts) -> None:
        named = self._around.names.cells[position]
        for name in named.rebinds:
            owner = self._around.facts.cells[self._around.names.assets[name]]
            line = next((s.line for s in cell.code.statements if name in s.binds), 1)
            above = position < self._around.names.assets[name]
            if named.kind == "parameters" or (named.kind == "setup" and above):
                what = "a parameter" if named.kind == "parameters" else "a name of a setup cell"
                message = (
                    f"{name!r} is {what} (cell {cell.index + 1}, line {line}) and an asset "
                    f"(cell {owner.index + 1}): rename one of them"
                )
                self._around.reports.error("name-conflict", message, cell, line, (name,))
            else:
                message = (
                    f"this cell gives asset {name!r} (cell {owner.index + 1}) another value, which assets never see: "
                    "use another name"
                )
                self._around.reports.warning("rebound-asset", message, cell, line)

    def _early_reads(self, position: int, cell: CellFacts) -> None:
        names = self._around.names
        for read in cell.code.reads:
            outside = self._is_outside(read.name) and not names.setup.visible(read.name, position)
            if read.name in names.assets or outside:
                message = f"the parameters cell reads asset {read.name!r}, but parameters come before assets"
                self._around.reports.error("parameter-reads-asset", message, cell, read.line)

    def _unknown(self, position: int, cell: CellFacts) -> None:
        """Report names that a plain cell reads at once and that nothing binds: in a job it would fail."""
        names = self._around.names
        if names.setup.opaque_above(position + 1) or (names.broken and names.broken[0] < position):
            return
        for read in cell.code.reads:
            if read.certain and not read.deferred and not self._is_known(read.name):
                hint = suggestion(read.name, names.assets.keys(), names.plain, self._around.outside.assets.keys())
                message = f"nothing is called {read.name!r}{hint}"
                self._around.reports.warning("unknown-name", message, cell, read.line)

    def _is_known(self, name: str) -> bool:
        names = self._around.names
        return (
            name in AMBIENT
            or name in INJECTED
            or name in names.plain
            or name in names.assets
            or name in names.temporaries
            or self._is_outside(name)
            or name in self._around.outside.resources
        )

    def parameters(self, specs: Collection[AssetSpec]) -> None:
        for cell, named in zip(self._around.facts.cells, self._around.names.cells, strict=True):
            if cell.parameters and named.kind in ("setup", "view"):
                message = "a cell above has the tag 'parameters' already: only the first one gives parameters"
                self._around.reports.warning("second-parameters", message, cell, 1)
            for parameter in cell.parameters if named.kind == "parameters" else ():
                try:
                    check_name(parameter.name, "parameter")
                except DeclarationError as error:
                    users = tuple(spec.key for spec in specs if parameter.name in spec.parameters)
                    self._around.reports.error("parameter-name", str(error), cell, parameter.line, users)

    def _is_outside(self, name: str) -> bool:
        return bool(self._around.outside.places(name, self._around.facts.path))
