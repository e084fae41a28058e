"""Completion of options and asset names on the lines of our magics."""

from __future__ import annotations

import re

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from nbpipe.core.reading.asset_options import complete_asset
from nbpipe.core.reading.declarations import DECLARING_LINE_MAGICS
from nbpipe.errors import NbpipeError
from nbpipe.kernel.declaring import complete_declaring
from nbpipe.kernel.sessions import session_of

_MAGIC = re.compile(r"(?:\s*|.*=\s*)(?P<mark>%{1,2})(?P<magic>\w+)[ \t](?P<rest>.*)", re.DOTALL)
_TAKES_NAMES = frozenset({"asset", "force", "materialize", "status", "lineage", "partitions", "why"})


class Completion:
    """Offers what may come next on the line of a magic."""

    def __init__(self, shell: InteractiveShell) -> None:
        """Complete for the session of one shell."""
        self._shell = shell

        # IPython marks matchers with attributes, which a method can't have.
        def matcher(context: CompletionContext) -> SimpleMatcherResult:
            return self._match(context)

        self.matcher = context_matcher()(matcher)

    def _match(self, context: CompletionContext) -> SimpleMatcherResult:
        match = _MAGIC.match(context.line_with_cursor[: context.cursor_position])
        if match is None or (match["mark"] == "%%" and context.cursor_line != 0):
            return {"completions": []}
        words = self._offer(match["mark"], match["magic"], match["rest"])
        found = [SimpleCompletion(text=word, type="nbpipe") for word in words]
        # the whole word is replaced, where IPython would take what follows the last `=` or `(`
        return {"completions": found, "suppress": bool(found), "matched_fragment": _last_word(match["rest"])}

    def _offer(self, mark: str, magic: str, rest: str) -> tuple[str, ...]:
        if mark + magic == "%%asset":
            return complete_asset(rest, self._assets())
        if magic in DECLARING_LINE_MAGICS:
            return complete_declaring(mark + magic, rest, self._assets())
        if mark == "%%":
            return ()
        current = _last_word(rest)
        if magic not in _TAKES_NAMES or current.startswith("-"):
            return ()
        return tuple(name for name in self._assets() if name.startswith(current))

    def _assets(self) -> list[str]:
        session = session_of(self._shell)
        try:
            return sorted(session.known_assets()) if session is not None else []
        except NbpipeError:
            return []


def _last_word(text: str) -> str:
    return "" if text[-1:].isspace() or not text else text.rsplit(maxsplit=1)[-1]
