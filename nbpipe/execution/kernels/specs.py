"""Which kernels are installed here."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec


class InstalledKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernelspec of this machine."""

    name: str
    folder: str
    program: str
    found: bool
    """Its program is there."""


def installed_kernels() -> dict[str, InstalledKernel]:
    """Return the kernelspecs of this machine by name."""
    from jupyter_client.kernelspec import KernelSpecManager

    found = {}
    for name, about in sorted(KernelSpecManager().get_all_specs().items()):
        program = str((about["spec"].get("argv") or [""])[0])
        there = Path(program).is_file() or shutil.which(program) is not None
        found[name] = InstalledKernel(name=name, folder=str(about["resource_dir"]), program=program, found=there)
    return found
