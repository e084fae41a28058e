"""What is said of assets whose declaration can't be read: then nobody knows what is stored of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from nbpipe.core.definitions import Diagnostic
from nbpipe.core.reading.notebooks import UNREADABLE
from nbpipe.core.reasons import NEVER, NEWER
from nbpipe.core.staleness import Assessment

_WRONG = ("is missing", NEWER)
"""What is said of an upstream that seems to have no value, or another one."""
_RIGHT = "has a declaration that can't be read"


class Unreadable:
    """The assets whose options can't be read."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Find them among what is wrong with a project."""
        self.errors = {
            asset: each.message.partition("\n")[0]
            for each in diagnostics
            if each.code == UNREADABLE
            for asset in each.assets
        }
        """Why, by asset."""

    def retold(self, found: Mapping[str, Assessment]) -> dict[str, Assessment]:
        """Return assessments that give the cause, instead of what seems to follow."""
        return {key: self._retold(key, each) for key, each in found.items()} if self.errors else dict(found)

    def reason(self, text: str) -> str:
        """Return a reason that may be about one of them, with the cause."""
        for key in self.errors:
            for wrong in _WRONG:
                text = text.replace(f"upstream {key} {wrong}", f"upstream {key} {_RIGHT}")
        return text

    def _retold(self, key: str, found: Assessment) -> Assessment:
        reasons = tuple(map(self.reason, found.reasons))
        if key in self.errors and NEVER in reasons:
            reasons = tuple(self.errors[key] if reason == NEVER else reason for reason in reasons)
        return found if reasons == found.reasons else msgspec.structs.replace(found, reasons=reasons)
