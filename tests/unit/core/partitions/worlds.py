"""A project of assets with and without partitions in a state store, and beside it a model that goes key by key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from nbpipe.core.definitions import AssetOptions, ParameterDef
from nbpipe.core.graph import AssetGraph
from nbpipe.core.partitions.assessing import AssessedPartitions
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.chunks import whole_facts
from nbpipe.core.partitions.inputs import Inputs, link_version
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.records import NewPartition, SkippedPartition
from nbpipe.core.partitions.subsets import everything, single
from nbpipe.core.records import NewMaterialization, Run
from nbpipe.core.staleness import assess
from nbpipe.storage.memory import InMemoryStateStore
from tests.stores import WORKER, stored
from tests.unit.core.assets import changed, project, spec

NOW = datetime(2024, 1, 20, tzinfo=UTC)
ENV = "default"
NOTEBOOK = "a.ipynb"


class Kept:
    """What the state store says of partitions."""

    def __init__(self, store):
        self._store = store

    def facts(self, asset):
        return self._store.partitions.facts(ENV, asset)

    def recipes(self, asset):
        return self._store.partitions.recipes(ENV, asset)


class Project:
    """Assets, written as `(name, SPEC or None, upstream names, {upstream: mapping}, other fields)`."""

    def __init__(self, *assets):
        self.store = InMemoryStateStore()
        self.specs, self.defaults, self.files = {}, {"n": "1"}, {"f.csv": "f1"}
        for index, (name, partitions, upstream, rules, fields) in enumerate(assets):
            options = AssetOptions(partitions=partitions, map=tuple(rules.items()))
            one = spec(name, upstream, index=index, options=options, **fields)
            others = tuple(key for key in one.upstream if key != name)
            self.specs[name] = changed(one, upstream=others)
        self.model = {name: {} for name in self.specs}
        self.numbers, self.memory = count(1), {}
        self.store.create_run(Run(id="r1", env=ENV, created_at=NOW), [], [], b"")
        self.store.claim_run("r1", WORKER, at=NOW)
        self.store.advance_run("r1", "running", at=NOW)

    @property
    def definitions(self):
        parameters = {NOTEBOOK: tuple(ParameterDef(name=k, default=v) for k, v in self.defaults.items())}
        return project(*self.specs.values(), parameters=parameters)

    @property
    def book(self):
        declared = {name: one.options.partitions for name, one in self.specs.items() if one.options.partitions}
        return PartitionBook(declared, self.store.partitions, ENV)

    def keys(self, name):
        of = self.book.of(name)
        return [""] if of is None else list(everything(of, NOW))

    def assessed(self, now=NOW, parameters=None):
        """Return assessments, and the states of the assets with partitions."""
        definitions = self.definitions
        partitions = AssessedPartitions(self.book, Kept(self.store), now, self.memory)
        found = assess(
            definitions,
            AssetGraph.of(definitions),
            self.store.states(ENV),
            files=lambda path: self.files.get(path, ""),
            now=now,
            parameters=parameters,
            partitions=partitions,
        )
        return found, partitions.states

    # --- what happens, in the store and in the model ---

    def do(self, event, name, key="", content=None):
        """Let something happen to a partition, or to an asset without."""
        record = self.model[name].get(key, {})
        if event == "hold":
            if not record.get("versions"):
                return  # there is nothing to go back to
            version = record["versions"][0]
            self._hold(name, key, record.get("wiped", 0) + 1)
            ended = dict.fromkeys(("failed", "skipped"), False)
            self.model[name][key] = record | ended | {"held": True, "value": version}
        elif event == "materialize":
            value = content or f"{next(self.numbers)}"
            self._commit(name, key, value)
            made = {"failed": False, "held": False, "skipped": False, "running": False, **self._made(name, key)}
            versions = [*record.get("versions", ()), value]
            self.model[name][key] = record | made | {"value": value, "versions": versions}
        elif event == "skip":
            self._skip(name, key)
            made = {"failed": False, "held": False, "skipped": True, "running": False, **self._made(name, key)}
            self.model[name][key] = record | made
        else:
            self._mark(event, name, key)
            after = {"fail": {"failed": True, "running": False}, "start": {"running": True}, "stop": {"running": False}}
            wiped = record.get("wiped", 0) + len(record.get("versions", ()))
            left = {"running": record.get("running", False), "wiped": wiped}
            self.model[name][key] = left if event == "wipe" else record | after[event]

    def _made(self, name, key):
        one = self.specs[name]
        return {
            "code": one.code,
            "parameters": {each: self.defaults[each] for each in one.parameters},
            "files": {each: self.files.get(each, "") for each in one.files},
            "inputs": self._inputs(name, key),
        }

    def _inputs(self, name, key):
        """Return what feeds: values by upstream and key."""
        found = {}
        for upstream, above in self._fed(name, key):
            found.setdefault(upstream, {})
            value = self.model[upstream].get(above, {}).get("value")
            if value:
                found[upstream][above] = value
        return found

    def _fed(self, name, key):
        """Yield upstream and key of all that feeds a partition."""
        book, one = self.book, self.specs[name]
        for upstream in one.inputs:
            if book.of(upstream) is None:
                yield upstream, ""
                continue
            link = book.link(one, upstream)
            down = link.down
            for above in link.upstream_of(single(down, key), NOW):
                yield upstream, above

    def _facts(self, name):
        if self.book.of(name) is not None:
            return self.store.partitions.facts(ENV, name)
        state = self.store.states(ENV, [name]).get(name)
        return whole_facts(state.current.stored.data_version if state and state.current else None)

    def new(self, name, key, value):
        one, states = self.specs[name], self.store.states(ENV)
        inputs = {}
        for up in one.inputs:
            if self.book.of(up) is not None and not key:
                inputs[up] = link_version(self.book.link(one, up), self._facts(up), (), 0, NOW)
            elif up in states and states[up].current:
                inputs[up] = states[up].current.stored.data_version
        parameters = {each: self.defaults[each] for each in one.parameters}
        return NewMaterialization(
            env=ENV,
            asset=name,
            partition=key,
            stored=stored(f"{name}/{key}/{next(self.numbers)}", data_version=value),
            code=one.code,
            code_version=one.code_version,
            inputs=inputs,
            files={each: self.files.get(each, "") for each in one.files},
            parameters=parameters,
            parameter_defaults=parameters,
            run_id="r1" if key else None,
            created_at=NOW,
        )

    def _fingerprint(self, name, position):
        links = self.book.links(self.specs[name])
        return Inputs([(link, self._facts(link.upstream)) for link in links], NOW).fingerprint(*position)

    def _commit(self, name, key, value):
        new = self.new(name, key, value)
        if not key:
            self.store.commit([new])
            return
        position = self.book.of(name).position(key)
        inputs = self._fingerprint(name, position)
        self.store.partitions.commit([NewPartition(position=position, value=new, inputs=inputs)])

    def _skip(self, name, key):
        one, position = self.specs[name], self.book.of(name).position(key)
        parameters = {each: self.defaults[each] for each in one.parameters}
        recipe = Recipe(
            code=one.code,
            code_version=one.code_version,
            files={each: self.files.get(each, "") for each in one.files},
            parameters=parameters,
            parameter_defaults=parameters,
        )
        inputs = self._fingerprint(name, position)
        self.store.partitions.skip(
            [
                SkippedPartition(
                    env=ENV,
                    asset=name,
                    partition=key,
                    position=position,
                    recipe=recipe,
                    inputs=inputs,
                    run_id="r1",
                    at=NOW,
                )
            ]
        )

    def _hold(self, name, key, version):
        if not key:
            self.store.rollback(ENV, name, version, at=NOW)
            return
        position = self.book.of(name).position(key)
        self.store.partitions.rollback(ENV, name, key, position, version=version, at=NOW)

    def _mark(self, event, name, key):
        later = NOW + timedelta(seconds=next(self.numbers))
        if not key:
            if event == "wipe":
                self.store.wipe(ENV, name, at=later)
            else:
                self.store.record_failure(ENV, [name], "boom", at=later)
            return
        which = single(self.book.of(name), key).families
        if event == "wipe":
            self.store.partitions.wipe(ENV, name, which, at=later, label=key)
        elif event == "fail":
            self.store.partitions.fail(ENV, name, which, "boom", at=later, label=key, run_id="r1")
        elif event == "start":
            self.store.partitions.start(ENV, name, which, run_id="r1", at=later, label=key)
        else:
            self.store.partitions.stop(ENV, name, which, run_id="r1", at=later, label=key)

    # --- what the model says ---

    def expected(self):
        """Return the status of every partition and of every asset without, key by key."""
        self._unsound, self._never, found = {}, set(), {}
        for name in AssetGraph.of(self.definitions).arrange(self.specs):
            for key in self.keys(name):
                found[name, key] = self._status(name, key)
        return found

    def _status(self, name, key):
        record = self.model[name].get(key, {})
        executed = bool(record.get("value") or record.get("skipped"))
        held, failed = record.get("held"), record.get("failed")
        stale = executed and self._stale(name, key, record)
        bad = not executed or bool((stale or failed) and not held)
        self._unsound[name, key] = bad
        if not executed and not failed:
            self._never.add((name, key))
        if record.get("running"):
            return "running"
        if failed and not held:
            return "failed"
        if not executed:
            return "missing"
        if bad:
            return "stale"
        return "skipped" if record.get("skipped") else "fresh"

    def _stale(self, name, key, record):
        made = self._made(name, key)
        if not key:  # a value of an asset without partitions: what is not there can't be compared
            for upstream in [up for up in made["inputs"] if self.book.of(up) is None]:
                if not made["inputs"][upstream]:
                    made["inputs"][upstream] = record["inputs"][upstream]
        return made != {each: record[each] for each in made} or any(
            self._unsound[fed] and not (self._is_lenient(name, fed[0]) and fed in self._never)
            for fed in self._fed(name, key)
        )

    def _is_lenient(self, name, upstream):
        return self.book.of(upstream) is not None and self.book.link(self.specs[name], upstream).lenient


def status_of(assessment, state):
    """Return the status of an asset as its partitions make it, counted one by one."""
    counts = state.counts
    if counts.running:
        return "running"
    if counts.failed:
        return "failed"
    if not counts.materialized:
        return "missing"
    return "stale" if counts.stale else "missing" if counts.missing else "fresh"


__all__ = ["ENV", "NOTEBOOK", "NOW", "WHOLE", "Kept", "Project", "status_of"]
