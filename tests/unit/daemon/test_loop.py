"""Who leads, who stands by, and how the parts are asked."""

from __future__ import annotations

import io
import threading
from datetime import timedelta

import msgspec
import pytest

from nbpipe import clock
from nbpipe.core.records import WorkerId
from nbpipe.daemon.bell import Bell
from nbpipe.daemon.lease import LOOK, STILL, Candidate
from nbpipe.daemon.log import LineLog
from nbpipe.daemon.loop import Daemon
from nbpipe.errors import ConflictError, RefusedError, StateBusyError
from nbpipe.execution.liveness import PATIENCE
from nbpipe.testing import ClockFile, InMemoryStateStore
from tests.runs import eventually
from tests.stores import NOON

ONE = WorkerId(host="h", boot_id="b", pid_namespace="n", pid=1, started=1.0)
TWO = msgspec.structs.replace(ONE, pid=2)


class Counted:
    """A part that counts how often it is asked, and does what the test says."""

    def __init__(self, act=lambda _: None) -> None:
        self.asked, self.closed, self.idle, self._act = 0, False, True, act

    def act(self, now):
        self.asked += 1
        return self._act(now)

    def close(self):
        self.closed = True


class Lines:
    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, text, **_):
        self.said.append(text)


def daemon(store, parts, *, worker=ONE, until_idle=True, log=None):
    bell = Bell()
    candidate = Candidate(store, "default", worker, alive=lambda _: True)
    made = Daemon(store, candidate, lambda _: parts, bell=bell, log=log or Lines(), until_idle=until_idle)
    return made, bell


@pytest.mark.parametrize(
    ("alive", "looks", "every", "takes"),
    [
        (False, 1, 0.0, True),
        (True, STILL - 1, 1.0, False),
        (True, STILL + 2, 1.0, True),
        (None, PATIENCE - 1, 1.0, False),
        (None, PATIENCE + 2, 1.0, True),
        (True, STILL / LOOK, 3600.0, False),
        (True, STILL / LOOK + 2, 3600.0, True),
    ],
)
def test_a_lease_is_taken_over_when_its_process_is_gone(alive, looks, every, takes):
    """It is gone if its beats stand still; not if it was the observer who had no turn."""
    store, now = InMemoryStateStore(), 0.0
    known = store.automation.lead("default", ONE, at=NOON)
    candidate = Candidate(store, "default", TWO, alive=lambda _: alive, monotonic=lambda: now)
    lease = None
    for _ in range(int(looks)):
        lease = lease or candidate.take()
        now += every
    assert (lease is not None and lease.worker == TWO) is takes
    if takes:
        with pytest.raises(ConflictError):
            store.automation.renew(known, at=NOON)


def test_until_idle_is_refused_where_another_process_leads():
    store = InMemoryStateStore()
    store.automation.lead("default", TWO, at=NOON)
    made, _ = daemon(store, [Counted()])
    with pytest.raises(RefusedError, match="process 2 on h leads environment default"):
        made.run()


def test_signs_of_life_keep_a_lease():
    store, now = InMemoryStateStore(), 0.0
    lease = store.automation.lead("default", ONE, at=NOON)
    candidate = Candidate(store, "default", TWO, alive=lambda _: None, monotonic=lambda: now)
    for _ in range(10):
        for _ in range(9):
            now += 1.0
            assert candidate.take() is None
        lease = store.automation.renew(lease, at=NOON)


def test_until_idle_asks_until_nothing_is_due_and_gives_the_lease_back():
    store = InMemoryStateStore()
    left = [3]

    def work(now):
        left[0] = max(left[0] - 1, 0)  # once done, it is asked again to be sure
        return now if left[0] else None

    part = Counted(work)
    made, _ = daemon(store, [part])
    made.run()
    assert left == [0]
    assert part.closed
    assert store.automation.lease("default") is None


def test_it_is_not_idle_while_a_part_or_a_run_is_not(monkeypatch):
    store = InMemoryStateStore()
    part = Counted()
    part.idle = False
    made, bell = daemon(store, [part])
    thread = threading.Thread(target=made.run)
    thread.start()
    eventually(lambda: part.asked)
    assert thread.is_alive()
    bell.ring("stop")
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("error", [StateBusyError("busy"), RefusedError("no"), ZeroDivisionError("oh")])
def test_a_part_that_fails_does_not_stop_the_others(error):
    def fail(now):
        raise error

    store, log = InMemoryStateStore(), Lines()
    bad, good = Counted(fail), Counted()
    made, _ = daemon(store, [bad, good], log=log)
    made.run()
    assert good.asked
    assert any(str(error) in text for text in log.said)


def test_who_loses_the_lease_stops_acting_at_once_and_stands_by():
    store, log = InMemoryStateStore(), Lines()

    def write(now):
        store.automation.begin(lease_of(store, ONE), "schedule", "s", since=now)
        return now + timedelta(milliseconds=5)

    part = Counted(write)
    made, bell = daemon(store, [part], until_idle=False, log=log)
    thread = threading.Thread(target=made.run)
    thread.start()
    eventually(lambda: part.asked > 3)
    taken = store.automation.lead("default", TWO, at=NOON, instead_of=store.automation.lease("default"))
    eventually(lambda: part.closed)
    asked = part.asked
    eventually(lambda: any("standing by: process 2 on h" in text for text in log.said))
    assert part.asked == asked
    store.automation.resign(taken, at=NOON)
    eventually(lambda: part.asked > asked)  # the test's part is used again
    bell.ring("stop")
    thread.join(10)


def lease_of(store, worker):
    found = store.automation.lease("default")
    if found.worker != worker:
        raise ConflictError("another process leads")
    return found


def test_a_change_of_the_store_asks_every_part():
    store = InMemoryStateStore()
    part = Counted()
    made, bell = daemon(store, [part], until_idle=False)
    thread = threading.Thread(target=made.run)
    thread.start()
    eventually(lambda: part.asked)
    for _ in range(3):
        before = part.asked
        store.automation.switch("default", "schedule", "s", on=True, at=clock.now())
        eventually(lambda before=before: part.asked > before)
    bell.ring("stop")
    thread.join(10)


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_clock_that_is_set_asks_every_part(jump, tmp_path):
    time, log = ClockFile(tmp_path / "clock"), Lines()
    clock.follow(tmp_path / "clock")
    try:
        ticking = Counted(lambda now: now + timedelta(milliseconds=20))  # notices it at once
        waiting = Counted(lambda now: now + timedelta(minutes=30))
        made, bell = daemon(InMemoryStateStore(), [ticking, waiting], until_idle=False, log=log)
        thread = threading.Thread(target=made.run)
        thread.start()
        eventually(lambda: ticking.asked > 3)
        before = waiting.asked
        time.jump(jump)
        eventually(lambda: waiting.asked > before)
        again = ticking.asked
        eventually(lambda: ticking.asked > again + 3)
        bell.ring("stop")
        thread.join(10)
    finally:
        clock.follow(None)
    assert [text for text in log.said if "jumped" in text] == [f"the clock has jumped by {jump:+,} s"]


def test_a_store_that_fails_when_the_lease_may_be_lost_stops_the_acting_and_not_the_daemon(monkeypatch):
    store, log = InMemoryStateStore(), Lines()
    real, failing = store.automation.lease, [True, False]

    class Failing:
        def __getattr__(self, name):
            return getattr(type(real.__self__)(store), name)

        def lease(self, env):
            if failing[0] and failing[1]:
                failing[0] = False
                raise StateBusyError("busy")
            return real(env)

    def act(_):
        failing[1] = True
        raise ConflictError("perhaps")

    first = Counted(act)
    made, bell = daemon(store, [first], until_idle=False, log=log)
    monkeypatch.setattr(type(store), "automation", Failing())
    thread = threading.Thread(target=made.run)
    thread.start()
    eventually(lambda: first.asked > 1)  # it leads again
    bell.ring("stop")
    thread.join(10)
    assert "not leading any more: who leads can't be found out: busy" in log.said


def test_a_part_that_can_not_be_closed_keeps_neither_the_others_nor_the_lease():
    store, log = InMemoryStateStore(), Lines()
    parts = [Counted(), Counted()]
    parts[0].close = lambda: 1 / 0
    made, _ = daemon(store, parts, log=log)
    made.run()
    assert parts[1].closed
    assert store.automation.lease("default") is None
    assert "ZeroDivisionError: division by zero: please report it" in log.said


@pytest.mark.parametrize("json", [False, True])
def test_a_log_takes_whatever_text_there_is_and_shows_traces(json):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    log = LineLog(stream, json=json, secrets=lambda: ("hunter2",))
    log("file \udcff.ipynb größer\ninjected", level="error", trace="Traceback:\n  hunter2\nBoom", run=None)
    stream.seek(0)
    (line,) = stream.read().splitlines()
    assert "hunter2" not in line
    assert "Boom" in line
    assert "gr" in line


@pytest.mark.parametrize("json", [False, True])
def test_a_line_of_the_log_is_one_line_without_secrets(json, capsys):
    import sys

    log = LineLog(sys.stdout, json=json, secrets=lambda: ("hunter2",))
    log("failed:\n  hunter2 \x1b[31m", level="error", event="tick")
    (line,) = capsys.readouterr().out.splitlines()
    assert "hunter2" not in line
    assert "\x1b" not in line
    if json:
        assert msgspec.json.decode(line)["event"] == "tick"
    else:
        assert line.endswith("Z error: failed: | *** \\x1b[31m")


def test_until_idle_asks_every_part_again_after_what_happened_meanwhile():
    store = InMemoryStateStore()
    seen = []

    def happens(now):
        if len(seen) == 1:
            store.automation.switch("default", "schedule", "s", on=False, at=NOON)

    first, second = Counted(lambda _: seen.append(store.automation.states("default"))), Counted(happens)
    made, _ = daemon(store, [first, second])
    made.run()
    assert seen[-1]
