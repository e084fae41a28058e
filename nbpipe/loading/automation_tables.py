"""The tables of `nbpipe.toml` about what starts runs without a person, as they are written.

    [jobs.nightly]                              [notify.ops]
    selection = "group:reports"                 host = "smtp.example.org"
    parameters = { n = 20 }                     user = "reports"
                                                password = "${SMTP_PASSWORD}"
    [schedules.nightly]                         from = "reports@example.org"
    cron = "0 6 * * 1-5"                        to = "ops@example.org"
    job = "nightly"
    tz = "Europe/Berlin"                        [notify.chat]
                                                url = "${CHAT_URL}"
    [sensors.failures]                          kind = "slack"
    on = "failure"
    notify = ["ops", "chat"]

What they mean is decided in `automation`, which is loaded where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from nbpipe.core.reading.options import LONGEST, parse_duration
from nbpipe.core.sizes import parse_memory

#: Rows; a larger number is no wish, and not every database could read it.
_MOST = 1_000_000_000
_NOTHING: Mapping[str, Any] = MappingProxyType({})

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST)]
_Limit = Annotated[float, msgspec.Meta(gt=0, le=LONGEST)]
_Number = Annotated[int, msgspec.Meta(ge=1)]


class Texts(tuple[str, ...]):
    """One text, or a list of them; dates and times without quotes count as text."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any) -> Texts:
        """Return what a value of the file means.

        Raises:
            ValueError: it is neither.
        """
        values = value if isinstance(value, list) else [value]
        texts = [each.isoformat() if isinstance(each, date | datetime) else each for each in values]
        if not all(isinstance(text, str) and text for text in texts):
            raise ValueError(f"expected text, or a list of texts, got {value!r}")
        return cls(dict.fromkeys(texts))


class Keep:
    """How much of something is kept: the newest `number`, or what is younger than `seconds`; both None: everything."""

    __slots__ = ("number", "seconds")

    def __init__(self, *, number: int | None = None, seconds: float | None = None) -> None:
        """Keep so much."""
        self.number = number
        self.seconds = seconds

    @classmethod
    def read(cls, value: Any) -> Keep:
        """Return what a value of the file means: a number, or text such as `90d` or `forever`.

        Raises:
            ValueError: it is none of these.
        """
        if value == "forever":
            return cls()
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST:
            return cls(number=value)
        try:
            return cls(seconds=parse_duration(value if isinstance(value, str) else ""))
        except ValueError:
            raise ValueError(f"expected a number, a duration such as '90d', or 'forever', got {value!r}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keep) and (self.number, self.seconds) == (other.number, other.seconds)

    def __hash__(self) -> int:
        return hash((self.number, self.seconds))

    def __repr__(self) -> str:
        return f"Keep(number={self.number}, seconds={self.seconds})"


class Memory(int):
    """Bytes of memory, in the file text such as `4 GB`."""

    @classmethod
    def read(cls, value: Any) -> Memory:
        """Return what a value of the file means.

        Raises:
            ValueError: it is none, or so little that nothing could start.
        """
        number = isinstance(value, int) and not isinstance(value, bool)
        try:
            return cls(parse_memory(value if isinstance(value, str) else str(value) if number else ""))
        except ValueError as error:
            raise ValueError(f"expected {error}, got {value!r}") from None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`[jobs.NAME]`, with the fields of `%job`."""

    selection: str = ""
    notebook: str | None = None
    """Relative to the root."""
    parameters: Mapping[str, Any] = _NOTHING
    partitions: str | None = None
    tags: Mapping[str, str] = _NOTHING
    retries: Annotated[int, msgspec.Meta(ge=0)] = 0
    retry_delay: _Seconds = 0.0
    backoff: Literal["constant", "linear", "exponential"] = "constant"
    timeout: _Limit | None = None
    memory: Memory | None = None
    priority: int = 0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """`[schedules.NAME]`, with the fields of `%schedule`."""

    cron: Texts = Texts()
    job: str | None = None
    selection: str | None = None
    tz: str = "UTC"
    at: Texts = Texts()
    exclude: Texts = Texts()
    catchup: Literal["none", "last", "all"] | _Number = "last"
    stopped: bool = False


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """`[sensors.NAME]`, with the fields of `%sensor`: what waits for assets, or for runs."""

    assets: Texts = Texts()
    on: Texts = Texts()
    jobs: Texts = Texts()
    job: str | None = None
    notify: Texts = Texts()
    every: _Limit | None = None
    stopped: bool = False


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """`[notify.NAME]`: an e-mail, if it has a `host`, or a call of a `url`. Secrets are `${NAME}`."""

    url: str | None = None
    kind: Literal["json", "slack"] = "json"
    """What is sent to the URL."""
    host: str | None = None
    """The server that takes the mail."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    to: Texts = Texts()
