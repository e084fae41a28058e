"""Which file system a path is on, and which host may use a database there."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from nbpipe.errors import StateError

#: File systems shared between hosts: their locks and memory maps can't be relied on between hosts.
NETWORK = frozenset(
    {"9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"orangefs", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "webdav"}
)
#: Programs behind FUSE mounts that keep their files elsewhere; such a mount's type is `fuse.NAME`.
NETWORK_FUSE = frozenset(
    {"ceph", "cifs", "davfs2", "gcsfuse", "glusterfs", "goofys", "grpcfuse", "juicefs", "rclone", "s3fs", "sshfs"}
)
_MOUNTS = Path("/proc/self/mounts")
_OCTAL = re.compile(r"\\([0-7]{3})")


def is_network(folder: Path, *, mounts: Path = _MOUNTS) -> bool:
    """Tell whether a folder is on a file system that several hosts may share.

    Where the system does not list its mounts in `/proc`, only Windows network paths are recognised.
    """
    resolved = folder.resolve()
    if resolved.anchor.startswith(("//", "\\\\")):
        return True
    try:
        listing = mounts.read_text(errors="surrogateescape")
    except OSError:
        return False
    kind = file_system(resolved, listing)
    return kind in NETWORK or (kind.startswith("fuse.") and kind[5:] in NETWORK_FUSE)


def file_system(folder: Path, listing: str) -> str:
    """Return the type of the file system that holds an absolute path.

    Args:
        folder: the path, without links.
        listing: mounts in the format of fstab(5), as in `/proc/self/mounts`; later lines cover earlier ones.
    """
    best, found = -1, ""
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match.group(1), 8)), fields[1]))
        if len(point.parts) >= best and folder.is_relative_to(point):
            best, found = len(point.parts), fields[2]
    return found


def claim_for_this_host(database: Path, *, host: str | None = None) -> None:
    """Note on a network file system that this host uses a database.

    Raises:
        StateError: another host uses it: two hosts at once would damage it.
    """
    host = host or socket.gethostname()
    note = database.with_name(database.name + ".host")
    try:
        with note.open("x", encoding="utf-8") as file:
            file.write(host + "\n")
        return
    except FileExistsError:
        owner = note.read_text(encoding="utf-8").strip()
    if owner and owner != host:
        raise StateError(
            f"{database} is on a network file system and in use by host {owner!r}; SQLite can't be shared between "
            f"hosts (this is {host!r}). In nbpipe.toml set `state` to a PostgreSQL URL, or to a SQLite path on a "
            f"local disk. If {owner!r} is done with this project, delete {note} and try again"
        )
