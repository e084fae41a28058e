"""Why partitions can't be executed as things stand, and which selection could."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime

from nbpipe.core.definitions import Definitions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.ranges import range_texts, ranges_label
from nbpipe.core.partitions.sets import ListedDimension, PartitionSet
from nbpipe.core.partitions.subsets import PartitionSubset, everything, nothing
from nbpipe.core.partitions.texts import quote
from nbpipe.core.runs.partition_choice import LeftOut
from nbpipe.core.selection import quoted
from nbpipe.errors import DeclarationError

#: So many texts say which partitions are meant; more are counted.
_TEXTS = 3

#: So many assets are named.
_NAMED = 3


def named(subset: PartitionSubset) -> str:
    """Return a text for a person that says which partitions these are."""
    if not subset:
        return "none"
    texts = range_texts(subset)
    if len(texts) <= _TEXTS:
        return ", ".join(texts)
    return f"{ranges_label(texts, len(subset))} ({texts[0]} ... {texts[-1]})"


def unsaid(partitioned: Sequence[str], book: PartitionBook, now: datetime, selection: str) -> str:
    """Say that partitions must be chosen, and how."""
    key = partitioned[0]
    of = book.of(key)
    latest = None if of is None else of.latest_complete(now)
    others = f" (so {'has' if len(partitioned) == 2 else 'have'} {_listed(partitioned[1:])})" if partitioned[1:] else ""
    text = selection.strip() or " ".join(map(quoted, partitioned))
    if latest is None:
        missing = f", but it has none yet: {when(of, now)}" if of is not None else ""
        return f"{key} has partitions{others}: say which with --partition KEY or --partitions A..B{missing}"
    return (
        f"{key} has partitions{others}: say which with --partition {_shell(latest)} (the latest complete one) or "
        f"--partitions A..B; `nbpipe backfill {_shell(text)} --missing` computes all that are missing"
    )


def lacking_text(one: LeftOut, now: datetime) -> str:
    """Say what keeps partitions from being executed."""
    number = len(one.lacking)
    if one.partitions.of == WHOLE:
        who = one.asset
    elif len(one.partitions) == 1:
        who = f"{one.asset}@{named(one.partitions)}"
    else:
        who = f"{named(one.partitions)} of {one.asset}"
    verb = "needs" if len(one.partitions) == 1 else "need"
    ended = one.lacking & everything(one.lacking.of, now)
    state = "has no value" if number == 1 else "have no value"
    if not ended:
        state += " (the time has not come)"
    return f"{who} {verb} {named(one.lacking)} of {one.upstream}, which {state}"


class Remedy:
    """Finds a selection that would work."""

    def __init__(
        self,
        definitions: Definitions,
        graph: AssetGraph,
        book: PartitionBook,
        executed: Mapping[str, PartitionSubset],
        materialized: Container[str],
        now: datetime,
    ) -> None:
        """Know the project, and what is there: see `partition_plans.plan_partitions`."""
        self._definitions = definitions
        self._graph = graph
        self._book = book
        self._executed = executed
        self._materialized = materialized
        self._now = now

    def text(self, one: LeftOut, wanted: PartitionSubset, keys: Sequence[str]) -> str:
        """Return what to do about partitions that were refused, in words; `wanted` are all of the asset's."""
        if not one.lacking & everything(one.lacking.of, self._now):
            return "Choose partitions whose time has passed"
        if one.asset == one.upstream:
            return f"Begin earlier: {one.asset} reads its own earlier partitions"
        needed = self._needed(one.asset, wanted)
        names = [*self._graph.arrange({*keys, *needed, *self._plain(needed)})]
        tops = self._tops(needed)
        texts = {range_texts(needed[key]) for key in tops}
        selection = " ".join(map(quoted, names))
        if len(texts) == 1 and len(ranges := texts.pop()) == 1:
            option = "--partitions" if ".." in ranges[0] else "--partition"
            return f"This selection would work: {selection} {option} {_shell(ranges[0])}"
        missing = " ".join(map(quoted, needed))
        return f"Compute those first: nbpipe backfill {_shell(missing)} --missing"

    def _needed(self, asset: str, wanted: PartitionSubset) -> dict[str, PartitionSubset]:
        """Return the partitions upstream to be computed before some can be; all that feed where one is lacking."""
        book, now = self._book, self._now
        todo = {asset: wanted}
        found: dict[str, PartitionSubset] = {}
        for key in reversed(self._graph.arrange({asset, *self._graph.ancestors([asset])})):
            if key not in todo:
                continue
            spec = self._definitions.assets[key]
            for above in spec.upstream:
                of = book.of(above)
                if of is None:
                    continue
                try:
                    link = book.link(spec, above)
                except DeclarationError:
                    continue
                feeding = nothing(of) if link.lenient else link.upstream_of(todo[key], now)
                if feeding - self._executed.get(above, nothing(of)):
                    found[above] = found.get(above, nothing(of)) | feeding
                    todo[above] = found[above]
        return found

    def _plain(self, needed: Iterable[str]) -> set[str]:
        """Return what has no partitions, was never materialized, and is needed for some assets."""
        found: set[str] = set()
        pending = list(needed)
        for key in pending:  # grows while it is walked
            for above in self._graph.upstream(key):
                if self._book.of(above) is None and above not in self._materialized and above not in found:
                    found.add(above)
                    pending.append(above)
        return found

    def _tops(self, needed: Mapping[str, PartitionSubset]) -> list[str]:
        return [key for key in needed if needed.keys().isdisjoint(self._definitions.assets[key].upstream)]


def when(of: PartitionSet, now: datetime) -> str:
    """Say when a set without partitions will have some."""
    for part in of.dimensions:
        if not part.members(now):
            if isinstance(part, ListedDimension):
                return f"add keys with `nbpipe partitions add {quote(part.source)} KEY`"
            return f"the first window, {part.key(part.first)}, has not ended"
    return "no window has ended"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _shell(text: str) -> str:
    """Quote a word for a shell where it needs it."""
    plain = text and all(char.isalnum() or char in "-_.:/+,@" for char in text)
    return text if plain else f'"{text}"'
