"""Data pipelines whose assets are notebook cells.

In a notebook, `%load_ext nbpipe` brings the magics. The names below are their Python twins, and what modules
and scripts work with. They are imported when first used, so that `import nbpipe` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbpipe.commands.api import (
        Project,
        add_partitions,
        backfill,
        delete_partitions,
        lineage,
        load,
        materialize,
        partition_keys,
        runs,
        status,
        validate,
        why,
    )
    from nbpipe.core.automation.requests import PartitionsRequest, RunRequest, SkipReason
    from nbpipe.core.keys import AssetKey
    from nbpipe.errors import NbpipeError
    from nbpipe.kernel.twins import force, partition, partitions

__version__ = "0.1.0"

__all__ = [
    "AssetKey",
    "NbpipeError",
    "PartitionsRequest",
    "Project",
    "RunRequest",
    "SkipReason",
    "__version__",
    "add_partitions",
    "backfill",
    "delete_partitions",
    "force",
    "lineage",
    "load",
    "materialize",
    "partition",
    "partition_keys",
    "partitions",
    "runs",
    "status",
    "validate",
    "why",
]

#: Where each public name lives.
_HOMES = {
    "AssetKey": "nbpipe.core.keys",
    "NbpipeError": "nbpipe.errors",
    "PartitionsRequest": "nbpipe.core.automation.requests",
    "Project": "nbpipe.commands.api",
    "RunRequest": "nbpipe.core.automation.requests",
    "SkipReason": "nbpipe.core.automation.requests",
    "add_partitions": "nbpipe.commands.api",
    "backfill": "nbpipe.commands.api",
    "delete_partitions": "nbpipe.commands.api",
    "force": "nbpipe.kernel.twins",
    "lineage": "nbpipe.commands.api",
    "load": "nbpipe.commands.api",
    "materialize": "nbpipe.commands.api",
    "partition_keys": "nbpipe.commands.api",
    "partition": "nbpipe.kernel.twins",
    "partitions": "nbpipe.kernel.twins",
    "runs": "nbpipe.commands.api",
    "status": "nbpipe.commands.api",
    "validate": "nbpipe.commands.api",
    "why": "nbpipe.commands.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nbpipe' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def load_ipython_extension(ip: InteractiveShell) -> None:
    """Answer `%load_ext nbpipe`: register the magics and follow this notebook's cells."""
    from nbpipe.kernel.extension import load

    load(ip)


def unload_ipython_extension(ip: InteractiveShell) -> None:
    """Answer `%unload_ext nbpipe`: leave the shell as it was before."""
    from nbpipe.kernel.extension import unload

    unload(ip)
