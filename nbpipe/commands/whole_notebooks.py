"""What a run of a whole notebook does for assets with partitions: the one of each that closed last, as in Run All.

What it can't compute, because partitions that it takes are not there, is left out and told: nobody asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import msgspec

from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec
from nbpipe.errors import DeclarationError

_ADDING = ("add_partitions", "partitions add")
"""How a cell adds keys to a dynamic set: the cells below it may find some when their turn comes."""


class WholeNotebook(msgspec.Struct, frozen=True, kw_only=True):
    """What is executed, and what can't be."""

    partitions: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """See `RunPlan.partitions`."""
    left_out: Mapping[str, str] = MappingProxyType({})
    """Why assets are not executed, by name."""


def whole_notebook(
    workspace: Workspace, path: str, *, at: datetime, given: Mapping[str, tuple[str, ...]] = MappingProxyType({})
) -> WholeNotebook:
    """Decide what a run of a whole notebook executes of its assets with partitions.

    Args:
        workspace: its project.
        path: of the notebook.
        at: windows that have closed until then are complete.
        given: partitions of some assets, as an earlier run of it had them.
    """
    definitions = workspace.definitions
    keys = [key for key in definitions.notebooks[path].assets if key in definitions.assets]
    specs = [definitions.assets[key] for key in workspace.graph.arrange(keys) if not definitions.blocked(key)]
    if not any(spec.options.partitions is not None for spec in specs):
        return WholeNotebook()
    found = _Deciding(workspace, specs, at)
    text = (workspace.root / path).read_text(encoding="utf-8", errors="replace")
    return found.decide(given, adds_keys=any(words in text for words in _ADDING))


class _Deciding:
    """One call of `whole_notebook`, where something has partitions."""

    def __init__(self, workspace: Workspace, specs: Sequence[AssetSpec], at: datetime) -> None:
        from nbpipe.commands.partition_requests import executed

        self._workspace, self._specs, self._at = workspace, specs, at
        self._book = workspace.book
        self._executed = executed(workspace, [spec.key for spec in specs])
        self._left_out: dict[str, str] = {}

    def decide(self, given: Mapping[str, tuple[str, ...]], *, adds_keys: bool) -> WholeNotebook:
        """Return what is executed; with `adds_keys`, what has no keys yet is left to the moment of its turn."""
        from nbpipe.core.partitions.ranges import parse_ranges, range_texts
        from nbpipe.core.partitions.subsets import single
        from nbpipe.core.runs.partition_choice import follow
        from nbpipe.core.runs.partition_refusals import lacking_text, when

        wanted, open_ends = {}, set()
        for spec in self._specs:
            of = self._book.of(spec.key)
            if of is None:
                continue
            latest = of.latest_complete(self._at)
            if spec.key in given:
                wanted[spec.key] = parse_ranges(of, given[spec.key], self._at)
            elif latest is not None:
                wanted[spec.key] = single(of, latest)
            elif adds_keys:
                open_ends.add(spec.key)
            else:
                self._left_out[spec.key] = f"{spec.key} has no partitions yet: {when(of, self._at)}"
        undecided = {*self._left_out, *open_ends, *self._workspace.graph.descendants(open_ends)}
        there = [spec for spec in self._specs if spec.key not in undecided]
        for one in follow(there, self._book, wanted, self._executed, self._at).left_out:
            stored = self._executed.get(one.asset)
            if stored is None or one.partitions - stored:  # what is stored may be up to date all the same
                self._leave_out(one.asset, lacking_text(one, self._at))
        self._pass_on()
        texts = {key: range_texts(subset) for key, subset in wanted.items() if key not in self._left_out}
        return WholeNotebook(partitions=texts, left_out=MappingProxyType(self._left_out))

    def _leave_out(self, asset: str, why: str) -> None:
        for key in (asset, *self._workspace.definitions.assets[asset].siblings):
            self._left_out.setdefault(key, why)

    def _pass_on(self) -> None:
        """Leave out what takes something of an asset that is left out and has no value at all."""
        states = self._workspace.states(self._left_out)
        empty = {key for key in self._left_out if not self._executed.get(key)}
        empty -= {key for key, state in states.items() if state.current is not None}
        for spec in self._specs:
            lost = next((up for up in spec.upstream if up in empty and self._takes(spec, up)), None)
            if lost is not None and spec.key not in self._left_out:
                self._leave_out(spec.key, f"{spec.key} needs {lost}, which has no value")
                state = self._workspace.states([spec.key]).get(spec.key)
                if not self._executed.get(spec.key) and (state is None or state.current is None):
                    empty.update((spec.key, *spec.siblings))

    def _takes(self, spec: AssetSpec, upstream: str) -> bool:
        try:
            self._book.link(spec, upstream)
        except DeclarationError:  # it is there for the order alone
            return False
        return True
