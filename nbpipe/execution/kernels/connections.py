"""Kernelspecs and connections: the command that starts a kernel, and the sockets through which it is reached.

Sockets of the file system know no race for ports, and can't be reached from other machines.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nbpipe.errors import RefusedError
from nbpipe.execution.kernels.launching import TRANSPORT
from nbpipe.execution.private_folders import private_folder


class KernelCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernelspec says."""

    name: str
    argv: tuple[str, ...]
    """The program and its arguments; `{connection_file}` and others stand for what is known at the start."""
    language: str
    """In lower case."""
    environ: Mapping[str, str]
    resources: str
    """The folder of the kernelspec."""

    def filled(self, connection_file: str) -> list[str]:
        """Return the command for one kernel."""
        return [*command(list(self.argv), connection_file, self.resources), *arguments(self.argv)]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How one kernel is reached."""

    folder: Path
    """Private to the kernel: its connection file, sockets and log."""
    file: str
    info: Mapping[str, Any]


def kernel_command(name: str) -> KernelCommand:
    """Look up a kernelspec.

    Raises:
        RefusedError: there is none of this name.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    try:
        spec = manager.get_kernel_spec(name)
    except NoSuchKernel:
        known = ", ".join(sorted(manager.find_kernel_specs())) or "none"
        raise RefusedError(
            f"there is no kernel {name!r} here (installed: {known}): install it, "
            "or choose another in the notebook or as `kernel` of its location in nbpipe.toml"
        ) from None
    return KernelCommand(
        name=name,
        argv=tuple(spec.argv),
        language=str(spec.language).lower(),
        environ=dict(spec.env),
        resources=str(spec.resource_dir),
    )


def new_connection(kernel_name: str) -> Connection:
    """Create a private folder with a connection file."""
    from jupyter_client.connect import write_connection_file

    folder = private_folder()
    file, info = write_connection_file(
        str(folder / "connection.json"),
        ip=str(folder / "k") if TRANSPORT == "ipc" else "",
        transport=TRANSPORT,
        key=secrets.token_hex(32).encode(),
        kernel_name=kernel_name,
    )
    return Connection(folder=folder, file=file, info={**info, "key": str(info["key"]).encode()})


def command(argv: list[str], connection_file: str, resources: str) -> list[str]:
    """Fill in a kernelspec's command; a bare `python` is this one, as Jupyter has it."""
    values = {"{connection_file}": connection_file, "{resource_dir}": resources, "{prefix}": sys.prefix}
    names = re.compile("|".join(map(re.escape, values)))
    filled = [names.sub(lambda match: values[match.group()], part) for part in argv]
    major, minor = sys.version_info[:2]
    if filled[0] in {"python", f"python{major}", f"python{major}.{minor}"}:
        filled[0] = sys.executable
    return filled


def arguments(argv: tuple[str, ...]) -> list[str]:
    """Keep a kernel's history in memory: parallel kernels would wait for each other's file."""
    return ["--HistoryManager.hist_file=:memory:"] if any("ipykernel" in part for part in argv) else []
