"""What the body of an asset sees as `context`."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Mapping
from typing import Any

from nbpipe.errors import RefusedError, UnknownNameError


class PartitionSkipped(BaseException):
    """A body said that there is nothing to do.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


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

        self.log = cell_log(f"nbpipe.asset.{asset}")
        self.metadata: dict[str, Any] = {}
        self.skipped: dict[str, str] = {}
        self._keys: tuple[str, ...] = ()

    def begin(self, keys: tuple[str, ...]) -> None:
        """Start an attempt for some partitions."""
        self._keys = keys
        self.skipped = {}
        self.metadata = {}

    def skip(self, reason: str, *, key: str | None = None) -> None:
        """End the body: there is nothing to do for this partition, which is no failure.

        In a range run this skips all partitions that have no value yet; with `key` only that one, and the body goes on.

        Args:
            reason: why, in a few words.
            key: one of `partition.keys`.

        Raises:
            RefusedError: the asset has no partitions.
            UnknownNameError: the key is not among `partition.keys`.
        """
        if not self._keys:
            raise RefusedError(
                f"context.skip is for partitions, and asset {self.asset} has none: give a value, or raise an error"
            )
        if key is None:
            raise PartitionSkipped(str(reason))
        if key not in self._keys:
            raise UnknownNameError("partition", key, self._keys, hint="context.skip takes one of partition.keys")
        self.skipped[key] = str(reason)

    def add_output_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Record facts with the materialization, for example `{"accuracy": 0.93}`."""
        self.metadata.update({str(key): _plain(value) for key, value in metadata.items()})


def cell_log(name: str) -> logging.Logger:
    """Return a logger whose lines appear in the output of the cell that runs."""
    log = logging.Logger(name, level=logging.INFO)  # noqa: LOG001 - it leaves none behind
    log.addHandler(_CellHandler())
    return log


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
