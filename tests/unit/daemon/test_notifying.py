"""People are told by mail and by calls: what arrives, what is tried again, and that no secret is said."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from nbpipe.daemon.notifying import News, tell
from nbpipe.loading.automation_tables import Notify, Texts
from tests.stores import NOON, run

NEWS = News(
    sensor="failures",
    env="prod",
    project="shop",
    runs=(
        run("r1", job="nightly", status="failure", error="cell 3: KeyError", ended_at=NOON),
        run("r2", job="report\nX: y", status="failure", partition="2024-01-01"),
    ),
)


@contextmanager
def web(*answers: int) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, the last one for ever, and what it was sent."""
    heard: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers[min(len(heard), len(answers)) - 1])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", heard
        finally:
            server.shutdown()
            thread.join()


#: What a server answers to a line that begins so.
REPLIES = {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "235 fine", "DATA": "354 go on", "QUIT": "221 bye"}


def _serve(listener: socket.socket, said: list[str]) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rwb") as file:
        file.write(b"220 ready\r\n")
        file.flush()
        body = False
        for line in file:
            text = line.decode().rstrip("\r\n")
            said.append(text)
            word = text[:4].upper()
            if not body or text == ".":
                file.write(f"{REPLIES.get(word, '250 fine')}\r\n".encode())
                file.flush()
                body = word == "DATA"
            if word == "QUIT" and not body:
                return


@contextmanager
def mail() -> Iterator[tuple[int, list[str]]]:
    """A server that takes one mail, and the lines that it was told."""
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, said))
        thread.start()
        yield listener.getsockname()[1], said
        thread.join()


def test_a_call_sends_json():
    with web(200) as (url, heard):
        assert tell("chat", Notify(url=url), NEWS) == ""
    (sent,) = map(json.loads, heard)
    assert (sent["project"], sent["env"], sent["sensor"]) == ("shop", "prod", "failures")
    assert [(each["id"], each["job"], each["status"]) for each in sent["runs"]] == [
        ("r1", "nightly", "failure"),
        ("r2", "report\nX: y", "failure"),
    ]


def test_a_call_to_slack_sends_text():
    with web(200) as (url, heard):
        assert tell("chat", Notify(url=url, kind="slack"), NEWS) == ""
    text = json.loads(heard[0])["text"]
    assert "shop: 2 runs: nightly failed" in text
    assert "cell 3: KeyError" in text


def test_it_is_tried_again_and_then_given_up():
    with web(500, 200) as (url, heard):
        assert tell("chat", Notify(url=url), NEWS, pauses=(0.0,)) == ""
        assert len(heard) == 2
    with web(500) as (url, heard):
        error = tell("chat", Notify(url=url), NEWS, pauses=(0.0, 0.0))
        assert (len(heard), error) == (3, "chat could not be told: HTTPError: HTTP Error 500: Internal Server Error")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://127.0.0.1:1/"])
def test_what_can_not_be_called_is_said(url):
    assert tell("chat", Notify(url=url), NEWS, pauses=()).startswith("chat could not be told: ")


def test_a_mail_is_sent_with_a_login(monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "secret-word")
    with mail() as (port, said):
        notify = Notify(
            host="127.0.0.1",
            port=port,
            security="none",
            user="me",
            password="${MAIL_PASSWORD}",
            sender="me@here.test",
            to=Texts(("you@there.test", "she@there.test")),
        )
        assert tell("ops", notify, NEWS) == ""
    assert "rcpt TO:<she@there.test>" in said
    assert "To: you@there.test, she@there.test" in said
    assert any(line.startswith("Subject: shop: 2 runs: nightly failed") for line in said)
    assert not any(line.startswith("X: y") for line in said[: said.index("")])
    assert any("cell 3: KeyError" in line for line in said)


def test_secrets_are_not_said(monkeypatch):
    monkeypatch.setenv("CHAT_URL", "http://127.0.0.1:1/secret-word\x7f")
    error = tell("chat", Notify(url="${CHAT_URL}"), NEWS, pauses=())
    assert "could not be told" in error
    assert "secret-word" not in error


def test_a_variable_that_is_not_set_is_named():
    assert "MISSING" in tell("chat", Notify(url="${MISSING}"), NEWS, pauses=())
