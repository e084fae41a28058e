from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.errors import StateError
from nbpipe.storage import filesystems, sqlite
from nbpipe.storage.filesystems import claim_for_this_host, file_system, is_network
from nbpipe.storage.open import open_store
from tests.stores import new

MOUNTS = r"""
/dev/vda / ext4 rw 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/me/fast xfs rw 0 0
//nas/share /mnt/my\040share cifs rw 0 0
me@host: /mnt/ssh fuse.sshfs rw 0 0
/dev/vdc /mnt/usb fuseblk rw 0 0
tmpfs /mnt/over nfs rw 0 0
tmpfs /mnt/over tmpfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("folder", "kind", "network"),
    [
        ("/", "ext4", False),
        ("/work", "ext4", False),
        ("/home", "nfs4", True),
        ("/home/me/project", "nfs4", True),
        ("/home/me/fast/project", "xfs", False),
        ("/home/me/faster", "nfs4", True),
        ("/homes", "ext4", False),
        ("/mnt/my share/x", "cifs", True),
        ("/mnt/ssh/x", "fuse.sshfs", True),
        ("/mnt/usb/x", "fuseblk", False),
        ("/mnt/over/x", "tmpfs", False),
    ],
)
def test_a_file_system_is_found_by_its_mount(tmp_path, folder, kind, network):
    assert file_system(Path(folder), MOUNTS) == kind
    listing = tmp_path / "mounts"
    listing.write_text(MOUNTS)
    assert is_network(Path(folder), mounts=listing) is network


def test_without_a_list_of_mounts_a_folder_counts_as_local(tmp_path):
    assert not is_network(tmp_path, mounts=tmp_path / "none")


def test_one_host_owns_a_database_on_a_network(tmp_path):
    database = tmp_path / "state.db"
    claim_for_this_host(database, host="one")
    claim_for_this_host(database, host="one")
    with pytest.raises(StateError, match=r"'one'.*PostgreSQL.*state\.db\.host"):
        claim_for_this_host(database, host="two")
    (tmp_path / "state.db.host").unlink()
    claim_for_this_host(database, host="two")


def test_on_a_network_the_store_keeps_a_rollback_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "is_network", lambda _: True)
    store = open_store("sqlite:///state.db", root=tmp_path)
    store.commit([new("a")])
    with store._database.write() as transaction:
        assert transaction._cursor.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    since = store.revision()
    other = open_store("sqlite:///state.db", root=tmp_path)
    other.commit([new("b")])
    assert store.wait_for_change(since, 60) > since
    other.close()
    store.close()
    monkeypatch.setattr(filesystems.socket, "gethostname", lambda: "another")
    with pytest.raises(StateError, match="'another'"):
        open_store("sqlite:///state.db", root=tmp_path)
