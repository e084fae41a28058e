"""Values to put into state stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from nbpipe.core.records import NewMaterialization, Run, RunAsset, Step, StoredValue, WorkerId

NOON = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
WORKER = WorkerId(host="h", boot_id="b", pid_namespace="n", pid=7, started=1700000000.25)


def later(minutes: float) -> datetime:
    """Return a moment after noon."""
    return NOON + timedelta(minutes=minutes)


def stored(path: str = "a/1", **changes: Any) -> StoredValue:
    """Return a stored value."""
    values: dict[str, Any] = {"io": "files", "format": "json", "path": path, "size": 3, "data_version": f"d:{path}"}
    return StoredValue(**(values | changes))


def new(asset: str = "a", path: str | None = None, **changes: Any) -> NewMaterialization:
    """Return a value about to be committed."""
    values: dict[str, Any] = {
        "env": "default",
        "asset": asset,
        "stored": stored(path or f"{asset}/x"),
        "code": (("body", "h1"),),
        "code_version": "c1",
        "created_at": NOON,
    }
    return NewMaterialization(**(values | changes))


def run(run_id: str = "r1", **changes: Any) -> Run:
    """Return a queued run."""
    values: dict[str, Any] = {"id": run_id, "env": "default", "created_at": NOON, "assets": ("a", "b")}
    return Run(**(values | changes))


def steps(run_id: str = "r1", count: int = 2) -> list[Step]:
    """Return queued steps."""
    return [
        Step(run_id=run_id, index=i, notebook=f"n{i}.ipynb", output=f"o{i}.ipynb", planned=("a",)) for i in range(count)
    ]


def places(run_id: str = "r1", *assets: str) -> list[RunAsset]:
    """Return queued places of assets in a run."""
    return [RunAsset(run_id=run_id, asset=asset) for asset in assets or ("a", "b")]
