"""A kernel as a person's: cells of a saved notebook, and how long the kernel worked on each."""

from __future__ import annotations

import os
from contextlib import contextmanager

from jupyter_client.manager import start_new_kernel


class PersonsKernel:
    """Executes cells as JupyterLab does: with their ids."""

    def __init__(self, client):
        self._client = client

    def run(self, code, cell_id):
        """Execute a cell; return the milliseconds between the kernel's own `busy` and `idle`, and the text shown.

        What the wire and the receiver take is not in it.
        """
        session = self._client.session
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = session.msg("execute_request", content | {"stop_on_error": True}, metadata={"cellId": cell_id})
        self._client.shell_channel.send(message)
        times, shown = {}, []
        while "idle" not in times:
            answer = self._client.get_iopub_msg(timeout=60)
            if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            about = answer["content"]
            if answer["msg_type"] == "status":
                times[about["execution_state"]] = answer["header"]["date"]
            elif answer["msg_type"] == "stream":
                shown.append(about["text"])
            assert answer["msg_type"] != "error", "\n".join(about["traceback"])
        return (times["idle"] - times["busy"]).total_seconds() * 1000, "".join(shown)


@contextmanager
def persons_kernel(notebook):
    """Start a kernel for a saved notebook, and end it."""
    environ = {**os.environ, "JPY_SESSION_NAME": str(notebook)}
    manager, client = start_new_kernel(cwd=str(notebook.parent), env=environ, stderr=-3)
    try:
        yield PersonsKernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
