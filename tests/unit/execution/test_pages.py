"""A process that arranges its memory for forks keeps what it has in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nbpipe.execution.warm.pages import pieces

_MB = 1 << 20

#: Digests of much memory, in this process before and after, and in a fork of it.
_PROGRAM = """
import gc, hashlib, os
from nbpipe.execution.warm.pages import ready_to_fork
held = [os.urandom(1000) for _ in range(20_000)]
large = bytearray(os.urandom(1 << 20) * 16)
def digest():
    return hashlib.sha256(b"".join(held) + large).hexdigest()
before = digest()
ready_to_fork()
ready_to_fork()
print(before == digest(), gc.get_freeze_count() > 0, flush=True)
if hasattr(os, "fork"):
    pid = os.fork()
    if pid == 0:
        large[::4096] = large[::4096]
        os._exit(0 if before == digest() else 1)
    print(os.waitpid(pid, 0)[1], before == digest())
else:
    print(0, True)
"""


def test_it_keeps_what_it_has_in_memory_and_so_do_its_forks():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "0", "True"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("7f0000000000-7f0000400000 rw-p 00000000 00:00 0 ", [0x7F0000000000, 0x7F0000200000]),
        ("7f0000001000-7f0000401000 rw-p 00000000 00:00 0", [0x7F0000200000]),
        ("7f0000001000-7f0000300000 rw-p 00000000 00:00 0", []),
        ("55d000000000-55d000200000 rw-p 00000000 00:00 0    [heap]", [0x55D000000000]),
        ("7ff000000000-7ff000400000 rw-p 00000000 00:00 0    [stack]", []),
        ("7f0000000000-7f0000400000 r--p 00000000 00:00 0", []),
        ("7f0000000000-7f0000400000 rw-s 00000000 00:00 0", []),
        ("7f0000000000-7f0000400000 rw-p 00000000 08:01 77   /usr/lib/a library.so", []),
    ],
)
def test_only_ordinary_memory_of_whole_large_pages_is_put_together(line, expected):
    assert list(pieces(line, 2 * _MB)) == expected
