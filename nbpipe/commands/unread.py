"""Say of a listing that notebooks are missing from it."""

from __future__ import annotations

from nbpipe.commands.surface import current_surface
from nbpipe.commands.workspace import Workspace

_UNREAD = frozenset({"not-a-notebook", "not-json", "not-utf8", "unreadable", "unsupported-format"})


def say_unread(workspace: Workspace) -> None:
    """Name the notebooks that can't be read: what they declare is in no listing."""
    for each in workspace.definitions.diagnostics:
        if each.code in _UNREAD and each.severity == "error":
            current_surface().say(f"what {each.notebook} declares is left out: it {each.message}")
