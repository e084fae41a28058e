"""What the daemon says: one line for each thing that happens, for people or as JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from json import dumps
from typing import IO, Any, Literal, Protocol, TypeAlias

import msgspec

from nbpipe import clock, settings
from nbpipe.errors import NbpipeError

Level: TypeAlias = Literal["info", "warning", "error"]


class Log(Protocol):
    """Takes note of what happens."""

    def __call__(self, text: str, *, level: Level = "info", **about: str | int | float | None) -> None:
        """Say one thing; `about` is for programs."""


class LineLog:
    """Writes lines to a stream. What can't be written is lost, and harms nothing."""

    def __init__(self, stream: IO[str], *, json: bool = False, secrets: Callable[[], tuple[str, ...]] = tuple) -> None:
        """Write to `stream`, as JSON or plainly; secret values are blotted out."""
        self._stream, self._json, self._secrets = stream, json, secrets

    def __call__(self, text: str, *, level: Level = "info", **about: str | int | float | None) -> None:
        """See `Log`."""
        at = clock.now()
        said = settings.blotted({"message": text, **about}, self._secrets())
        if self._json:
            line = _json({"at": at, "level": level, **said})
        else:
            mark = "" if level == "info" else f"{level}: "
            line = f"{at:%Y-%m-%d %H:%M:%S}Z {mark}{_plain(said['message'])}"
            if "trace" in about:  # of an error of ours, which somebody is to report
                line = f"{line} | {_plain(said['trace'])}"
            if (encoding := getattr(self._stream, "encoding", None)) is not None:
                line = line.encode(encoding, "backslashreplace").decode(encoding)
        with contextlib.suppress(OSError, ValueError):  # nobody listens any more
            self._stream.write(f"{line}\n")
            self._stream.flush()


def words_of(error: Exception) -> str:
    """Return an error in words; one that is a mistake of ours asks to be reported."""
    if isinstance(error, NbpipeError | OSError):  # what the system refuses, a person can mend
        return str(error)
    return f"{type(error).__name__}: {error}: please report it"


def unheard(text: str, *, level: Level = "info", **about: str | int | float | None) -> None:
    """Take no note of what happens."""


def _json(entry: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(entry).decode()
    except UnicodeEncodeError:  # a file's name that is no text: JSON can write it as an escape
        return dumps(msgspec.to_builtins(entry))


def _plain(text: str) -> str:
    """Return text that can do nothing to a terminal, in one line."""
    lines = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in lines)
