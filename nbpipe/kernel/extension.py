"""`%load_ext nbpipe` and `%unload_ext nbpipe`: what is added to a shell, and taken away again."""

from __future__ import annotations

import contextlib
from typing import Any

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from nbpipe.kernel.asset_syntax import rewritten_asset_cells
from nbpipe.kernel.completion import Completion
from nbpipe.kernel.magics import PipelineMagics
from nbpipe.kernel.sayings import warn
from nbpipe.kernel.sessions import Session, session_of, set_session
from nbpipe.kernel.tracebacks import own_errors

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
        """Register magics, hooks, the transformer of asset cells, and completion."""
        shell = self._shell
        for kind, names in self._magics.magics.items():
            known = shell.magics_manager.magics[kind]
            self._hidden[kind] = {name: known[name] for name in names if name in known}
        shell.register_magics(self._magics)
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)
        shell.input_transformers_cleanup.append(rewritten_asset_cells)
        shell.Completer.custom_matchers.append(self._completion.matcher)

    def remove(self) -> None:
        """Undo `install`."""
        shell = self._shell
        for kind, names in self._magics.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
            shell.magics_manager.magics[kind].update(self._hidden[kind])
        shell.magics_manager.registry.pop(type(self._magics).__name__, None)
        with contextlib.suppress(ValueError):  # somebody has reset them
            shell.events.unregister("pre_run_cell", self._before_cell)
            shell.events.unregister("post_run_cell", self._after_cell)
        for installed, own in (
            (shell.input_transformers_cleanup, rewritten_asset_cells),
            (shell.Completer.custom_matchers, self._completion.matcher),
        ):
            if own in installed:
                installed.remove(own)

    def _before_cell(self, info: ExecutionInfo) -> None:
        self._tell("before_cell", info)

    def _after_cell(self, result: ExecutionResult) -> None:
        self._tell("after_cell", result)

    def _tell(self, what: str, about: ExecutionInfo | ExecutionResult) -> None:
        """Let the session know of a cell; whatever goes wrong there is no error of that cell."""
        session = session_of(self._shell)
        if session is None:
            return
        try:
            getattr(session, what)(about)
        except Exception as error:  # noqa: BLE001 - it must not show as a failure of the person's cell
            warn(f"{type(error).__name__}: {error}")


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

        with own_errors():
            set_session(shell, LiveSession(shell))


def unload(shell: InteractiveShell) -> None:
    """Restore the shell as it was."""
    set_session(shell, None)
    extension = shell.meta.pop(_PLACE, None)
    if extension is not None:
        extension.remove()
