"""Ask sensors when their time has come, and record what they ask for: a tick, its runs and the cursor, all or nothing.

Cells are asked in processes of their own, and people are told in threads of their own: answers come back through a
queue that rings the daemon's bell. What waits for assets or runs looks at the state store, after it has changed.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Protocol

import msgspec

from nbpipe import clock
from nbpipe.core.automation.definitions import SensorDef
from nbpipe.core.automation.evaluations import Evaluated, Evaluation, Program, unpacked
from nbpipe.core.automation.records import AutomationState
from nbpipe.core.automation.requests import Answer
from nbpipe.core.counted import counted
from nbpipe.core.ports import CursorChange
from nbpipe.daemon.log import words_of
from nbpipe.daemon.notifying import News, tell
from nbpipe.daemon.parts import Duty
from nbpipe.daemon.sensor_events import Place, event_of, look
from nbpipe.daemon.sensor_launches import Launch, Wanted
from nbpipe.daemon.sensor_programs import Programs
from nbpipe.daemon.telling import Tell, Teller
from nbpipe.errors import ConflictError, StateError

#: A sensor that fails is asked less often, down to this many times its interval.
_LONGEST_BACKOFF = 10
#: Events that a sensor passed over in vain, after which it keeps how far it came.
_MANY_EVENTS = 1_000
#: Seconds between two looks at a store that changes all the time.
_GLANCE = 1.0
#: Seconds beyond its limits after which an evaluation is given up by this process: it may have to wait for others.
_GRACE = 3_600.0


class Evaluator(Protocol):
    """Asks sensors' cells; see `execution.evaluators.SensorProcesses`."""

    def ask(self, evaluation: Evaluation) -> None:
        """Have a sensor asked; return at once. Its answer comes from another thread."""

    def close(self) -> None:
        """End all processes."""


MakeEvaluator = Callable[[Callable[[Evaluated], None]], Evaluator]


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of notifications."""

    id: str
    reached: tuple[str, ...]
    """Who was told."""
    problems: tuple[str, ...]


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question on its way."""

    id: str
    at: datetime
    until: float
    """When it is given up, on the clock that never jumps."""
    cursor: CursorChange
    """Of events, with what it becomes."""
    answer: Answer = Answer()
    """Of events."""


class _Watched:
    """One sensor."""

    def __init__(self, sensor: SensorDef, due: float) -> None:
        self.sensor = sensor
        self.due = due
        """When it may be asked, in seconds of `clock.elapsed`."""
        self.failures = 0
        self.last: datetime | None = None
        self.asked: _Asked | None = None
        self.launch: Launch | None = None
        self.ever = False
        """It was asked at least once."""
        self.revision = -1
        """Of the state store, when it looked for events last."""
        self.upto: int | None = None
        """Events up to here are taken in; of them, those after the kept cursor came to nothing."""
        self.place: Place | None = None
        """How far those after that are gone through."""
        self.counts_from: str | None = None
        """The kept cursor, as far as it knows."""

    @property
    def busy(self) -> bool:
        return self.asked is not None or self.launch is not None

    def look_again(self) -> None:
        """Forget what it has seen since the kept cursor: nothing came of that."""
        self.upto, self.place, self.revision = None, None, -1


class Sensors:
    """Looks after all sensors."""

    def __init__(self, duty: Duty, make_evaluator: MakeEvaluator, *, told_by: Tell = tell) -> None:
        """Look after them for a daemon.

        Args:
            duty: the daemon's.
            make_evaluator: makes who asks cells, given what takes the answers.
            told_by: tells somebody, see `notifying.tell`.
        """
        self._duty, self._teller = duty, Teller(told_by)
        self._heard: SimpleQueue[Evaluated | _Told] = SimpleQueue()
        self._make_evaluator = make_evaluator
        self._evaluator: Evaluator | None = None
        self._programs = Programs(duty)
        self._watched: dict[str, _Watched] = {}
        self._cursors: dict[str, str | None] = {}
        self._seen: tuple[int, int] | None = None

    @property
    def idle(self) -> bool:
        """See `Part`."""
        return self._seen is not None and not any(map(self._has_more, self._watched.values()))

    def act(self, now: datetime) -> datetime | None:
        """See `Part`."""
        revision = self._look()
        self._take_answers()
        moment, patience = clock.elapsed(), clock.monotonic()
        for watched in list(self._watched.values()):
            with self._apart(watched):
                if watched.launch is not None:
                    self._go_on(watched)
                if watched.asked is not None and patience > watched.asked.until:
                    self._failed(watched, watched.asked, "no answer came")
                if not watched.busy and moment >= watched.due and not (self._duty.once and watched.ever):
                    self._ask(watched, now, revision, moment)
        return self._next(now, revision)

    def close(self) -> None:
        """See `Part`."""
        for watched in self._watched.values():
            if watched.launch is not None:
                watched.launch.discard()
        self._watched.clear()
        if self._evaluator is not None:
            self._evaluator.close()
            self._evaluator = None

    @contextmanager
    def _apart(self, watched: _Watched) -> Iterator[None]:
        """Let a mistake of ours about one sensor stop no other: it fails, and is asked again later."""
        try:
            yield
        except (ConflictError, StateError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._stumbled(watched, words_of(error))

    def _stumbled(self, watched: _Watched, error: str) -> None:
        name, before = watched.sensor.name, watched.launch
        self._duty.log(f"sensor {name}: {error}", level="error", sensor=name, trace=traceback.format_exc())
        if before is not None:
            before.discard()
        watched.asked = watched.launch = None
        if before is None or not before.failed:
            change = CursorChange(old=self._cursors.get(name), new=self._cursors.get(name))
            wanted = Wanted(answer=Answer(), cursor=change, at=self._duty.now(), failed=error)
            watched.launch = Launch(self._duty, watched.sensor, wanted)
        else:  # not even that can be recorded
            watched.failures, watched.ever = watched.failures + 1, True
            watched.due = clock.elapsed() + self._pause(watched)

    def _has_more(self, watched: _Watched) -> bool:
        """Tell whether a sensor is at work, or has not seen all that has happened; one that fails holds up nobody."""
        if not watched.ever or watched.busy:
            return True
        if watched.sensor.kind == "cell" or self._duty.once or watched.failures or self._seen is None:
            return False
        return watched.revision != self._seen[1]

    # --- what is declared ---

    def _look(self) -> int:
        """Take in what is declared and what persons have switched, if any of it may have changed."""
        declared, store = self._duty.declared, self._duty.store
        revision = store.revision()
        if self._seen == (declared.version, revision):
            return revision
        states = store.automation.states(self._duty.env)
        kept = {name: state for (source, name), state in states.items() if source == "sensor"}
        self._cursors = {name: state.cursor for name, state in kept.items()}
        on = {name: each for name, each in declared.definitions.sensors.items() if _is_on(each, kept.get(name))}
        for name in self._watched.keys() - on.keys():
            self._drop(self._watched.pop(name))
        for name, sensor in on.items():
            known = self._watched.get(name)
            if known is None or _differs(known.sensor, sensor):
                if known is not None:
                    self._drop(known)
                self._watched[name] = _Watched(sensor, clock.elapsed())
            else:
                known.sensor = sensor
        self._programs.look(on)
        self._seen = (declared.version, revision)
        return revision

    def _drop(self, watched: _Watched) -> None:
        if watched.launch is not None:
            watched.launch.discard()

    # --- questions ---

    def _ask(self, watched: _Watched, now: datetime, revision: int, moment: float) -> None:
        sensor = watched.sensor
        if sensor.kind != "cell":
            if revision != watched.revision:
                self._look_for_events(watched, now, revision)
            return
        program = self._programs.get(sensor.name)
        watched.due = moment + sensor.every  # those that are asked together stay so: their notebook's process is there
        if program is None:
            watched.ever = True
            return  # its cell can't be read now
        if self._evaluator is None:
            self._evaluator = self._make_evaluator(self._answered)
        cursor = self._cursors.get(sensor.name)
        asked = _Asked(
            id=clock.new_id(),
            at=now,
            until=clock.monotonic() + 2 * sensor.timeout + _GRACE,
            cursor=CursorChange(old=cursor, new=cursor),
        )
        watched.asked = asked
        self._evaluator.ask(self._evaluation(watched, program, asked))

    def _evaluation(self, watched: _Watched, program: Program, asked: _Asked) -> Evaluation:
        return Evaluation(
            id=asked.id,
            program=program,
            cursor=asked.cursor.old,
            last_tick_at=watched.last,
            timeout=watched.sensor.timeout,
            secrets=self._programs.secrets,
        )

    def _look_for_events(self, watched: _Watched, now: datetime, revision: int) -> None:
        duty, sensor = self._duty, watched.sensor
        kept = self._cursors.get(sensor.name)
        after = event_of(kept)
        if after is None:  # its time begins now
            change = CursorChange(old=kept, new=str(revision))
            watched.launch = Launch(duty, sensor, Wanted(answer=Answer(reason="begins here"), cursor=change, at=now))
            self._go_on(watched)
            return
        if kept != watched.counts_from:  # it was moved on, or a person has set it, perhaps back
            watched.counts_from, watched.upto, watched.place = kept, after, None
        upto = after if watched.upto is None else watched.upto
        seen = look(duty.store, duty.declared.definitions, duty.env, sensor, upto, watched.place)
        watched.upto, watched.place = seen.upto, seen.place
        found = bool(seen.runs or seen.answer.runs)
        if seen.more:
            watched.due = clock.elapsed()
        else:
            watched.revision, watched.ever = revision, True
            watched.due = clock.elapsed() + (sensor.every if found else min(sensor.every, _GLANCE))
        change = CursorChange(old=kept, new=str(seen.upto))
        if seen.runs and sensor.notify:
            asked = _Asked(id=clock.new_id(), at=now, until=float("inf"), cursor=change, answer=seen.answer)
            watched.asked = asked
            news = News(sensor=sensor.name, env=duty.env, project=duty.root.name, runs=seen.runs)
            self._notify(sensor, asked, news)
        elif seen.answer.runs or seen.upto - after > _MANY_EVENTS:
            watched.launch = Launch(duty, sensor, Wanted(answer=seen.answer, cursor=change, at=now))
            self._go_on(watched)

    def _notify(self, sensor: SensorDef, asked: _Asked, news: News) -> None:
        tables = self._duty.project.config.notify
        teller, heard, bell = self._teller, self._heard, self._duty.bell

        def work() -> None:
            said = teller.tell(sensor.notify, tables, news)
            reached = tuple(name for name, problem in said.items() if not problem)
            heard.put(_Told(id=asked.id, reached=reached, problems=tuple(filter(None, said.values()))))
            bell.ring()

        threading.Thread(target=work, name="nbpipe-notify", daemon=True).start()

    # --- answers ---

    def _answered(self, found: Evaluated) -> None:
        self._heard.put(found)
        self._duty.bell.ring()

    def _take_answers(self) -> None:
        while True:
            try:
                found = self._heard.get_nowait()
            except Empty:
                return
            for watched in self._watched.values():
                if watched.asked is not None and watched.asked.id == found.id:
                    with self._apart(watched):
                        self._take(watched, watched.asked, found)
                    break

    def _take(self, watched: _Watched, asked: _Asked, found: Evaluated | _Told) -> None:
        if isinstance(found, _Told):
            wanted = self._wanted_of_notice(watched.sensor, asked, found)
        elif found.status == "answered":
            change = CursorChange(old=asked.cursor.old, new=found.cursor)
            wanted = Wanted(answer=unpacked(found.answer), cursor=change, at=asked.at, note=found.output)
        else:
            wanted = Wanted(
                answer=Answer(), cursor=asked.cursor, at=asked.at, note=found.output, failed=found.error or "it failed"
            )
        watched.asked, watched.last, watched.ever = None, asked.at, True
        watched.launch = Launch(self._duty, watched.sensor, wanted)
        self._go_on(watched)

    def _wanted_of_notice(self, sensor: SensorDef, asked: _Asked, told: _Told) -> Wanted:
        """Return what a notification comes to; if nobody was reached and nothing is to run, it is tried again."""
        problems = "\n".join(told.problems)
        if told.problems and not told.reached and not sensor.job:
            return Wanted(answer=Answer(), cursor=asked.cursor, at=asked.at, failed=problems)
        note = "\n".join(filter(None, (f"told {', '.join(told.reached)}" if told.reached else "", problems)))
        self._duty.log(
            f"sensor {sensor.name} {'; '.join(note.splitlines()) or 'told nobody'}",
            level="warning" if problems else "info",
            event="notified",
            sensor=sensor.name,
        )
        answer = asked.answer if sensor.job else Answer()
        return Wanted(answer=answer, cursor=asked.cursor, at=asked.at, note=note, told=bool(told.reached))

    def _failed(self, watched: _Watched, asked: _Asked, error: str) -> None:
        self._take(watched, asked, Evaluated(id=asked.id, status="failed", error=error))

    def _go_on(self, watched: _Watched) -> None:
        """Plan what a sensor asks for, and record it when all is planned."""
        launch = watched.launch
        if launch is None or not launch.advance():
            return
        recorded = launch.record()
        watched.launch, watched.ever = None, True
        if recorded is None:
            watched.due = clock.elapsed()  # somebody has set the cursor, or stopped it
            watched.look_again()
            self._seen = None
            return
        sensor = watched.sensor
        if launch.failed:
            watched.failures += 1
            watched.look_again()
            watched.due = clock.elapsed() + self._pause(watched)
        else:
            watched.failures = 0
            self._cursors[sensor.name] = watched.counts_from = launch.cursor
        if recorded.runs or launch.failed:
            launched = f"launched {counted(len(recorded.runs), 'run')}"
            self._duty.log(
                f"sensor {sensor.name} {launched if recorded.runs else f'failed: {recorded.reason}'}",
                level="error" if launch.failed else "info",
                event="tick",
                sensor=sensor.name,
            )
            self._duty.bell.ring()

    def _pause(self, watched: _Watched) -> float:
        """Return seconds until a sensor that failed is asked again."""
        return watched.sensor.every * min(1 << min(watched.failures - 1, 10), _LONGEST_BACKOFF)

    def _next(self, now: datetime, revision: int) -> datetime | None:
        left = []
        moment, patience = clock.elapsed(), clock.monotonic()
        for watched in self._watched.values():
            if watched.launch is not None:
                return now
            if watched.asked is not None:
                if watched.asked.until != float("inf"):
                    left.append(watched.asked.until - patience)
            elif self._duty.once and watched.ever:
                continue
            elif watched.sensor.kind == "cell" or watched.revision != revision:
                left.append(watched.due - moment)
        return now + timedelta(seconds=max(min(left), 0.0)) if left else None


def _is_on(sensor: SensorDef, state: AutomationState | None) -> bool:
    return not sensor.stopped if state is None or state.on is None else state.on


def _differs(one: SensorDef, other: SensorDef) -> bool:
    """Tell whether a sensor became another one; where its cell stands is of no matter."""
    return msgspec.structs.replace(one, cell=None) != msgspec.structs.replace(other, cell=None)
