"""Tell people how runs ended: by e-mail, or by calling a URL. Secrets are looked up here, and kept nowhere.

It is called in threads of its own, see `telling`: servers may take long, or not be there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec

from nbpipe import clock, settings
from nbpipe.core.records import Run
from nbpipe.daemon.notify_problems import is_final, problem_text
from nbpipe.errors import ExecutionError
from nbpipe.loading.automation_tables import Notify

#: Seconds before each further attempt.
PAUSES = (1.0, 5.0)
#: Seconds after which no further attempt begins, and nobody waits any more.
LONGEST = 60.0
#: Seconds that a server has for each step of an answer.
_PATIENCE = 20.0
#: Characters of a run's error.
_LONGEST_ERROR = 500
_WORDS = {"success": "succeeded", "failure": "failed", "canceled": "was canceled"}
_USER_AGENT = "nbpipe"


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What is told."""

    sensor: str
    env: str
    project: str
    """Name of the root's folder."""
    runs: tuple[Run, ...]

    @property
    def subject(self) -> str:
        """Return it in one line."""
        if len(self.runs) == 1:
            return f"{self.project}: {_line(self.runs[0])}"
        return f"{self.project}: {len(self.runs)} runs: {', '.join(dict.fromkeys(map(_short, self.runs)))}"[:200]

    @property
    def text(self) -> str:
        """Return all of it, for people."""
        lines = [f"Project {self.project}, environment {self.env}, sensor {self.sensor}", ""]
        for run in self.runs:
            lines.append(_line(run))
            if run.error:
                lines.append(f"  {run.error[:_LONGEST_ERROR]}")
            lines.append(f"  nbpipe runs show {run.id}")
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """Return all of it, for programs."""
        return {
            "project": self.project,
            "env": self.env,
            "sensor": self.sensor,
            "runs": [
                {
                    "id": run.id,
                    "job": run.job,
                    "status": run.status,
                    "trigger": run.trigger,
                    "assets": run.assets,
                    "partition": run.partition,
                    "created_at": run.created_at,
                    "started_at": run.started_at,
                    "ended_at": run.ended_at,
                    "error": run.error,
                }
                for run in self.runs
            ],
        }


def tell(name: str, notify: Notify, news: News, *, pauses: Sequence[float] = PAUSES) -> str:
    """Tell somebody, in a few attempts; return why that did not work, or nothing.

    Args:
        name: of `[notify.NAME]`.
        notify: how they are told.
        news: what.
        pauses: seconds before each further attempt.
    """
    secrets = settings.secret_values(msgspec.structs.astuple(notify))
    error = ""
    until = clock.monotonic() + LONGEST
    for pause in (0.0, *pauses):
        if error and clock.monotonic() + pause > until:
            break
        clock.sleep(pause)
        try:
            if notify.url:
                _call(settings.resolve_secrets(notify.url), notify.kind, news)
            else:
                _mail(notify, news)
        except Exception as problem:  # noqa: BLE001 - whatever a network comes up with: it must not end the daemon
            error = f"{name} could not be told: {problem_text(problem, secrets)}"
            if is_final(problem):
                return error
        else:
            return ""
    return error


def _call(url: str, kind: str, news: News) -> None:
    import urllib.request

    if not url.startswith(("http://", "https://")):
        raise ExecutionError("the url begins neither with https:// nor with http://")
    data = {"text": f"*{news.subject}*\n{news.text}"} if kind == "slack" else news.data()
    request = urllib.request.Request(  # noqa: S310 - looked at above
        url,
        data=msgspec.json.encode(data),
        headers={"Content-Type": "application/json", "User-Agent": _USER_AGENT},
        method="POST",
    )
    with contextlib.closing(urllib.request.urlopen(request, timeout=_PATIENCE)) as answer:  # noqa: S310 - see above
        answer.read(1_000)


def _mail(notify: Notify, news: News) -> None:
    import smtplib
    import ssl
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid

    message = EmailMessage()
    message["Subject"] = " ".join(news.subject.split())
    message["From"] = settings.resolve_secrets(notify.sender or "")
    message["To"] = ", ".join(settings.resolve_secrets(each) for each in notify.to)
    message["Date"] = formatdate(clock.now().timestamp())
    message["Message-ID"] = make_msgid("nbpipe")
    message.set_content(news.text)
    host = settings.resolve_secrets(notify.host or "")
    context = ssl.create_default_context()
    server = (
        smtplib.SMTP_SSL(host, notify.port, timeout=_PATIENCE, context=context)
        if notify.security == "tls"
        else smtplib.SMTP(host, notify.port, timeout=_PATIENCE)
    )
    with server:
        if notify.security == "starttls":
            server.starttls(context=context)
        if notify.user and notify.password:
            user, password = settings.resolve_secrets(notify.user), settings.resolve_secrets(notify.password)
            if not (user + password).isascii():
                raise ExecutionError("the user or the password has other characters than those of ASCII")
            server.login(user, password)
        server.send_message(message)


def _line(run: Run) -> str:
    return f"{_name(run)} {_WORDS.get(run.status, run.status)}{f' ({run.partition})' if run.partition else ''}"


def _short(run: Run) -> str:
    return f"{_name(run)} {_WORDS.get(run.status, run.status)}"


def _name(run: Run) -> str:
    return run.job or f"run {run.id}"
