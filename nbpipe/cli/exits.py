"""Which exit status the answer to a command means."""

from __future__ import annotations

from typing import Any


def exit_status(command: str, data: Any) -> int:
    """Return 0 if what was asked for is done, 1 if the work failed, 2 if something is wrong with the definitions."""
    if command in ("materialize", "run", "runs retry", "_run", "job run"):
        return 0 if data.status == "success" else 1
    if command in ("backfill start", "backfill resume", "_backfill"):
        return 0 if getattr(data, "status", "success") == "success" else 1
    if command == "sensor tick":
        return 1 if data.status == "failed" else 0
    if command == "validate":
        return 2 if any(each.severity == "error" for each in data) else 0
    if command == "verify":
        return 1 if any(each.result == "different" for each in data.assets) or data.status != "success" else 0
    if command == "doctor":
        return 1 if any(each.level == "problem" for each in data) else 0
    return 0
