from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.loading.index import read_notebook_facts
from nbpipe.loading.remembered import Entry, Reading, RememberedFiles
from nbpipe.loading.stamps import RACY_NS, Stamp
from tests.notebooks import write_notebook


class Desk:
    """One file, and a record of how often it was looked into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "a.txt"
        self.path.write_text("one")
        self.entries: dict[str, Entry] = {}
        self.made: list[str] = []
        self.now = self.changed_at()

    def changed_at(self) -> int:
        status = self.path.stat()
        return max(status.st_mtime_ns, status.st_ctime_ns)

    def files(self) -> RememberedFiles[str]:
        return RememberedFiles(self.folder, self.entries, self.make, str, now_ns=lambda: self.now)

    def make(self, _path: str, data: bytes | OSError, old: str | None) -> Reading[str]:
        text = type(data).__name__ if isinstance(data, OSError) else data.decode()
        self.made.append(f"{old}->{text}")
        return Reading(facts=text, content=text)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_settled_file_is_not_opened_again(desk):
    desk.now += RACY_NS + 1
    first = desk.files().look_up("a.txt")
    assert first is not None
    assert first.settled
    again = desk.files()
    assert again.look_up("a.txt") is first
    assert not again.changed
    assert again.facts("a.txt") == "one"
    assert desk.made == ["None->one"]


def test_a_young_file_is_compared_by_content_until_it_is_old(desk):
    files = desk.files()
    young = files.look_up("a.txt")
    assert young is not None
    assert not young.settled
    files.changed = False
    assert files.look_up("a.txt") == young
    assert not files.changed
    desk.now += RACY_NS + 1
    old = files.look_up("a.txt")
    assert old is not None
    assert old.settled
    assert files.changed
    assert desk.made == ["None->one"]


def test_a_file_from_the_future_is_never_settled(desk):
    desk.now -= 10**12
    entry = desk.files().look_up("a.txt")
    assert entry is not None
    assert not entry.settled


def test_changed_content_is_read_with_the_older_facts_at_hand(desk):
    files = desk.files()
    before = files.look_up("a.txt")
    desk.path.write_text("two")
    after = files.look_up("a.txt")
    assert desk.made == ["None->one", "one->two"]
    assert (files.facts("a.txt"), files.facts("a.txt", before), files.facts("a.txt", after)) == ("two", "one", "two")


def test_a_file_that_went_is_forgotten(desk):
    files = desk.files()
    files.look_up("a.txt")
    desk.path.unlink()
    assert files.look_up("a.txt") is None
    assert desk.entries == {}


def test_a_file_that_goes_between_being_seen_and_read_is_tried_again(desk):
    files = desk.files()
    desk.now += RACY_NS + 1
    stamp = Stamp.of(desk.path.stat())
    desk.path.rename(desk.folder / "b.txt")
    entry = files.refresh("a.txt", stamp)
    assert (files.facts("a.txt"), entry.settled) == ("FileNotFoundError", False)
    (desk.folder / "b.txt").rename(desk.path)
    files.refresh("a.txt", stamp)
    assert files.facts("a.txt") == "one"


def test_only_what_is_wanted_is_kept(desk):
    files = desk.files()
    files.look_up("a.txt")
    files.keep_only(["b.txt"])
    assert desk.entries == {}


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), IsADirectoryError(21, "Is a directory")])
def test_a_notebook_that_may_not_be_read_is_a_diagnostic(error):
    reading = read_notebook_facts("a.ipynb", error, None)
    assert [(each.code, each.notebook) for each in reading.diagnostics] == [("unreadable", "a.ipynb")]
    assert error.strerror in reading.diagnostics[0].message
    assert reading.facts.cells == ()


def test_equal_cells_keep_their_facts_and_learn_their_place(tmp_path):
    first = write_notebook(tmp_path / "a.ipynb", ["x = 1", "y = x"]).read_bytes()
    old = read_notebook_facts("a.ipynb", first, None).facts
    second = write_notebook(tmp_path / "a.ipynb", ["z = 1", "y = x", "x = 1"]).read_bytes()
    new = read_notebook_facts("a.ipynb", second, old).facts
    assert new == read_notebook_facts("a.ipynb", second, None).facts
    assert new.cells[2].code is old.cells[0].code
