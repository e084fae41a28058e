"""The ports: what the core needs of the world, as Protocols.

Each port has a folder of back-ends and one contract test that runs on all of them; the in-memory ones are
public in `nbpipe.testing`.
"""

from nbpipe.core.ports.automation import AutomationStore, CursorChange, NewRun
from nbpipe.core.ports.backfills import BackfillStore
from nbpipe.core.ports.execution import Executor, Kernel, KernelProvider, KernelRequest, ProgressListener
from nbpipe.core.ports.partitions import PartitionStore
from nbpipe.core.ports.state import AssetStore, RunStore, StateStore
from nbpipe.core.ports.values import IOManager, StoreTarget, ValueGroup

__all__ = [
    "AssetStore",
    "AutomationStore",
    "BackfillStore",
    "CursorChange",
    "Executor",
    "IOManager",
    "Kernel",
    "KernelProvider",
    "KernelRequest",
    "NewRun",
    "PartitionStore",
    "ProgressListener",
    "RunStore",
    "StateStore",
    "StoreTarget",
    "ValueGroup",
]
