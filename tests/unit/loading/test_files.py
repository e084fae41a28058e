from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nbpipe.loading.files import FileFinder, FileHashes
from nbpipe.loading.scan import UNKNOWN, scan

LATER = 10**18 * 2  # nanoseconds since the epoch: long after every file of these tests


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "pro ject"
    for path in ("a/nb.ipynb", "a/near.csv", "near.csv", "data/x.csv", "a/data/ä ö.csv", ".hidden/h.csv", "top"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (tmp_path / "outside.csv").write_text("no")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/big.csv").write_text("big")
    (root / "linked").symlink_to(tmp_path / "disk")
    (root / ".nbpipe").mkdir()
    (root / ".nbpipe/state.db").write_text("state")
    return root


LITERALS = [
    ("near.csv", "a/near.csv"),
    ("../near.csv", "near.csv"),
    ("./near.csv", "a/near.csv"),
    ("data/x.csv", "data/x.csv"),
    ("data/ä ö.csv", "a/data/ä ö.csv"),
    ("../data/x.csv", "data/x.csv"),
    ("data//x.csv", "data/x.csv"),
    (".hidden/h.csv", ".hidden/h.csv"),
    ("linked/big.csv", "linked/big.csv"),
    ("top", "top"),
    ("{root}/data/x.csv", "data/x.csv"),
    ("data", None),
    ("data/", None),
    (".", None),
    ("..", None),
    ("", None),
    ("gone.csv", None),
    ("data/gone.csv", None),
    ("no/such/folder.csv", None),
    ("linked/gone.csv", None),
    ("../../outside.csv", None),
    ("{root}/../outside.csv", None),
    ("/etc/passwd", None),
    ("nb.ipynb", None),
    (".nbpipe/state.db", None),
    ("../.nbpipe/state.db", None),
    ("https://example.org/near.csv", None),
    ("near.csv\n", None),
    ("near.csv\0", None),
    ("*.csv", None),
    ("x" * 2_000, None),
    ("data/" + "x" * 300, None),
    ("near.csv/x", None),
    ("\ud800.csv", None),
]


@pytest.mark.parametrize(("literal", "path"), LITERALS)
@pytest.mark.parametrize("walked", [True, False])
def test_a_string_names_a_file_below_the_root(root, literal, path, walked):
    walk = scan(root, configured=True) if walked else UNKNOWN
    assert FileFinder(root, walk).find("a/nb.ipynb", literal.replace("{root}", str(root))) == path


def test_answers_are_kept_so_that_they_can_be_checked(root):
    finder = FileFinder(root, scan(root, configured=True))
    finder.find("a/nb.ipynb", "data/x.csv")
    assert finder.answers == {"a/data/x.csv": False, "data/x.csv": True}


def test_a_pipe_is_no_file(root):
    os.mkfifo(root / "pipe")
    assert FileFinder(root, scan(root, configured=True)).find("a/nb.ipynb", "../pipe") is None
    assert FileHashes(root, now_ns=time.time_ns)("pipe") == ""


def test_equal_content_has_an_equal_hash(root):
    hashes = FileHashes(root, now_ns=time.time_ns)
    (root / "copy.csv").write_text("data/x.csv")
    assert hashes("copy.csv") == hashes("data/x.csv") != ""
    assert hashes("near.csv") != hashes("a/near.csv")


@pytest.mark.parametrize("path", ["gone.csv", "data", "no/such.csv", "near.csv/x", "x\0y", "glob:gone/*.csv", "glob:"])
def test_what_is_not_there_has_an_empty_hash(root, path):
    assert FileHashes(root, now_ns=time.time_ns)(path) == ""


def test_a_change_is_seen_however_soon_it_comes(root):
    hashes = FileHashes(root, now_ns=time.time_ns)
    seen = set()
    for number in range(20):
        (root / "near.csv").write_text(f"same size {number:02}")
        seen.add(hashes("near.csv"))
    assert len(seen) == 20


def test_a_pattern_stands_for_all_its_files(root):
    hashes = FileHashes(root, now_ns=time.time_ns)
    before = hashes("glob:**/*.csv")
    assert before
    assert hashes("glob:**/*.csv") == before
    (root / "data/y.csv").write_text("new")
    with_new = hashes("glob:**/*.csv")
    (root / "data/y.csv").rename(root / "data/z.csv")
    assert len({before, with_new, hashes("glob:**/*.csv")}) == 3


def test_the_hash_of_a_big_file_is_remembered_until_it_changes(root):
    big = root / "big.bin"
    big.write_bytes(b"x" * 100_000)
    first = FileHashes(root, now_ns=lambda: LATER)("big.bin")
    cache = root / ".nbpipe/files.msgpack"
    assert cache.exists()
    kept = cache.read_bytes()
    assert FileHashes(root, now_ns=lambda: LATER)("big.bin") == first
    assert cache.read_bytes() == kept
    big.write_bytes(b"y" * 100_000)
    assert FileHashes(root, now_ns=lambda: LATER)("big.bin") != first


def test_a_file_that_is_still_being_written_is_not_remembered(root):
    (root / "big.bin").write_bytes(b"x" * 100_000)
    assert FileHashes(root, now_ns=time.time_ns)("big.bin")
    assert not (root / ".nbpipe/files.msgpack").exists()


def test_a_damaged_cache_of_hashes_is_replaced(root):
    (root / "big.bin").write_bytes(b"x" * 100_000)
    (root / ".nbpipe/files.msgpack").write_bytes(b"\x00" * 64)
    first = FileHashes(root, now_ns=lambda: LATER)("big.bin")
    assert first == FileHashes(root, now_ns=lambda: LATER)("big.bin") != ""
