"""What is said between a warm process and its clients, and how.

Each connection is a sequence of messages on a local socket (`SOCK_SEQPACKET`, unix(7)), JSON with a tag each. A
client says one of two things, once:

- `Own`: the warm process shall live as long as this connection; it answers `Hello`.
- `Fork`, with open files: it answers `Forked` with a handle of the process (pidfd), and `Ended` when that has
  ended; or `Refused`. The number of a process stays its own until the client closes the connection.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

#: Both sides must have the same number; it changes when a message or its meaning changes.
WARM_PROTOCOL = 2

#: The longest message; an environment may be large.
_LONGEST = 1 << 20
_MOST_FILES = 4


class Own(msgspec.Struct, frozen=True, tag="own"):
    """Live as long as this connection."""


class Fork(msgspec.Struct, frozen=True, kw_only=True, tag="fork"):
    """Become a program: `python -m module arguments`. The first file sent along is its log.

    If `tied`, the second is the reading end of a pipe: the program ends when the pipe does.
    """

    module: str
    arguments: tuple[str, ...]
    cwd: str
    environ: Mapping[str, str]
    marks: Mapping[str, str] = MappingProxyType({})
    """Those variables by which others find the process, at most some hundred bytes."""
    umask: int
    limits: Mapping[int, tuple[int, int]] = MappingProxyType({})
    """Soft and hard limits by their number in `resource`."""
    memory: int | None = None
    """Bytes that the program may take beyond what the warm process has."""
    cores: tuple[int, ...] = ()
    """The processors that it may use; empty: all."""
    niceness: int = 0
    tied: bool = True


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """Who answers."""

    protocol: int
    pid: int
    modules: tuple[str, ...] = ()
    """What of the list of modules was imported."""
    denied: Mapping[str, str] = MappingProxyType({})
    """What could not be, and why."""


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """The program has its process."""

    pid: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """It can't be done, or not here."""

    reason: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The program has ended."""

    code: int
    """Its exit status, or the negative number of the signal that ended it."""


Request = Own | Fork
Answer = Hello | Forked | Refused | Ended


def send(to: socket.socket, message: Request | Answer, files: Sequence[int] = ()) -> None:
    """Send one message; the receiver gets its own copies of open files.

    Raises:
        OSError: the other side is gone, or the message is too long.
    """
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    to.sendmsg([msgspec.json.encode(message, enc_hook=dict)], control, socket.MSG_NOSIGNAL)


def receive_request(sender: socket.socket) -> tuple[Request | None, list[int]]:
    """Receive a message and the open files that came with it; None: the other side is gone.

    Raises:
        OSError: the connection is broken.
        msgspec.DecodeError: the message is not one of ours.
    """
    text, files = _receive(sender)
    if not text:
        return None, files
    try:
        return msgspec.json.decode(text, type=Request), files
    except BaseException:
        close_all(files)
        raise


def receive_answer(sender: socket.socket) -> tuple[Answer | None, list[int]]:
    """Receive an answer and the open files that came with it; None: the other side is gone."""
    text, files = _receive(sender)
    return (msgspec.json.decode(text, type=Answer) if text else None), files


def close_all(files: Sequence[int]) -> None:
    """Close open files."""
    for file in files:
        os.close(file)


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return number and user of the process on the other side (`SO_PEERCRED`); 0: it is not visible from here."""
    size = struct.calcsize("3i")
    pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, user


def _receive(sender: socket.socket) -> tuple[bytes, list[int]]:
    # sockets receive files with their close-on-exec flag set: PEP 446 leaves it to us, Linux has a flag for it
    text, control, flags, _ = sender.recvmsg(
        _LONGEST, socket.CMSG_SPACE(_MOST_FILES * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
    )
    files = array.array("i")
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        close_all(files)
        raise OSError("a message was cut off")
    return text, list(files)
