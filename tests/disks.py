"""Run a program with a small disk of its own mounted at a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]

#: Runs a program in a mount namespace of its own, where it may mount a small disk; as any user.
_NAMESPACE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]


def on_small_disk(folder: Path, program: str, *, before: str = "", megabytes: int = 1) -> str:
    """Run Python text with a disk mounted at `folder`, its only argument; return what it printed.

    Args:
        folder: is hidden by the disk, and as it was when the program has ended.
        program: the text; it imports from the repository.
        before: shell text that ends in `&&`, carried out when the disk is mounted; `$1` is the folder.
        megabytes: size of the disk.
    """
    script = f'mount -t tmpfs -o "size={megabytes}m" tmpfs "$1" && {before} exec "$2" -c "$3" "$1"'
    command = [*_NAMESPACE, "sh", "-c", script, "sh", str(folder), sys.executable, program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150, cwd=_REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stdout
