"""Nobody who is to be told keeps the others, or the daemon, waiting."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from nbpipe.daemon.notifying import tell
from nbpipe.daemon.telling import Teller
from nbpipe.loading.automation_tables import Notify
from tests.unit.daemon.test_notifying import NEWS, web


@pytest.fixture
def endless() -> Iterator[str]:
    """A server whose answer never ends: a byte, and again a byte."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while not over.wait(0.02):
                connection.send(b"H")

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],)).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_answer_without_an_end_is_given_up_and_the_others_are_told(endless):
    with web(200) as (url, heard):
        found = Teller(patience=3.0).tell(("slow", "ops"), {"slow": Notify(url=endless), "ops": Notify(url=url)}, NEWS)
    assert found == {"slow": "slow could not be told: there was no end of its answer in 3 s", "ops": ""}
    assert len(heard) == 1


def test_a_server_that_hangs_again_and_again_is_not_called_any_more():
    called, over = [], threading.Event()

    def hang(name, *_):
        called.append(name)
        over.wait()
        return ""

    teller = Teller(hang, patience=0.01)
    found = [teller.tell(("slow",), {"slow": Notify(url="http://localhost")}, NEWS) for _ in range(5)]
    assert len(called) == 3
    assert found[-1] == {"slow": "slow could not be told: what was sent before still waits for the end of an answer"}
    threads = [thread for thread in threading.enumerate() if thread.name == "nbpipe-notify-slow"]
    over.set()
    for thread in threads:
        thread.join()
    teller.tell(("slow",), {"slow": Notify(url="http://localhost")}, NEWS)
    assert len(called) == 4


def test_a_mistake_of_ours_is_a_problem_and_no_silence():
    def broken(*_):
        raise KeyError

    found = Teller(broken).tell(("ops", "none"), {"ops": Notify(url="http://localhost")}, NEWS)
    assert found == {"ops": "ops could not be told: KeyError: please report it", "none": "there is no [notify.none]"}


def test_no_attempt_begins_after_the_time_is_up(monkeypatch):
    monkeypatch.setattr("nbpipe.daemon.notifying.LONGEST", 0.0)
    with web(500, 200) as (url, heard):
        assert "HTTP Error 500" in tell("ops", Notify(url=url), NEWS, pauses=(0.1,))
    assert len(heard) == 1
