"""Import papermill without a second of computing that nobody here needs.

papermill imports nbformat, and that imports jsonschema, which takes the grammar of international addresses from
`rfc3987_syntax` where it is installed (JupyterLab needs it). That package builds its parser when it is imported,
which takes longer than all the rest together. Here the parser is built when an address is first checked.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import types
from typing import Any

_GRAMMAR = "rfc3987_syntax"
_lock = threading.Lock()


class _LateGrammar(types.ModuleType):
    """Stands for the grammar while jsonschema is imported."""

    def is_valid_syntax(self, rule: str, text: str) -> bool:
        """Check an address: by now the real module can be imported."""
        valid: bool = importlib.import_module(_GRAMMAR).is_valid_syntax(rule, text)
        return valid


def papermill_engines() -> Any:
    """Return papermill's registry of engines, importing papermill; safe from several threads."""
    with _lock:
        if "jsonschema" not in sys.modules and _GRAMMAR not in sys.modules:
            sys.modules[_GRAMMAR] = _LateGrammar(_GRAMMAR)
            try:
                with contextlib.suppress(ImportError):
                    importlib.import_module("jsonschema")
            finally:
                del sys.modules[_GRAMMAR]
    from papermill.engines import papermill_engines as engines

    return engines
