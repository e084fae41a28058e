"""Show errors where the person wrote the line: without our own frames between the cell and its body."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType

from IPython.core.error import UsageError as IPythonUsageError
from IPython.core.interactiveshell import InteractiveShell

from nbpipe.errors import NbpipeError, UsageError
from nbpipe.pages.faces import in_notebook


def start_at(shell: InteractiveShell, error: BaseException, filename: str, hint: str = "") -> None:
    """Let IPython show the traceback of `error` from the first frame of `filename` on, and a hint below it."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != filename:
        trace = trace.tb_next
    if trace is None:
        return

    def render() -> list[str]:
        lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)
        return [*lines, hint] if hint else lines

    _render_by(error, render)


def show_below(error: BaseException, first: BaseException) -> None:
    """Let IPython show one error as a line below the traceback of another."""
    render = getattr(first, "_render_traceback_", None)
    above: list[str] = render() if render is not None else [f"{type(first).__name__}: {first}"]
    _render_by(error, lambda: [*above, "", f"{type(error).__name__}: {error}"])


def failed_line(error: BaseException, shell: InteractiveShell) -> int:
    """Return the 1-based line of the cell on which it stopped with `error`."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_globals is shell.user_ns and frame.f_code.co_name == "<module>":
            return trace.tb_lineno
        trace = trace.tb_next
    return 1


@contextlib.contextmanager
def own_errors() -> Iterator[None]:
    """Show our own errors by their message alone: it says what, where and what to do."""
    __tracebackhide__ = True
    try:
        yield
    except UsageError as error:
        raise IPythonUsageError(in_notebook(str(error))) from error
    except NbpipeError as error:
        message = in_notebook(f"{type(error).__name__}: {error}")
        _render_by(error, lambda: [message])
        raise


def _render_by(error: BaseException, render: object) -> None:
    # IPython asks an exception for this method before it formats a traceback itself.
    with contextlib.suppress(AttributeError):
        error._render_traceback_ = render  # type: ignore[attr-defined]
