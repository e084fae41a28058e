"""A state store on a disk that is full, or that can't be written."""

from __future__ import annotations

import shutil

import pytest

from tests.disks import on_small_disk

pytestmark = pytest.mark.faults

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


def test_on_a_full_disk_a_commit_fails_loudly_and_changes_nothing(tmp_path):
    assert on_small_disk(tmp_path, FILL) == "done\n"


@pytest.mark.parametrize("present", [False, True], ids=["no store yet", "a store"])
def test_a_folder_that_can_not_be_written_is_named_with_the_remedy(tmp_path, present):
    prepare = ""
    if present:
        from nbpipe.storage.open import open_store

        open_store("sqlite:///.nbpipe/state.db", root=tmp_path / "made").close()
        prepare = f'cp -r "{tmp_path}/../{tmp_path.name}-made/.nbpipe" "$1" &&'
        shutil.move(tmp_path / "made", tmp_path.with_name(tmp_path.name + "-made"))
    message = on_small_disk(tmp_path, READ_ONLY, before=f'{prepare} mount -o remount,ro "$1" &&')
    assert ".nbpipe" in message
    assert "writable" in message
    assert "`state`" in message
