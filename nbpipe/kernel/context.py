"""What the body of an asset sees as `context`."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Mapping
from typing import Any


class Context:
    """What a body sees as `context`.

    Attributes:
        asset: the name of the asset; of several, the names joined by spaces.
        run_id: the run that executes the cell, or None in a person's kernel.
        log: a logger; what it writes appears in the cell's output.
    """

    def __init__(self, asset: str, run_id: str | None) -> None:
        """Make the context of one execution."""
        self.asset = asset
        self.run_id = run_id

        self.log = logging.Logger(f"nbpipe.asset.{asset}", level=logging.INFO)  # noqa: LOG001 - it leaves none behind
        self.log.addHandler(_CellHandler())
        self.metadata: dict[str, Any] = {}

    def add_output_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Record facts with the materialization, for example `{"accuracy": 0.93}`."""
        self.metadata.update({str(key): _plain(value) for key, value in metadata.items()})


class _CellHandler(logging.Handler):
    """Writes to the output of the cell that runs; without times, so that notebooks compare well."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stdout)  # noqa: T201 - the cell's output
        except Exception:  # noqa: BLE001 - the contract of a handler: an error in a message is reported, not raised
            self.handleError(record)


def _plain(value: Any) -> Any:
    """Return a JSON-able form of a metadata value: numbers of array libraries become plain, the rest text."""
    if isinstance(value, str | bool | int | float | types.NoneType):
        return value
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", 0) == 0:
        return _plain(item())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return str(value)
