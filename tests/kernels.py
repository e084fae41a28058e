"""Real kernels, spoken to as frontends do."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager

from jupyter_client.manager import KernelManager

_LONG = 60


class Kernel:
    """One ipykernel and a client."""

    def __init__(self, folder, **environ):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder), env={**os.environ, **environ})
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=_LONG)

    def start(self, source, cell_id=None):
        """Ask for the execution of a cell, with its id in the metadata as JupyterLab does."""
        content = {
            "code": source, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": True,
        }  # fmt: skip
        message = self.client.session.msg("execute_request", content)
        message["metadata"] = {"cellId": cell_id} if cell_id else {}
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def finish(self, msg_id):
        """Return what a cell showed, and its error."""
        texts, bundles = [], []
        while True:
            message = self.client.get_iopub_msg(timeout=_LONG)
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            content, kind = message["content"], message["msg_type"]
            if kind == "stream":
                texts.append(content["text"])
            elif kind in ("display_data", "execute_result"):
                bundles.append(content["data"])
            elif kind == "error":
                texts.append("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=_LONG)
            if reply["parent_header"].get("msg_id") == msg_id:
                return "".join(texts), bundles, reply["content"]

    def run(self, source, cell_id=None):
        return self.finish(self.start(source, cell_id))

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.client.context.destroy(linger=0)


@contextmanager
def kernel(folder, **environ):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Kernel(folder, **environ)
    try:
        yield found
    finally:
        found.stop()


def opened(notebook):
    return kernel(notebook.parent, JPY_SESSION_NAME=str(notebook))
