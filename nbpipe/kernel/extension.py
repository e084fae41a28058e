"""`%load_ext nbpipe` and `%unload_ext nbpipe`: what is added to a shell, and taken away again."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from nbpipe.kernel.async_cells import awaited_asset_cells
from nbpipe.kernel.completion import Completion
from nbpipe.kernel.magics import PipelineMagics
from nbpipe.kernel.sessions import Session, session_of, set_session

_PLACE = "nbpipe.extension"


class Extension:
    """Everything that the extension puts into one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        """Remember the shell and what our magics hide there."""
        self._shell = shell
        self._magics = PipelineMagics(shell)
        self._hidden: dict[str, dict[str, Any]] = {}
        self._completion = Completion(shell)

    def install(self) -> None:
        """Register magics, hooks, the transformer of asset cells that await, and completion."""
        shell = self._shell
        for kind, names in self._magics.magics.items():
            known = shell.magics_manager.magics[kind]
            self._hidden[kind] = {name: known[name] for name in names if name in known}
        shell.register_magics(self._magics)
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)
        shell.input_transformers_cleanup.append(awaited_asset_cells)
        shell.Completer.custom_matchers.append(self._completion.matcher)

    def remove(self) -> None:
        """Undo `install`."""
        shell = self._shell
        for kind, names in self._magics.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
            shell.magics_manager.magics[kind].update(self._hidden[kind])
        shell.events.unregister("pre_run_cell", self._before_cell)
        shell.events.unregister("post_run_cell", self._after_cell)
        shell.input_transformers_cleanup.remove(awaited_asset_cells)
        shell.Completer.custom_matchers.remove(self._completion.matcher)

    def _before_cell(self, info: ExecutionInfo) -> None:
        session = session_of(self._shell)
        if session is not None:
            session.before_cell(info)

    def _after_cell(self, result: ExecutionResult) -> None:
        session = session_of(self._shell)
        if session is not None:
            session.after_cell(result)


def load(shell: InteractiveShell, session: Session | None = None) -> None:
    """Install the extension if it is not there, and begin a session: a live one unless another is given.

    Loading it a second time keeps the session, so that Run All does not forget what this kernel knows.
    """
    if _PLACE not in shell.meta:
        extension = Extension(shell)
        extension.install()
        shell.meta[_PLACE] = extension
    if session is not None:
        set_session(shell, session)
    elif session_of(shell) is None:
        from nbpipe.kernel.live import LiveSession

        set_session(shell, LiveSession(shell))


def unload(shell: InteractiveShell) -> None:
    """Restore the shell as it was."""
    set_session(shell, None)
    extension = shell.meta.pop(_PLACE, None)
    if extension is not None:
        extension.remove()
