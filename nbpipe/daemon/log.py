"""What the daemon says: one line for each thing that happens, for people or as JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import IO, Literal, Protocol, TypeAlias

import msgspec

from nbpipe import clock, settings

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
        text = settings.redacted(text, self._secrets())
        if self._json:
            line = msgspec.json.encode({"at": at, "level": level, "message": text, **about}).decode()
        else:
            mark = "" if level == "info" else f"{level}: "
            line = f"{at:%Y-%m-%d %H:%M:%S}Z {mark}{_plain(text)}"
        with contextlib.suppress(OSError, ValueError):  # nobody listens any more
            self._stream.write(f"{line}\n")
            self._stream.flush()


def unheard(text: str, *, level: Level = "info", **about: str | int | float | None) -> None:
    """Take no note of what happens."""


def _plain(text: str) -> str:
    """Return text that can do nothing to a terminal, in one line."""
    lines = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in lines)
