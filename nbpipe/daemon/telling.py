"""Tell several people at once, and wait for none of them longer than a minute."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeAlias

from nbpipe import clock
from nbpipe.daemon.notifying import LONGEST, News, tell
from nbpipe.loading.automation_tables import Notify

Tell: TypeAlias = Callable[[str, Notify, News], str]

#: Threads that are left to a server that goes on and on; with so many it is not called again.
_MOST_HANGING = 3


class Teller:
    """Calls each server in a thread of its own: one that sends a byte now and then can't be stopped otherwise."""

    def __init__(self, tell_one: Tell = tell, *, patience: float = LONGEST) -> None:
        """Tell by `tell_one`, see `notifying.tell`, and wait so many seconds at most."""
        self._tell, self._patience = tell_one, patience
        self._hanging: defaultdict[str, list[threading.Thread]] = defaultdict(list)
        self._lock = threading.Lock()

    def tell(self, names: Sequence[str], tables: Mapping[str, Notify], news: News) -> Mapping[str, str]:
        """Tell some people; return by name why one could not be told, or nothing. Safe to call from any thread.

        Args:
            names: of `[notify.NAME]`.
            tables: what is configured.
            news: what.
        """
        answers: SimpleQueue[tuple[str, str]] = SimpleQueue()
        problems: dict[str, str] = {}
        threads: dict[str, threading.Thread] = {}
        for name in dict.fromkeys(names):
            if name not in tables:
                problems[name] = f"there is no [notify.{name}]"
            elif self._hang(name):
                problems[name] = f"{name} could not be told: what was sent before still waits for the end of an answer"
            else:
                work = partial(self._told, name, tables[name], news, answers)
                threads[name] = threading.Thread(target=work, name=f"nbpipe-notify-{name}", daemon=True)
                threads[name].start()
        self._await(answers, threads, problems)
        return {name: problems[name] for name in dict.fromkeys(names)}

    def _await(
        self,
        answers: SimpleQueue[tuple[str, str]],
        threads: Mapping[str, threading.Thread],
        problems: dict[str, str],
    ) -> None:
        """Take the answers until all are there or time is up."""
        until = clock.monotonic() + self._patience
        left = dict(threads)
        while left:
            try:
                name, problem = answers.get(timeout=max(0.0, until - clock.monotonic()))
            except Empty:
                break
            problems[name] = problem
            del left[name]
        with self._lock:
            for name, thread in left.items():
                problems[name] = f"{name} could not be told: there was no end of its answer in {self._patience:g} s"
                self._hanging[name].append(thread)

    def _told(self, name: str, notify: Notify, news: News, answers: SimpleQueue[tuple[str, str]]) -> None:
        try:
            problem = self._tell(name, notify, news)
        except Exception as error:  # noqa: BLE001 - an answer must come
            problem = f"{name} could not be told: {type(error).__name__}: please report it"
        answers.put((name, problem))

    def _hang(self, name: str) -> bool:
        with self._lock:
            self._hanging[name] = [thread for thread in self._hanging[name] if thread.is_alive()]
            return len(self._hanging[name]) >= _MOST_HANGING
