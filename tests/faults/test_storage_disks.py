"""A state store on a disk that is full, or that can't be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

REPOSITORY = Path(__file__).parents[2]

#: Runs a program in a mount namespace of its own, where it may mount a small disk; as any user.
NAMESPACE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]

FILL = """
import sys
from pathlib import Path
from nbpipe.errors import StateError
from nbpipe.storage.open import open_store
from tests.stores import new

root = Path(sys.argv[1])
store = open_store("sqlite:///.nbpipe/state.db", root=root)
store.commit([new("a")])
ballast = root / "ballast"
with ballast.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 4096)
    except OSError:
        pass
committed, refused = 1, 0
for _ in range(200):
    try:
        store.commit([new("a", displays=({"text/plain": "x" * 20_000},))])
        committed += 1
    except StateError as error:
        assert "disk is full" in str(error) and "state.db" in str(error), error
        refused += 1
        assert store.materialization("default", "a").version == committed
        if refused == 3:
            break
assert refused == 3
store.close()
store = open_store("sqlite:///.nbpipe/state.db", root=root)
assert store.materialization("default", "a").version == committed
ballast.unlink()
made = store.commit([new("a", displays=({"text/plain": "x" * 20_000},))])
assert made[0].version == committed + 1
store.close()
print("done")
"""

READ_ONLY = """
import sys
from pathlib import Path
from nbpipe.errors import StateError
from nbpipe.storage.open import open_store
try:
    store = open_store("sqlite:///.nbpipe/state.db", root=Path(sys.argv[1]))
    store.states("default")
    store.record_failure("default", ["a"], "boom", at=__import__("tests.stores").stores.NOON)
except StateError as error:
    print(error)
"""


def mounted(folder, option, program):
    """Run a program with a disk of one megabyte mounted at a folder; return what it printed."""
    script = f'mount -t tmpfs -o "size=1m" tmpfs "$1" && {option} exec "$2" -c "$3" "$1"'
    command = [*NAMESPACE, "sh", "-c", script, "sh", str(folder), sys.executable, program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_on_a_full_disk_a_commit_fails_loudly_and_changes_nothing(tmp_path):
    assert mounted(tmp_path, "", FILL) == "done\n"


@pytest.mark.parametrize("present", [False, True], ids=["no store yet", "a store"])
def test_a_folder_that_can_not_be_written_is_named_with_the_remedy(tmp_path, present):
    prepare = ""
    if present:
        from nbpipe.storage.open import open_store

        open_store("sqlite:///.nbpipe/state.db", root=tmp_path / "made").close()
        prepare = f'cp -r "{tmp_path}/../{tmp_path.name}-made/.nbpipe" "$1" &&'
        shutil.move(tmp_path / "made", tmp_path.with_name(tmp_path.name + "-made"))
    message = mounted(tmp_path, f'{prepare} mount -o remount,ro "$1" &&', READ_ONLY)
    assert ".nbpipe" in message
    assert "writable" in message
    assert "`state`" in message
