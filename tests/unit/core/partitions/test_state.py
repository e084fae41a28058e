"""What follows from facts: small tables, and a model that goes key by key."""

import random
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import ChunkFacts, Column, PartitionFacts, chunk_from_bytes, number_of
from nbpipe.core.partitions.explaining import partition_reasons
from nbpipe.core.partitions.fitting import link, own_link
from nbpipe.core.partitions.inputs import Inputs, added
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.mapping_syntax import parse_mapping
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.state import STATUSES, AssetPartitions, assess_asset, assess_partitions
from nbpipe.core.partitions.subsets import everything, single
from nbpipe.errors import DeclarationError, StateError

NOW = datetime(2024, 1, 20, tzinfo=UTC)


class World:
    """Assets with facts, and beside them a model: for each partition what it was made with."""

    def __init__(self, *definitions):
        self.sets, self.links, self.facts, self.code, self.model = {}, {}, {}, {}, {}
        self.versions = count(1)
        for name, spec, upstream in definitions:
            self.sets[name] = parse_partitions(spec) if spec else WHOLE
            self.links[name] = tuple(self._link(name, above, rule) for above, rule in upstream.items())
            self.facts[name] = PartitionFacts({})
            self.code[name] = 1
            self.model[name] = {}

    def _link(self, name, above, rule):
        rule = parse_mapping(rule) if rule else None
        if above == name:
            return own_link(name, self.sets[name], rule)
        return link(above, self.sets[above], self.sets[name], rule)

    def keys(self, name):
        return list(everything(self.sets[name], NOW))

    def inputs(self, name, key):
        """Return the data versions that feed a partition, by upstream and key."""
        return {
            (one.upstream, above): self.model[one.upstream][above]["version"]
            for one in self.links[name]
            for above in one.upstream_of(single(self.sets[name], key), NOW)
            if self.model[one.upstream].get(above, {}).get("version")
        }

    def do(self, name, key, event, version=None):
        of = self.sets[name]
        outer, inner = of.position(key)
        chunk_id, offset = of.address(key)
        chunk = self.facts[name].chunk(chunk_id)
        record = self.model[name].get(key, {})
        if event in {"materialize", "hold"}:
            version = version or next(self.versions)
        if event in {"materialize", "skip"}:
            sources = [(one, self.facts[one.upstream]) for one in self.links[name]]
            inputs = Inputs(sources, NOW).fingerprint(outer, inner)
            made = {"code": self.code[name], "inputs": self.inputs(name, key), "failed": False, "held": False}
            record = record | made | {"running": False, "skipped": event == "skip"}
            if event == "skip":
                chunk = chunk.skip(offset, inputs=inputs, code=self.code[name])
            else:
                chunk = chunk.materialize(offset, version=number_of(str(version)), inputs=inputs, code=self.code[name])
                record["version"] = version
        elif event == "hold" and record.get("version"):
            chunk = chunk.hold(offset, version=number_of(str(version)))
            ended = dict.fromkeys(("failed", "skipped", "running"), False)
            record = record | ended | {"version": version, "held": True}
        elif event != "hold":
            chunk = getattr(chunk, event)(offset)
            record = self.after(event, record)
        self.facts[name] = self.facts[name].with_chunk(chunk_id, chunk_from_bytes(chunk.to_bytes()))
        self.model[name][key] = record

    def after(self, event, record):
        if event == "wipe":
            return {"running": record.get("running", False)}
        if event == "fail":
            return record | {"failed": True, "running": False}
        return record | {"running": event == "start"}

    def state(self):
        return assess_partitions(self.assets(), NOW)

    def state_after(self, before):
        """Return what `state` does, from earlier states."""
        found = {}
        for asset in self.assets():
            standings = {name: state.standing for name, state in found.items()}
            found[asset.asset] = assess_asset(asset, standings, NOW, before.get(asset.asset))
        return found

    def assets(self):
        return [
            AssetPartitions(
                asset=name,
                of=self.sets[name],
                facts=self.facts[name],
                drift={self.code[name]: ()},
                links=self.links[name],
            )
            for name in self.sets
        ]

    def expected(self):
        """Return (status, materialized) of every partition, key by key."""
        unsound, never, found = {}, set(), {}
        for name in self.sets:
            for key in self.keys(name):  # in order, so that own earlier partitions are known
                record = self.model[name].get(key, {})
                executed = bool(record.get("version") or record.get("skipped"))
                above = any(
                    unsound.get((one.upstream, up)) and not (one.lenient and (one.upstream, up) in never)
                    for one in self.links[name]
                    for up in one.upstream_of(single(self.sets[name], key), NOW)
                )
                stale = executed and (
                    above or record["code"] != self.code[name] or record["inputs"] != self.inputs(name, key)
                )
                held, failed = record.get("held"), record.get("failed")
                bad = not executed or ((stale or failed) and not held)
                unsound[name, key] = bad
                if not executed and not failed:
                    never.add((name, key))
                status = "fresh"
                if record.get("running"):
                    status = "running"
                elif failed and not held:
                    status = "failed"
                elif not executed:
                    status = "missing"
                elif bad:
                    status = "stale"
                elif record.get("skipped"):
                    status = "skipped"
                found[name, key] = (status, bool(record.get("version")))
        return found

    def actual(self):
        found = {}
        for name, state in self.state().items():
            for key in self.keys(name):
                outer, inner = state.of.position(key)
                found[name, key] = state.status_of(key), inner in state.materialized.get(outer, ())
        return found


SPAN = "2024-01-08..2024-01-16"
SHAPES = {
    "chain with a self-dependency": [
        ("a", f"daily:{SPAN}", {}),
        ("b", f"daily:{SPAN}", {"a": None, "b": "offset(-1)"}),
        ("c", "weekly:2024-01-08", {"b": None}),
        ("d", None, {"c": None}),
    ],
    "dimensions": [
        ("a", f"date=daily:{SPAN} x r=static:eu,us", {}),
        ("b", f"date=daily:{SPAN} x r=static:eu,us", {"a": "r=all", "b": "offset(-2,-1)"}),
        ("c", "static:us,eu", {"a": None, "b": "date=latest"}),
        ("d", f"daily:{SPAN}", {"b": "offset(-1,0)", "c": "keys(us)"}),
    ],
    "grains": [
        ("a", "hourly:2024-01-13T20..2024-01-15T03@Europe/Berlin", {}),
        ("b", "daily:2024-01-13..2024-01-15@Europe/Berlin", {"a": None}),
        ("c", "cron(0 */6 * * *):2024-01-13..2024-01-15", {"a": None, "b": None, "c": "offset(-1)"}),
        ("d", "static:x,y", {"c": "all"}),
        ("e", "static:p,q,r", {"d": "static(x:p,x:q,y:q)"}),
        ("f", "hourly:2024-01-14T00..2024-01-14T05", {"b": None, "e": "all", "a": None}),
    ],
}
EVENTS = ["materialize", "materialize", "materialize", "fail", "skip", "start", "stop", "wipe", "hold"]


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=25)
@given(data=st.data())
def test_state_is_that_of_a_model_after_any_events(shape, data):
    world = World(*SHAPES[shape])
    if data.draw(st.booleans()):
        for name in world.sets:
            for key in world.keys(name):
                world.do(name, key, "materialize")
    before = {}
    for _ in range(data.draw(st.integers(0, 12))):
        if data.draw(st.booleans()):
            before = world.state_after(before)
        name = data.draw(st.sampled_from(sorted(world.sets)))
        event = data.draw(st.sampled_from([*EVENTS, "code"]))
        if event == "code":
            world.code[name] = data.draw(st.integers(1, 3))
            continue
        key = data.draw(st.sampled_from(world.keys(name)))
        world.do(name, key, event, version=data.draw(st.sampled_from([None, "x", "y"])))
    assert world.actual() == world.expected()
    assert world.state_after(before) == world.state()
    for name, state in world.state().items():
        counts = state.counts
        assert counts.total == len(world.keys(name)) == sum(getattr(counts, status) for status in STATUSES)


@pytest.mark.parametrize("seed", range(2))
def test_a_state_made_from_an_earlier_one_is_the_same_where_partitions_fill_many_chunks(seed):
    chance, before = random.Random(seed), {}
    span = "2022-11-01T00..2023-12-31T23"
    world = World(
        ("hours", f"hourly:{span}", {}),
        ("copy", f"hourly:{span}", {"hours": None, "copy": "offset(-1)"}),
        ("days", "daily:2022-11-01..2023-12-31", {"copy": None}),
        ("regions", "d=daily:2022-11-01..2023-12-31 x r=static:eu,us", {"days": None}),
        ("newest", "static:a,b", {"regions": "d=latest, r=all"}),
        ("all", "static:a,b", {"hours": "all"}),
    )
    keys = {name: world.keys(name) for name in world.sets}
    for _ in range(25):
        for _ in range(6):
            name = chance.choice(list(world.sets))
            first = chance.randrange(len(keys[name]))
            for key in keys[name][first : first + chance.choice([1, 30])]:
                world.do(name, key, chance.choice(EVENTS), version=chance.choice([None, "x"]))
        before, expected = world.state_after(before), world.state()
        assert {name: state.compared.found for name, state in before.items()} == {
            name: state.compared.found for name, state in expected.items()
        }
        assert before == expected


def filled(*definitions):
    world = World(*definitions)
    for name in world.sets:
        for key in world.keys(name):
            world.do(name, key, "materialize", version=f"{name}{key}")
    return world


def test_equal_content_computed_again_leaves_downstream_fresh():
    world = filled(*SHAPES["grains"])
    assert all(state.counts.fresh == state.counts.total for state in world.state().values())
    world.do("a", "2024-01-14T05", "materialize", version="a2024-01-14T05")
    assert world.state()["b"].counts.stale == 0
    world.do("a", "2024-01-14T05", "materialize", version="other")
    assert list(world.state()["b"].subset("stale")) == ["2024-01-14"]
    assert partition_reasons(world.state()["b"], "2024-01-14") == ("upstream a has newer data",)
    world.do("a", "2024-01-14T05", "materialize", version="a2024-01-14T05")
    assert world.state()["b"].counts.stale == 0


def test_a_partition_between_those_that_are_read_does_not_matter():
    world = World(("a", "static:p,q,r", {}), ("b", "static:x", {"a": "keys(p,r)"}))
    for name, key in (("a", "p"), ("a", "r"), ("b", "x"), ("a", "q")):
        world.do(name, key, "materialize")
    assert world.state()["b"].counts.fresh == 1
    world.do("a", "r", "materialize")
    assert world.state()["b"].counts.stale == 1


def test_the_same_values_in_another_order_are_other_inputs():
    world = filled(*SHAPES["grains"])
    world.do("a", "2024-01-14T05", "materialize", version="a2024-01-14T06")
    world.do("a", "2024-01-14T06", "materialize", version="a2024-01-14T05")
    assert list(world.state()["b"].subset("stale")) == ["2024-01-14"]


def test_a_change_in_the_middle_of_a_self_dependency_reaches_its_end_but_for_what_is_skipped_or_held():
    world = filled(("a", "daily:2024-01-01..2024-01-12", {"a": "offset(-1)"}))
    world.do("a", "2024-01-03", "wipe")
    state = world.state()["a"]
    assert list(state.subset("missing")) == ["2024-01-03"]
    assert list(state.subset("stale"))[::8] == ["2024-01-04", "2024-01-12"]
    assert partition_reasons(state, "2024-01-04") == (
        "upstream a has newer data",
        "an earlier partition is missing, failed or stale",
    )
    assert partition_reasons(state, "2024-01-05") == ("an earlier partition is missing, failed or stale",)
    world.do("a", "2024-01-06", "hold", version="a2024-01-06")
    assert list(world.state()["a"].subset("stale")) == ["2024-01-04", "2024-01-05"]


def test_a_failure_makes_stale_what_it_feeds_and_a_skip_does_not():
    world = filled(("a", f"daily:{SPAN}", {}), ("b", f"daily:{SPAN}", {"a": None}))
    world.do("a", "2024-01-08", "fail")
    assert list(world.state()["b"].subset("stale")) == ["2024-01-08"]
    assert list(world.state()["a"].subset("failed")) == ["2024-01-08"]
    world.do("a", "2024-01-08", "skip")
    assert world.state()["a"].status_of("2024-01-08") == "skipped"
    assert world.state()["b"].status_of("2024-01-08") == "fresh"


def test_what_is_out_of_date_itself_is_told_from_what_is_only_stale():
    world = filled(*SHAPES["chain with a self-dependency"])
    world.do("b", "2024-01-10", "fail")
    world.code["b"] = 2
    world.do("b", "2024-01-08", "materialize", version="b2024-01-08")
    state = world.state()
    assert list(state["b"].out_of_date()) == world.keys("b")[1:]
    assert list(state["c"].out_of_date()) == []
    assert list(state["c"].subset("stale")) == ["2024-01-08"]
    assert state["b"].status_of("2024-01-10") == "failed"


def test_a_self_dependency_along_a_cron_expression_with_holes_reaches_its_end():
    world = filled(("a", "cron(*/30 9-10 * * 1-5):2024-01-11..2024-01-16", {"a": "offset(-1)"}))
    world.do("a", "2024-01-12T09:00", "fail")
    state = world.state()["a"]
    assert len(state.subset("stale")) == len([key for key in world.keys("a") if key > "2024-01-12T09:00"])


def test_a_longer_set_keeps_its_state():
    world = filled(("a", f"daily:{SPAN}", {}))
    world.sets["a"] = parse_partitions("daily:2024-01-01")
    counts = world.state()["a"].counts
    assert (counts.total, counts.fresh, counts.missing) == (19, 9, 10)


def test_a_shorter_set_counts_only_what_is_in_it():
    world = filled(("a", f"r=static:eu,us x date=daily:{SPAN}", {}))
    world.sets["a"] = parse_partitions("r=static:eu x date=daily:2024-01-10..2024-01-12")
    counts = world.state()["a"].counts
    assert (counts.total, counts.fresh, counts.materialized) == (3, 3, 3)


@pytest.mark.parametrize("rule", [None, "identity", "offset(1)", "offset(-1,0)", "all"])
def test_an_asset_reads_only_earlier_partitions_of_its_own(rule):
    with pytest.raises(DeclarationError, match=r"--map a=offset\(-1\)"):
        own_link("a", parse_partitions("daily:2024-01-01"), parse_mapping(rule) if rule else None)
    with pytest.raises(DeclarationError, match="only an asset with partitions"):
        own_link("a", None, None)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 2**64 - 1)), max_size=12))
def test_a_column_keeps_what_was_put(entries):
    column, model = Column(), {}
    for offset, number in entries:
        column, model[offset] = column.put(offset, number), number
    assert [column.get(offset) for offset in range(50)] == [model.get(offset, 0) for offset in range(50)]


@given(st.integers(1, 9), st.data())
def test_columns_are_added_number_by_number(length, data):
    numbers = st.lists(st.integers(0, 2**64 - 1), min_size=length, max_size=length)
    columns = data.draw(st.lists(st.tuples(st.integers(0, 2**64 - 1), numbers), max_size=4))
    packed = [(factor, b"".join(n.to_bytes(8, "little") for n in column)) for factor, column in columns]
    expected = [sum((factor | 1) * column[i] for factor, column in columns) % 2**64 for i in range(length)]
    found = added(packed, length)
    assert [int.from_bytes(found[i * 8 : i * 8 + 8], "little") for i in range(length)] == expected


def test_facts_are_not_changed_by_events():
    before = ChunkFacts().materialize(3, version=1, inputs=2, code=1)
    kept = before.to_bytes()
    before.fail(3).skip(4, inputs=1, code=2).wipe(3).start(1).stop(1)
    assert before.to_bytes() == kept
    assert before.materialized == BitMap((3,))


@pytest.mark.parametrize("data", [b"", b"abc", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_damaged_facts_are_an_error(data):
    with pytest.raises(StateError, match="damaged"):
        chunk_from_bytes(data)
