"""Execute cells in a kernel and gather what they show.

nbclient knows what the messages mean (displays and their updates, widgets, captured output); the loop that
receives them is ours: it waits for as long as output arrives, notices a dead kernel within a fraction of a
second, reacts to a request to stop, and keeps no more output than the record may hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty
from typing import Any, Literal

import zmq
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg

from nbpipe import clock
from nbpipe.core.ports import Kernel
from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.errors import KernelDiedError
from nbpipe.execution.outputs import CellOutputs

#: How long a kernel may take to answer its first request.
_START_TIMEOUT = 120.0
#: How often a silent kernel is looked at.
_GLANCE = 0.1
#: After the reply, so long without a message means that the last ones were lost (a full queue drops messages).
_SILENCE = 10.0
#: Between the interrupt of a cell that must stop and the end of its kernel.
_PATIENCE = 2.0
#: Messages that may wait here while the record is written; beyond zeromq's own 1,000 they would be dropped.
_QUEUE = 100_000
#: Messages handled before anything else is looked at.
_BATCH = 200


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How the execution of some code ended."""

    status: Literal["ok", "error", "canceled", "timeout"]
    ename: str = ""
    evalue: str = ""
    traceback: str = ""
    """As it is shown, with colors."""


@dataclass(kw_only=True)
class _Exchange:
    """A request to a kernel and what has come of it."""

    msg_id: str
    started: float
    heard: float
    """When the last message came."""
    timeout: float | None
    reply: dict[str, Any] | None = None
    idle: bool = False
    stopped: Literal["canceled", "timeout"] | None = None
    """Why it was interrupted."""
    stopped_at: float = 0.0

    @property
    def open(self) -> bool:
        """Tell whether more is to come."""
        return self.reply is None or not self.idle


class CellClient(NotebookClient):
    """Executes the cells of one notebook in a kernel that somebody else owns."""

    def __init__(
        self,
        nb: NotebookNode,
        kernel: Kernel,
        *,
        limits: OutputLimits,
        stopping: Callable[[], bool] = lambda: False,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect to a kernel, which may not be ready yet.

        Args:
            nb: the notebook; outputs are put into its cells.
            kernel: where to execute.
            limits: how much output to keep.
            stopping: tells whether somebody asked to stop; called often.
            idle: called now and then while a cell executes, for example to save.
        """
        from jupyter_client.blocking.client import BlockingKernelClient

        super().__init__(nb, record_timing=False)
        self._kernel = kernel
        self._limits = limits
        self._stopping = stopping
        self._idle = idle
        self._news = False
        self._current: CellOutputs | None = None
        self._finished: dict[int, CellOutputs] = {}
        self._context = zmq.Context()
        self._context.setsockopt(zmq.RECONNECT_IVL, 10)  # ms: its sockets appear while it starts
        self._context.setsockopt(zmq.RCVHWM, _QUEUE)
        client = BlockingKernelClient(context=self._context)
        client.load_connection_info(kernel.connection)  # type: ignore[arg-type]
        client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=True)  # noqa: S604 - a channel
        self._wire = self.kc = client
        self._poller = zmq.Poller()
        for channel in (client.shell_channel, client.iopub_channel):
            self._poller.register(channel.socket, zmq.POLLIN)

    def wait_until_ready(self) -> dict[str, Any]:
        """Return the kernel's description of itself once it answers on both channels.

        Raises:
            KernelDiedError: it ended, or did not answer in time.
        """
        deadline = clock.monotonic() + _START_TIMEOUT
        info: dict[str, Any] | None = None
        asked = -1.0
        while clock.monotonic() < deadline and not self._stopping():
            if asked < 0 or (info is not None and clock.monotonic() - asked > _GLANCE):
                self._wire.kernel_info()
                asked = clock.monotonic()
            for channel, message in self._receive():
                if channel is self._wire.shell_channel and message["msg_type"] == "kernel_info_reply":
                    info = message["content"]
                elif info is not None and message["msg_type"] == "status":
                    return info
                if info is not None and message["parent_header"].get("msg_type") == "kernel_info_request":
                    return info
            if not self._kernel.alive():
                raise KernelDiedError(f"the kernel did not start: {self._kernel.obituary()}")
        if self._stopping():
            return info or {}
        raise KernelDiedError(f"the kernel did not answer within {_START_TIMEOUT:g} s: {self._kernel.obituary()}")

    def run_hidden(self, code: str) -> Reply:
        """Execute code that leaves no trace in the record or in the kernel's history."""
        return self._finish(self._wire.execute(code, silent=True, store_history=False, allow_stdin=False))

    def send(self, code: str) -> None:
        """Send hidden code without waiting for its end."""
        self._wire.execute(code, silent=True, store_history=False, allow_stdin=False)

    def ask_to_end(self) -> None:
        """Ask a kernel of any language to end itself."""
        self._wire.shutdown()

    def run_cell(self, index: int, *, timeout: float | None = None) -> Reply:
        """Execute a cell and put its outputs into the notebook.

        Args:
            index: its position.
            timeout: seconds after which it is interrupted, and soon after that its kernel is ended.

        Raises:
            KernelDiedError: the kernel ended while it worked; what the cell showed so far is kept.
        """
        cell = self.nb.cells[index]
        room = self._limits.record - sum(kept.size for at, kept in self._finished.items() if at != index)
        self._current = self._finished[index] = CellOutputs(self._limits, max(room, 0))
        self.clear_before_next_output = False
        msg_id = self._wire.execute(cell.source, store_history=True, stop_on_error=False, allow_stdin=False)
        try:
            return self._finish(msg_id, lambda message: self._on_output(message, index), timeout=timeout)
        finally:
            self.flush()
            self._current = None

    def flush(self) -> None:
        """Put the outputs gathered so far into the notebook's cells."""
        for index, kept in self._finished.items():
            if kept is self._current or index in self._changed:
                self.nb.cells[index]["outputs"] = [_node(output) for output in kept.outputs()]
        self._changed.clear()

    def take_news(self) -> bool:
        """Tell whether something was shown since this was last asked."""
        news, self._news = self._news, False
        return news

    def cut(self) -> dict[int, dict[str, int]]:
        """Return what was not kept, by position of the cell."""
        return {index: kept.cut() for index, kept in self._finished.items() if kept.cut()}

    def close(self) -> None:
        """Close the connection; the kernel goes on."""
        self._wire.stop_channels()
        self.kc = None
        self._context.destroy(linger=0)

    def reset_execution_trackers(self) -> None:
        """Start afresh; called by the base class when it is made."""
        super().reset_execution_trackers()
        self._changed: set[int] = set()

    # --- receiving ---

    def _finish(
        self,
        msg_id: str,
        on_output: Callable[[dict[str, Any]], None] | None = None,
        *,
        timeout: float | None = None,
    ) -> Reply:
        """Receive messages until the request `msg_id` is done."""
        exchange = _Exchange(msg_id=msg_id, started=clock.monotonic(), heard=clock.monotonic(), timeout=timeout)
        while exchange.open:
            silent = clock.monotonic() - exchange.heard  # before it is listened: this process may have had no turn
            answered = exchange.reply is not None or exchange.idle
            over = (silent > _GLANCE / 2 and not self._kernel.alive()) or (answered and silent > _SILENCE)
            messages = self._receive()
            for channel, message in messages:
                exchange.heard = clock.monotonic()
                if message["parent_header"].get("msg_id") != msg_id:
                    continue
                if channel is self._wire.shell_channel:
                    exchange.reply = message["content"]
                elif message["msg_type"] == "status":
                    exchange.idle = exchange.idle or message["content"]["execution_state"] == "idle"
                elif on_output is not None:
                    self._news = True
                    on_output(message)
            self._idle()
            if over and not messages:
                break
            if self._must_end(exchange):
                self._kernel.shutdown(0)
                return Reply(status=exchange.stopped or "timeout", evalue="it did not stop when interrupted")
        return self._judged(exchange.reply, exchange.stopped)

    def _must_end(self, exchange: _Exchange) -> bool:
        """Interrupt a cell that has to stop; tell whether it has not stopped for so long that its kernel must end."""
        now = clock.monotonic()
        if exchange.stopped is not None:
            return now - exchange.stopped_at > _PATIENCE
        late = exchange.timeout is not None and now - exchange.started > exchange.timeout
        if late or self._stopping():
            exchange.stopped = "canceled" if self._stopping() else "timeout"
            exchange.stopped_at = now
            self._kernel.interrupt()
        return False

    def _judged(self, reply: dict[str, Any] | None, stopped: Literal["canceled", "timeout"] | None) -> Reply:
        if reply is None:
            if stopped is not None:
                return Reply(status=stopped)
            if self._kernel.alive():
                raise KernelDiedError("the kernel did not say how the cell ended")
            raise KernelDiedError(f"the kernel died: {self._kernel.obituary()}")
        if reply["status"] == "ok":
            return Reply(status="ok")
        status = stopped or "error"
        return Reply(
            status=status,
            ename=str(reply.get("ename", "")),
            evalue=str(reply.get("evalue", "")),
            traceback="\n".join(map(str, reply.get("traceback", ()))),
        )

    def _receive(self) -> list[tuple[Any, dict[str, Any]]]:
        """Wait a moment for messages; return those that have come, in the order of each channel."""
        received: list[tuple[Any, dict[str, Any]]] = []
        if self._poller.poll(int(_GLANCE * 1000)):
            for channel in (self._wire.iopub_channel, self._wire.shell_channel):
                received.extend((channel, message) for message in _arrived(channel))
        return received

    def _on_output(self, message: dict[str, Any], index: int) -> None:
        with contextlib.suppress(CellExecutionComplete):
            self.process_message(message, self.nb.cells[index], index)

    # --- what nbclient calls for each message ---

    def output(
        self,
        outs: list[NotebookNode],
        msg: dict[str, Any],
        display_id: str | None,
        cell_index: int,
    ) -> NotebookNode | None:
        """Keep one output, within the limits, or hand it to the output widget that captures it."""
        hooks = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if hooks:
            hooks[-1].output(outs, msg, display_id, cell_index)
            return None
        kept = self._finished[cell_index]
        if self.clear_before_next_output:
            kept.clear()
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
        if msg["msg_type"] == "stream":
            kept.print(msg["content"]["name"], msg["content"]["text"])
            return None
        try:
            position = kept.show(dict(output_from_msg(msg)))  # type: ignore[no-untyped-call]
        except ValueError:  # a message that shows nothing
            return None
        if display_id and position is not None:
            self._display_id_map.setdefault(display_id, {}).setdefault(cell_index, []).append(position)
        return None

    def clear_output(self, outs: list[NotebookNode], msg: dict[str, Any], cell_index: int) -> None:
        """Forget the cell's outputs, now or when the next one comes."""
        hooks = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if hooks:
            hooks[-1].clear_output(outs, msg, cell_index)
        elif msg["content"].get("wait"):
            self.clear_before_next_output = True
        else:
            self._finished[cell_index].clear()
            self.clear_display_id_mapping(cell_index)

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        """Change what earlier displays of this id show."""
        content = msg["content"]
        for index, positions in self._display_id_map.get(display_id, {}).items():
            for position in positions:
                self._finished[index].update(position, dict(content["data"]), dict(content["metadata"]))
            self._changed.add(index)


def _arrived(channel: Any) -> Iterator[dict[str, Any]]:
    for _ in range(_BATCH):
        try:
            yield channel.get_msg(timeout=0)
        except Empty:
            return


def _node(output: dict[str, Any]) -> NotebookNode:
    return output if isinstance(output, NotebookNode) else NotebookNode(output)  # type: ignore[no-untyped-call]
