"""How much output a record keeps. What is dropped is said where it would have been."""

from __future__ import annotations

from collections import deque
from typing import Any

from nbpipe.core.runs.tasks import OutputLimits

Output = dict[str, Any]

#: What is kept of an error, whatever is left of the record's room.
_LONGEST_LINE, _MOST_LINES = 10_000, 200


class _Stream:
    """What one cell printed to one stream: its beginning and its end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit // 2
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._head_size = self._tail_size = 0
        self.dropped = 0

    def add(self, text: str) -> None:
        """Append text; drop from the middle what is too much."""
        room = self._limit - self._head_size
        if room > 0:
            self._head.append(text[:room])
            self._head_size += min(room, len(text))
            text = text[room:]
        if not text:
            return
        self._tail.append(text[-self._limit :])
        self.dropped += max(0, len(text) - self._limit)
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= self._limit:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self.dropped += gone

    @property
    def size(self) -> int:
        return self._head_size + self._tail_size

    def text(self) -> str:
        """Return what is kept, with a line where something is missing."""
        notice = f"\n[nbpipe: {self.dropped:,} characters of output were cut here]\n" if self.dropped else ""
        self._head = ["".join(self._head)]
        return "".join([*self._head, notice, *self._tail])


class CellOutputs:
    """The outputs of one cell while it executes, within the limits.

    Texts printed one after the other to one stream become one output; they are joined when asked for.
    """

    def __init__(self, limits: OutputLimits, room: int) -> None:
        """Start empty; `room` is what is left of the record's characters."""
        self._limits = limits
        self._room = room
        self._entries: list[tuple[Output, _Stream | None]] = []
        self._streams: dict[str, int] = {}
        self.size = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._streams.clear()
        self.size = self.dropped = 0

    def print(self, name: str, text: str) -> None:
        """Add text that was printed to a stream."""
        last, stream = self._entries[-1] if self._entries else (None, None)
        if stream is None or last is None or last["name"] != name:
            if not self._fits(0):
                self._drop()
                return
            used = self._streams.get(name, 0)
            stream = _Stream(max(1_000, min(self._limits.output - used, self._room - self.size)))
            self._entries.append(({"output_type": "stream", "name": name, "text": ""}, stream))
        before = stream.size
        stream.add(text)
        self._streams[name] = self._streams.get(name, 0) + stream.size - before
        self.size += stream.size - before

    def show(self, output: Output) -> int | None:
        """Add a display, a result or an error; return its position, or None if it was dropped."""
        if output["output_type"] == "error":
            output = _shortened(output)
        size = _size(output)
        if output["output_type"] != "error" and size > self._limits.output:
            output = {**output, "data": _stand_in(output["data"], size), "metadata": {}}
            size = _size(output)
            self.dropped += 1
        if output["output_type"] != "error" and not self._fits(size):
            self._drop()
            return None
        self._entries.append((output, None))
        self.size += size
        return len(self._entries) - 1

    def update(self, position: int, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Replace what a display shows."""
        if position >= len(self._entries):
            return
        output = self._entries[position][0]
        before = _size(output)
        size = _size({"data": data})
        if size > self._limits.output or self.size + size - before > self._room:
            data, metadata = _stand_in(data, size), {}
            self.dropped += 1
        output["data"], output["metadata"] = data, metadata
        self.size += _size(output) - before

    def outputs(self) -> list[Output]:
        """Return the outputs as a notebook keeps them."""
        kept = [output if stream is None else {**output, "text": stream.text()} for output, stream in self._entries]
        if self.dropped:
            text = f"[nbpipe: {self.dropped:,} outputs of this cell were too many or too big, and are not kept]\n"
            kept.append({"output_type": "stream", "name": "stderr", "text": text})
        return kept

    def cut(self) -> dict[str, int]:
        """Return what is not kept, in the words of the record's metadata; empty if nothing was cut."""
        characters = sum(stream.dropped for _, stream in self._entries if stream is not None)
        return {
            **({"outputs": self.dropped} if self.dropped else {}),
            **({"characters": characters} if characters else {}),
        }

    def _fits(self, size: int) -> bool:
        return len(self._entries) < self._limits.count and self.size + size <= self._room

    def _drop(self) -> None:
        self.dropped += 1


def _size(output: Output) -> int:
    """Return roughly how many characters an output takes in the file."""
    total, pending = 0, list(output.values())
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, dict):
            total += 4 * len(item)
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            total += 4 * len(item)
            pending.extend(item)
        else:
            total += 8
    return total


def _shortened(error: Output) -> Output:
    """Return an error with the end of its traceback, where the cause is, and no endless lines."""
    lines = [line[:_LONGEST_LINE] for line in error["traceback"][-_MOST_LINES:]]
    return {**error, "evalue": error["evalue"][:_LONGEST_LINE], "traceback": lines}


def _stand_in(data: dict[str, Any], size: int) -> dict[str, Any]:
    """Return what is shown instead of something too big."""
    text = str(data.get("text/plain", ""))[:1_000]
    kinds = ", ".join(sorted(data))
    return {"text/plain": f"[nbpipe: a display of {size:,} characters ({kinds}) was too big to keep]\n{text}".rstrip()}
