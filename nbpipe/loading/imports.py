"""What notebooks and modules import, read from the index without decoding the rest of what it knows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from nbpipe.loading.remembered import Entry


class _Import(msgspec.Struct):
    module: str


class _Statement(msgspec.Struct):
    imports: tuple[_Import, ...] = ()


class _Code(msgspec.Struct):
    statements: tuple[_Statement, ...] = ()


class _Coded(msgspec.Struct):
    """A cell, or a module."""

    code: _Code = msgspec.field(default_factory=_Code)


class _Facts(_Coded):
    cells: tuple[_Coded, ...] = ()


class ImportedNames:
    """Remembers for each file what it imports."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._known: dict[str, tuple[bytes, frozenset[str]]] = {}
        self._decoder = msgspec.msgpack.Decoder(_Facts)

    def of(self, files: Iterable[Mapping[str, Entry]]) -> frozenset[str]:
        """Return the first parts of the names of all modules that files import, also inside of functions."""
        known = {}
        for entries in files:
            for path, entry in entries.items():
                found = self._known.get(path)
                if found is None or found[0] is not entry.facts:
                    found = entry.facts, self._read(entry.facts)
                known[path] = found
        self._known = known
        return frozenset().union(*(names for _, names in known.values()))

    def _read(self, facts: bytes) -> frozenset[str]:
        read = self._decoder.decode(facts)
        codes = [read.code, *(cell.code for cell in read.cells)]
        modules = (each.module for code in codes for statement in code.statements for each in statement.imports)
        return frozenset(module.partition(".")[0] for module in modules if not module.startswith("."))
