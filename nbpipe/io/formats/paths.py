"""A `pathlib.Path` stands for the file that it names: the file is copied, and the copy's path is handed out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from nbpipe.core.records import Preview
from nbpipe.io.formats.format import Encoded, Inexact, short, type_name

_BLOCK = 1 << 20


class FileFormat:
    """An existing file. A folder is no value: it has no moment at which it is complete."""

    name = "file"
    hashes_bytes = True

    def accepts(self, value: object) -> bool:
        """Take the standard library's concrete paths."""
        return isinstance(value, Path) and type_name(value).startswith("pathlib.")

    def encode(self, value: Path) -> Encoded | Inexact:
        """Read the file block by block."""
        if value.is_dir():
            return Inexact(
                f"{value} is a folder: pack it into one file (shutil.make_archive), or use str(path)", final=True
            )
        if not value.is_file():
            reason = f"there is no file {value}: write it first; for a path that names no file use str(path)"
            return Inexact(reason, final=True)
        suffix = re.sub(r"[^A-Za-z0-9]", "", value.suffix)[:16]
        return Encoded(
            chunks=_blocks(value),
            extension=suffix or "file",
            metadata={"name": short(value.name)},
            preview=lambda: Preview(kind="text", text=short(value.name)),
        )

    def decode(self, data: Any, type_name: str) -> NoReturn:
        """Never called: an I/O manager hands out the path of its copy."""
        raise NotImplementedError


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
