"""What the file system says of a file, and how far it can be trusted."""

from __future__ import annotations

import os

import msgspec

#: A file that changed so shortly before it was read may change again without a new time: some file systems
#: count in steps of two seconds.
RACY_NS = 2_500_000_000


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """Times, size and identity of a file: it changes whenever the content does, unless someone takes pains."""

    mtime_ns: int
    size: int
    inode: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Take the stamp from the result of `stat`."""
        return cls(status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)

    def settled(self, now_ns: int) -> bool:
        """Tell whether the same stamp later means the same content, if the content was read at `now_ns`."""
        return max(self.mtime_ns, self.ctime_ns) < now_ns - RACY_NS
