"""IPython's own translation of its syntax into Python, imported when the first cell needs it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.inputtransformer2 import TransformerManager


def ipython_transform(source: str) -> str:
    """Return a cell as IPython would hand it to Python, line for line.

    Raises:
        SyntaxError: IPython can't tell what is meant.
    """
    return _manager().transform_cell(source)


@cache
def _manager() -> TransformerManager:
    # importing IPython takes a fifth of a second: only notebooks with `%` or `!` lines pay for it, and only once
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager()  # type: ignore[no-untyped-call]
