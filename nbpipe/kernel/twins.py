"""Python twins of the magics that are about the running kernel."""

from __future__ import annotations

from IPython.core.getipython import get_ipython

from nbpipe.errors import RefusedError
from nbpipe.kernel.sessions import session_of


def force(*assets: str) -> None:
    """Let the next run of the cells of these assets execute them, also if nothing changed; see `%force`.

    Within a run this does nothing: what executes there is what was selected.

    Args:
        assets: assets of this notebook; without any, all of them.

    Raises:
        RefusedError: the extension is not loaded here.
        UnknownNameError: there is no such asset in this notebook.
    """
    shell = get_ipython()
    session = None if shell is None else session_of(shell)
    if session is None:
        raise RefusedError("nbpipe.force works in a notebook: run %load_ext nbpipe first")
    if not session.in_step:
        session.force(assets)
