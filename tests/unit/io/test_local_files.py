from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nbpipe.errors import MissingValueError, StoredValueError
from nbpipe.io.files import FileIOManager
from nbpipe.io.places import LocalPlace
from nbpipe.io.targets import StoreTarget


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def manager(tmp_path: Path) -> FileIOManager:
    return FileIOManager("files", "values", env="dev", root=tmp_path)


def target(uid: str = "1") -> StoreTarget:
    return StoreTarget(env="dev", asset="orders", uid=uid)


def test_a_full_disk_leaves_nothing_behind_and_says_what_to_do(
    manager: FileIOManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "values/dev/orders/_").mkdir(parents=True)
    with pytest.raises(StoredValueError, match=r"'orders'.*No space left.*free some space.*gc"):
        manager.store("x", target())
    assert files_below(tmp_path) == []


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalPlace(tmp_path).write("a/b", chunks())
    assert files_below(tmp_path) == []


def test_a_place_that_is_no_folder_is_said(manager: FileIOManager, tmp_path: Path) -> None:
    (tmp_path / "values").write_text("in the way")
    with pytest.raises(StoredValueError, match=r"can't be written.*storage"):
        manager.store("x", target())


def test_the_file_and_its_folders_are_flushed(
    manager: FileIOManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        flushed.append(f"{kind} {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        return  # only Linux can tell the name of a descriptor
    monkeypatch.setattr(os, "fsync", fsync)
    manager.store("x", target())
    assert flushed[-2:] == ["file .1.txt.tmp", "folder _"]
    assert {"folder orders", "folder dev", "folder values", f"folder {tmp_path.name}"} <= set(flushed)


def test_a_group_is_flushed_together_each_folder_once(
    manager: FileIOManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    group = manager.group()
    stored = [group.store("x", target(str(number))) for number in range(9)]
    assert group.size == 9
    assert os.name == "nt" or flushed == []
    group.flush()
    if os.name != "nt":
        files = {Path(manager.local_path(each)).stat().st_ino for each in stored}
        folder = Path(manager.local_path(stored[0])).parent
        folders = {each.stat().st_ino for each in (folder, *folder.parents[:4])}
        assert sorted(flushed) == sorted(files | folders)
    done = len(flushed)
    group.flush()
    assert (len(flushed), group.size) == (done, 0)


def test_a_group_that_a_full_disk_does_not_take_leaves_nothing_behind(
    manager: FileIOManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def store_and_flush() -> None:
        for number in range(3):
            group.store("x", target(str(number)))
        group.flush()

    group = manager.group()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoredValueError, match=r"'orders'.*No space left.*free some space.*gc"):
            store_and_flush()
    assert files_below(tmp_path) == []
    store_and_flush()
    assert len(files_below(tmp_path)) == 3


def test_what_could_not_be_written_whole_is_no_part_of_its_group(
    manager: FileIOManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    group, real = manager.group(), Path.rename

    def rename(path: Path, new: Path) -> Path:
        if new.suffix == ".png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, new)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(StoredValueError, match="No space left"):
        group.store(Figure(), target("1"))
    stored = group.store("x", target("2"))
    group.flush()
    assert files_below(tmp_path) == [Path(manager.local_path(stored))]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (b"", "it has 0 bytes, 5 were written"),
        (b"Hello!", "it has 6 bytes"),
        (b"jello", "its content is not what was written"),
    ],
)
def test_a_damaged_file_is_not_read(manager: FileIOManager, damage: bytes, message: str) -> None:
    stored = manager.store("hello", target())
    Path(manager.local_path(stored)).write_bytes(damage)
    with pytest.raises(MissingValueError, match=message) as caught:
        manager.load(stored)
    assert "asset 'orders'" in str(caught.value)
    assert manager.local_path(stored) in str(caught.value)


def test_a_copied_file_is_read_only(manager: FileIOManager, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a")
    stored = manager.store(tmp_path / "x.csv", target())
    assert not Path(manager.local_path(stored)).stat().st_mode & 0o222


def test_sweeping_removes_unfinished_files_and_empty_folders(manager: FileIOManager, tmp_path: Path) -> None:
    stored = manager.store("x", target())
    folder = Path(manager.local_path(stored)).parent
    (folder / ".2.txt.tmp").write_text("half")
    manager.delete(stored)
    assert manager.sweep(lambda _path: False, older_than=datetime.now(UTC) + timedelta(days=1)) == 4
    assert not folder.exists()


def test_writing_survives_folders_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, vanished = Path.mkdir, []

    def mkdir(folder: Path, *args: int, **options: bool) -> None:
        real(folder, *args, **options)
        if len(vanished) < 3:
            folder.rmdir()
            vanished.append(folder)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    LocalPlace(tmp_path).write("dev/a/_/1", [b"x"])
    assert len(vanished) == 3
    assert (tmp_path / "dev/a/_/1").read_bytes() == b"x"


def test_folders_in_use_are_not_tidied_away(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    place.write("dev/a/_/1", [b"x"])
    (tmp_path / "dev/b/_").mkdir(parents=True)
    place.tidy("dev", 0.0)
    assert (tmp_path / "dev/b/_").exists()
    place.tidy("dev", float("inf"))
    assert files_below(tmp_path) == [tmp_path / "dev/a/_/1"]
    assert not (tmp_path / "dev/b").exists()


def test_a_file_beside_a_figure_is_kept_with_it(manager: FileIOManager) -> None:
    from matplotlib.figure import Figure

    stored = manager.store(Figure(), target())
    picture = Path(manager.local_path(stored) + ".png")
    later = datetime.now(UTC) + timedelta(days=1)
    assert manager.sweep({stored.path}.__contains__, older_than=later) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    manager.delete(stored)
    assert not picture.exists()
