"""A worker's sign of life, which also hears that it is to stop."""

from __future__ import annotations

import threading

from nbpipe.errors import StateError
from nbpipe.execution.heartbeat import Heartbeat
from nbpipe.execution.workers import this_worker
from nbpipe.storage.memory import InMemoryStateStore


def test_a_request_is_heard_although_the_store_is_busy_when_it_comes():
    heard, looks = threading.Event(), []

    def look():
        looks.append(1)
        if len(looks) == 1:
            raise StateError("busy")
        return "canceled on request"

    with Heartbeat(InMemoryStateStore(), this_worker(), look, lambda _: heard.set()):
        assert heard.wait(10)
    assert len(looks) == 2
