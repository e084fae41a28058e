"""Temporary folders that only this user can enter; what a process that was killed has left behind is removed later."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

import msgspec

from nbpipe.core.records import WorkerId
from nbpipe.errors import RefusedError
from nbpipe.execution.workers import is_alive, this_worker

#: A socket's path may have 103 bytes on macOS and 107 on Linux, sun_path of unix(7); ours add `/k-5`.
_LONGEST = 90
_PREFIX = "nbpipe-"
_OWNER = "owner.json"


def private_folder() -> Path:
    """Create a folder with a path short enough for sockets; it is noted whose it is.

    Raises:
        RefusedError: the folder for temporary files has too long a path.
        OSError: it can't be written.
    """
    for place in _places():
        if len(os.fsencode(place)) + len(f"/{_PREFIX}12345678") <= _LONGEST:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            try:
                (folder / _OWNER).write_bytes(msgspec.json.encode(this_worker()))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return folder
    raise RefusedError(f"the path of the folder for temporary files is too long for sockets: {place}: set TMPDIR")


def remove_abandoned() -> int:
    """Remove the folders whose owner is seen to be gone; return how many.

    Those of processes that can't be seen from here stay, and those of other users.
    """
    found = [folder for place in set(_places()) for folder in Path(place).glob(f"{_PREFIX}*") if _is_abandoned(folder)]
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def _is_abandoned(folder: Path) -> bool:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        about = folder.lstat()
        if stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid():  # another user could name any owner
            owner = msgspec.json.decode((folder / _OWNER).read_bytes(), type=WorkerId)
            return is_alive(owner) is False
    return False


def _places() -> tuple[str, str]:
    """Return where they are: in the usual place, or in that with the shortest path."""
    usual = tempfile.gettempdir()
    return usual, min([usual, "/tmp"], key=lambda place: len(os.fsencode(place)))  # noqa: S108
