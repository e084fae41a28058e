"""Which partitions of a backfill can run, and which never will."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.core.backfills.edges import edges_of
from nbpipe.core.backfills.records import Portion
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.subsets import PartitionSubset, everything, nothing, single
from tests.unit.core.backfills.models import NOW, asset, backlog, book_of, keys_of

DAY, WEEK, MONTH, HALVES = "daily:2024-01-01", "weekly:2024-01-01", "monthly:2023-12-01", "static:a,b"
ALL_DAYS = "2024-01-01..2024-01-14"


def drain(log, book, failing=(), room=1):
    """Run everything; return the runs as texts, in order, and what was lost."""
    runs, lost = [], {}
    while requests := log.take(room):
        runs += [
            [f"{key}@{one}" if one else key for key, one in keys_of(book, request.partitions)] for request in requests
        ]
        for request in requests:
            log.end(request, became(book, request.partitions, failing))
            for key, families in log.newly_lost().items():
                lost.setdefault(key, []).extend(PartitionSubset(book.of(key) or WHOLE, families))
    assert log.over
    return runs, {key: sorted(keys) for key, keys in lost.items()}


def became(book, partitions, failing) -> Mapping[str, Portion]:
    """Let what is named `ASSET@KEY` fail, and the rest succeed but for what needs it in the same run."""
    found = {}
    for key, families in partitions.items():
        of = book.of(key) or WHOLE
        failed = nothing(of)
        for one in PartitionSubset(of, families):
            if f"{key}@{one}" in failing:
                failed = failed | single(of, one)
        done = PartitionSubset(of, families) - failed
        found[key] = Portion(requested={}, done=done.families, failed=failed.families)
    return found


def test_each_week_runs_when_its_days_are_done():
    log, _, book = backlog(
        [asset("day", "", DAY), asset("week", "day", WEEK)],
        {"day": ALL_DAYS, "week": "2024-01-01..2024-01-08"},
    )
    runs, lost = drain(log, book)
    flat = [run[0] for run in runs]
    assert flat[7] == "week@2024-01-01"
    assert flat[-1] == "week@2024-01-08"
    assert len(flat) == 16
    assert not lost


def test_a_failed_day_loses_its_week_alone():
    log, _, book = backlog(
        [asset("day", "", DAY), asset("week", "day", WEEK), asset("total", "week")],
        {"day": ALL_DAYS, "week": "2024-01-01..2024-01-08", "total": ""},
    )
    runs, lost = drain(log, book, failing={"day@2024-01-03"})
    assert lost == {"week": ["2024-01-01"]}
    assert runs[-1] == ["total"]


def test_what_takes_all_there_is_runs_once_unless_there_is_nothing():
    specs = [asset("half", "", HALVES), asset("total", "half")]
    requested = {"half": "a b", "total": ""}
    failing = {"half@a", "half@b"}
    log, _, book = backlog(specs, requested)
    assert drain(log, book, failing={"half@a"}) == ([["half@a"], ["half@b"], ["total"]], {})
    log, _, book = backlog(specs, requested)
    assert drain(log, book, failing) == ([["half@a"], ["half@b"]], {"total": [""]})
    log, _, book = backlog(specs, {"half": "a", "total": ""}, there={"half": "b"})
    assert drain(log, book, failing) == ([["half@a"], ["total"]], {})


def test_what_comes_after_for_the_order_alone_is_not_lost():
    log, _, book = backlog([asset("half", "", HALVES), asset("total", "~half")], {"half": "a b", "total": ""})
    assert drain(log, book, failing={"half@a", "half@b"}) == ([["half@a"], ["half@b"], ["total"]], {})


def test_the_latest_is_waited_for_with_all_others_and_lost_if_it_fails():
    specs = [asset("day", "", DAY), asset("half", "day", HALVES, rules=["day=latest"])]
    requested = {"day": "2024-01-12..2024-01-14", "half": "a b"}
    log, _, book = backlog(specs, requested)
    runs, lost = drain(log, book, failing={"day@2024-01-12"}, room=2)
    assert runs[-2:] == [["half@a"], ["half@b"]]
    assert not lost
    log, _, book = backlog(specs, requested)
    assert drain(log, book, failing={"day@2024-01-14"})[1] == {"half": ["a", "b"]}


def test_a_chain_through_time_runs_one_after_the_other_and_breaks_where_it_fails():
    specs = [asset("day", "", DAY, own=True), asset("copy", "day", DAY)]
    requested = dict.fromkeys(("day", "copy"), "2024-01-01..2024-01-05")
    log, _, book = backlog(specs, requested)
    assert len(log.take(5)) == 1
    log, _, book = backlog(specs, requested)
    runs, lost = drain(log, book, failing={"day@2024-01-03"}, room=4)
    assert len(runs) == 3
    assert lost == {"day": ["2024-01-04", "2024-01-05"], "copy": ["2024-01-04", "2024-01-05"]}


def test_chains_of_several_families_run_beside_each_other():
    spec = asset("x", "", "date=daily:2024-01-01 x region=static:eu,us", own=True)
    log, _, book = backlog([spec], {"x": "2024-01-01..2024-01-03|*"})
    first = log.take(9)
    assert [keys_of(book, one.partitions) for one in first] == [[("x", "2024-01-01|eu")], [("x", "2024-01-01|us")]]


@pytest.mark.parametrize(("size", "runs"), [("single", [5]), ("2", [2, 2, 1]), ("9", [5]), (None, [1] * 5)])
def test_a_run_takes_as_many_as_the_asset_says(size, runs):
    spec = asset("day", "", DAY, backfill=size, own=True)
    log, _, book = backlog([spec], {"day": "2024-01-01..2024-01-05"})
    found, _ = drain(log, book, room=3)
    assert [len(run) for run in found] == runs


def test_a_single_run_waits_for_everything_above():
    specs = [asset("day", "", DAY), asset("week", "day", WEEK, backfill="single")]
    log, _, book = backlog(specs, {"day": ALL_DAYS, "week": "2024-01-01..2024-01-08"})
    runs, _ = drain(log, book)
    assert runs[-1] == ["week@2024-01-01", "week@2024-01-08"]


def test_what_a_run_did_not_finish_runs_again():
    log, _, book = backlog([asset("day", "", DAY, backfill="single")], {"day": "2024-01-01..2024-01-03"})
    (request,) = log.take(1)
    assert log.busy
    log.end(request, {"day": Portion(requested={}, done=dict(single(book.of("day"), "2024-01-02").families))})
    (again,) = log.take(1)
    assert [key for _, key in keys_of(book, again.partitions)] == ["2024-01-01", "2024-01-03"]


def test_assets_of_one_cell_may_number_their_keys_differently():
    from nbpipe.core.backfills.backlog import Backlog
    from nbpipe.core.backfills.blocks import blocks_of
    from nbpipe.core.partitions.registries import KeyRegistry

    specs = [asset("a", "", HALVES, notebook="n"), asset("b", "", HALVES, notebook="n")]
    book = book_of(specs)
    sets = {"a": book.of("a"), "b": book.of("b").with_registries({"": KeyRegistry(("b", "a"))})}
    blocks, edges = blocks_of(specs, book)
    portions = {key: Portion(requested=everything(of, NOW).families) for key, of in sets.items()}
    log = Backlog(blocks, edges, portions, sets=sets, there={}, now=NOW)
    for request, key in zip(log.take(2), "ab", strict=True):
        assert [list(PartitionSubset(sets[name], request.partitions[name])) for name in "ab"] == [[key], [key]]


SETS = (None, DAY, WEEK, MONTH, HALVES, "daily:2024-01-03", "date=daily:2024-01-01 x half=static:a,b")


@st.composite
def projects(draw):
    """Draw assets, and what is requested of them."""
    specs, names = [], []
    for name in "abcdef"[: draw(st.integers(1, 6))]:
        partitions = draw(st.sampled_from(SETS))
        ups = draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
        rules, words = [], []
        for up in ups:
            if draw(st.booleans()):
                rules.append(f"{up}={draw(st.sampled_from(('all', 'latest', 'offset(-1)', 'identity')))}")
            words.append(up if draw(st.integers(0, 5)) else f"~{up}")
        own = partitions is not None and partitions.startswith("daily") and draw(st.booleans())
        made = asset(
            name,
            " ".join(words),
            partitions,
            rules=rules,
            own=own,
            notebook=draw(st.sampled_from(("n", "m", None))),
            index=len(specs),
            backfill=draw(st.sampled_from((None, None, "2", "single"))),
        )
        try:
            edges_of(made, book_of([*specs, made]))
        except Exception:  # noqa: BLE001 - a mapping that doesn't fit: another one, without
            made = asset(name, "", partitions, index=len(specs))
        specs.append(made)
        names.append(name)
    return specs, draw(st.integers(0, 2**32)), draw(st.booleans())


class _Model:
    """The same, key by key."""

    def __init__(self, specs, book, wanted):
        self.wanted = wanted
        self.needs, self.takes = {}, {}
        for one in specs:
            for edge in edges_of(one, book):
                for key in (k for name, k in wanted if name == one.key):
                    of = book.of(one.key) or WHOLE
                    waits = edge.waits.upstream_of(single(of, key), NOW)
                    self.needs.setdefault((one.key, key), set()).update(
                        (edge.upstream, k) for k in waits if (edge.upstream, k) in wanted
                    )
                    if edge.loses is not None:
                        found = edge.loses.upstream_of(single(of, key), NOW)
                        self.takes.setdefault((one.key, key), set()).update((edge.upstream, k) for k in found)
                    elif edge.needs_some:
                        self.takes.setdefault((one.key, key), set()).add((edge.upstream, tuple(waits)))

    def is_lost(self, part, good, bad):
        return any(
            not any((up, k) in good for k in key) if isinstance(key, tuple) else (up, key) in bad
            for up, key in self.takes.get(part, ())
        )


class _Driver:
    """Runs everything by chance, and remembers what was recorded of it."""

    def __init__(self, specs, rng, *, single_run):
        self._specs, self._rng, self._single_run = specs, rng, single_run
        self.book = book_of(specs)
        self.wanted = set()
        for one in specs:
            of = self.book.of(one.key)
            keys = [""] if of is None else [key for key in everything(of, NOW) if rng.random() < 0.7]
            self.wanted |= {(one.key, key) for key in keys}
        self._model = _Model(specs, self.book, self.wanted)
        self.ended = {"done": set(), "failed": set(), "skipped": set(), "lost": set()}
        self.runs: dict[tuple[str, str], int] = {}

    @property
    def good(self):
        return self.ended["done"] | self.ended["skipped"]

    @property
    def bad(self):
        return self.ended["failed"] | self.ended["lost"]

    def work(self) -> bool:
        """Work until all is done, or until the process dies."""
        log, blocks, _ = backlog(
            self._specs,
            {one.key: self.wanted for one in self._specs},
            single_run=self._single_run,
            ended=self.ended,
        )
        running = []
        self._note_losses(log)
        while not log.over:
            for request in log.take(self._rng.choice((1, 2, 100))):
                parts = set(keys_of(self.book, request.partitions))
                size = blocks[request.block].size
                assert size is None or len({key for _, key in parts}) <= size
                self._check(parts)
                running.append((request, parts))
            assert running, "nothing runs, nothing can start, and something is left"
            if self._rng.random() < 0.05:
                return False
            request, parts = running.pop(self._rng.randrange(len(running)))
            log.end(request, self._became(request, parts))
            self._note_losses(log)
        return True

    def _check(self, parts):
        assert parts
        assert not parts & (self.good | self.bad)
        for part in parts:
            self.runs[part] = self.runs.get(part, 0) + 1
            assert self._model.needs.get(part, set()) <= self.good | self.bad | parts
            assert not self._model.is_lost(part, self.good | parts, self.bad)

    def _became(self, request, parts):
        portions = {}
        for name, families in request.partitions.items():
            of = self.book.of(name) or WHOLE
            sides = {side: nothing(of) for side in self.ended}
            for key in PartitionSubset(of, families):
                side = "lost"
                if not self._model.is_lost((name, key), self.good | parts, self.bad):
                    side = self._rng.choices(("done", "failed", "skipped"), (8, 1, 1))[0]
                sides[side] = sides[side] | single(of, key)
                self.ended[side].add((name, key))
            portions[name] = Portion(requested={}, **{side: found.families for side, found in sides.items()})
        return portions

    def _note_losses(self, log):
        for key, families in log.newly_lost().items():
            new = {(key, one) for one in PartitionSubset(self.book.of(key) or WHOLE, families)}
            assert not new & set(self.runs) - self.wanted
            assert all(self._model.is_lost(part, self.good, self.bad | new) for part in new)
            self.ended["lost"] |= new


@given(projects())
def test_backlogs_agree_with_a_model_that_goes_key_by_key(drawn):
    specs, seed, single_run = drawn
    driver = _Driver(specs, random.Random(seed), single_run=single_run)
    while not driver.work():
        pass
    assert driver.good | driver.bad == driver.wanted
    assert not driver.good & driver.bad
    assert driver.wanted - driver.ended["lost"] <= set(driver.runs)
