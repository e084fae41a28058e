"""People are told by mail and by calls: what arrives, what is tried again, and that no secret is said."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import trustme

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
def web(*answers: int, words: str | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, the last one for ever, and what it was sent."""
    heard: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers[min(len(heard), len(answers)) - 1], words)
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
REPLIES = {
    "EHLO": "250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN",
    "STAR": "220 go on",
    "AUTH": "235 fine",
    "DATA": "354 go on",
    "QUIT": "221 bye",
}


class MailServer:
    """Takes mails, one after the other; with a certificate, encrypted from the start, or from STARTTLS on."""

    def __init__(self, certificate: ssl.SSLContext | None, *, at_once: bool, replies: Mapping[str, str]) -> None:
        self.said: list[str] = []
        self._certificate, self._at_once = certificate, at_once
        self._replies, self._broken = {**REPLIES, **replies}, frozenset(replies)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                self._hear(self._listener.accept()[0])

    def _hear(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        with contextlib.suppress(OSError):  # the other side does not trust it, and is gone
            if self._at_once:
                connection = self._encrypted(connection)
            connection.sendall(b"220 ready\r\n")
            while self._talk(connection):
                connection = self._encrypted(connection)
        connection.close()

    def _encrypted(self, connection: socket.socket) -> socket.socket:
        assert self._certificate is not None
        return self._certificate.wrap_socket(connection, server_side=True)

    def _talk(self, connection: socket.socket) -> bool:
        """Answer each line; return True when what follows is encrypted."""
        body = False
        with connection.makefile("rb", buffering=0) as lines:
            for line in lines:
                text = line.decode().rstrip("\r\n")
                self.said.append(text)
                word = text[:4].upper()
                if not body or text == ".":
                    connection.sendall(f"{self._replies.get(word, '250 fine')}\r\n".encode())
                    body = word == "DATA" and "DATA" not in self._broken
                if word in ("STAR", "QUIT") and not body:
                    return word == "STAR"
        return False


@contextmanager
def mail(
    certificate: ssl.SSLContext | None = None,
    *,
    at_once: bool = False,
    replies: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[MailServer]:
    server = MailServer(certificate, at_once=at_once, replies=replies)
    try:
        yield server
    finally:
        server.close()


def to(server: MailServer, **about: Any) -> Notify:
    """Return how somebody is told by mail, with a login."""
    values = {"security": "none", "user": "me", "password": "${MAIL_PASSWORD}", "sender": "me@here.test"}
    found = {"host": "localhost", "port": server.port, "to": Texts(("you@there.test",)), **values, **about}
    return Notify(**found)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """Who issues certificates; trusted where `SSL_CERT_FILE` is `authority.pem`."""
    found = trustme.CA()
    found.cert_pem.write_to_path(tmp_path / "authority.pem")
    return found


@pytest.fixture
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


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
    with mail() as server:
        assert tell("ops", to(server, to=Texts(("you@there.test", "she@there.test"))), NEWS) == ""
    said = server.said
    assert "rcpt TO:<she@there.test>" in said
    assert "To: you@there.test, she@there.test" in said
    assert any(line.startswith("Subject: shop: 2 runs: nightly failed") for line in said)
    assert not any(line.startswith("X: y") for line in said[: said.index("")])
    assert any("cell 3: KeyError" in line for line in said)


SECURITY = pytest.mark.parametrize("security", ["tls", "starttls"])


@SECURITY
def test_a_mail_is_sent_encrypted(monkeypatch, tmp_path, certificate, security):
    monkeypatch.setenv("MAIL_PASSWORD", "secret-word")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with mail(certificate, at_once=security == "tls") as server:
        assert tell("ops", to(server, security=security), NEWS) == ""
    login = next(at for at, line in enumerate(server.said) if line.startswith("AUTH"))
    assert security == "tls" or server.said.index("STARTTLS") < login
    assert any("cell 3: KeyError" in line for line in server.said)


@SECURITY
@pytest.mark.parametrize("why", ["issuer", "name"])
def test_a_server_without_a_good_certificate_is_told_nothing(monkeypatch, tmp_path, certificate, security, why):
    monkeypatch.setenv("MAIL_PASSWORD", "secret-word")
    if why == "name":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with mail(certificate, at_once=security == "tls") as server:
        host = "127.0.0.1" if why == "name" else "localhost"
        error = tell("ops", to(server, security=security, host=host), NEWS, pauses=(0.0,))
    assert error.startswith(
        "ops could not be told: SSLCertVerificationError: the server's certificate is not trusted ("
    )
    assert ("IP address mismatch" if why == "name" else "certificate") in error
    assert "set SSL_CERT_FILE to a file" in error
    assert not any(line.startswith(("AUTH", "mail", "Subject")) for line in server.said)


def test_a_server_that_can_not_encrypt_is_told_nothing(monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "secret-word")
    with mail(replies={"EHLO": "250-here\r\n250 AUTH PLAIN"}) as server:
        error = tell("ops", to(server, security="starttls"), NEWS, pauses=())
    assert error == "ops could not be told: SMTPNotSupportedError: STARTTLS extension not supported by server."
    assert not any(line.startswith(("AUTH", "mail")) for line in server.said)


PASSWORD = 'hunter2  "x\\y'
_PLAIN = base64.b64encode(f"\0me\0{PASSWORD}".encode()).decode()


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"AUTH": f"535 {PASSWORD} and {_PLAIN} are wrong"}, "the server refuses the user or the password (code 535)"),
        ({"MAIL": f"550 {PASSWORD} may not send"}, "550 *** may not send"),
        ({"MAIL": f"550 {base64.b64encode(PASSWORD.encode()).decode()} may not"}, "550 *** may not"),
        ({"RCPT": f"550 {PASSWORD} may not send"}, "you@there.test: 550 *** may not send"),
        ({"DATA": f"554 {'x' * 460} {PASSWORD}"}, "554 xxx"),
    ],
    ids=["login", "sender", "sender, encoded", "recipient", "cut off"],
)
def test_a_server_that_repeats_the_password_is_not_quoted(monkeypatch, replies, said):
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with mail(replies=replies) as server:
        error = tell("ops", to(server), NEWS, pauses=())
    assert said in error
    for secret in ("hunter", _PLAIN[:8], base64.b64encode(PASSWORD.encode()).decode()[:8]):
        assert secret not in error


def test_a_password_that_can_not_be_sent_is_not_said(monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "hünter2")
    with mail() as server:
        error = tell("ops", to(server), NEWS, pauses=())
    assert error.endswith("ExecutionError: the user or the password has other characters than those of ASCII")


def test_a_wrong_password_is_not_tried_again(monkeypatch):
    """Servers lock accounts after a few attempts; this one takes one connection only."""
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with mail(replies={"AUTH": "535 no"}) as server:
        assert "(code 535)" in tell("ops", to(server), NEWS, pauses=(0.0, 0.0))


def test_an_answer_that_repeats_a_secret_url_is_not_quoted(monkeypatch):
    with web(404, words="no hook T01234/B56789") as (url, _):
        monkeypatch.setenv("CHAT_URL", f"{url}/T01234/B56789")
        error = tell("chat", Notify(url="${CHAT_URL}"), NEWS, pauses=())
    assert error == "chat could not be told: HTTPError: HTTP Error 404: Not Found"


def test_secrets_are_not_said(monkeypatch):
    monkeypatch.setenv("CHAT_URL", "http://127.0.0.1:1/secret-word\x7f")
    error = tell("chat", Notify(url="${CHAT_URL}"), NEWS, pauses=())
    assert "could not be told" in error
    assert "secret-word" not in error


def test_a_variable_that_is_not_set_is_named():
    assert "MISSING" in tell("chat", Notify(url="${MISSING}"), NEWS, pauses=())
