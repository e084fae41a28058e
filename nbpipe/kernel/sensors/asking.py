"""Execute the body of a sensor's cell once, and read what its value means."""

from __future__ import annotations

import asyncio
import importlib
import re
import threading
import types
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple

import msgspec
from IPython.core.interactiveshell import InteractiveShell

from nbpipe import clock
from nbpipe.core.automation.evaluations import LONGEST_CURSOR, Evaluated, Evaluation, Program, packed
from nbpipe.core.automation.requests import Answer, read_answer
from nbpipe.core.reading.declarations import split_cell
from nbpipe.core.reading.names import analyze
from nbpipe.core.resolving.sensor_bodies import CURSOR, PROVIDED
from nbpipe.core.runs.tasks import encoded
from nbpipe.errors import DefinitionError
from nbpipe.kernel.bodies import Body
from nbpipe.kernel.namespaces import body_module
from nbpipe.kernel.redaction import told_error
from nbpipe.kernel.sensors.context import SensorContext
from nbpipe.kernel.shells import transformer
from nbpipe.kernel.tracebacks import start_at
from nbpipe.settings import blotted, secret_values

#: Analysing a body takes longer than most of them.
_AWAITING = re.compile(r"\b(await|async)\b")


class Asked(NamedTuple):
    """What a sensor said."""

    answer: Answer
    cursor: str | None


def evaluated(shell: InteractiveShell, evaluation: Evaluation, names: Mapping[str, Any]) -> Evaluated:
    """Ask a sensor, and return what came of it whatever that is.

    Args:
        shell: the shell in which the notebook's setup cells were executed.
        evaluation: whom to ask.
        names: of setup cells, as the body sees them.
    """
    began = clock.monotonic()
    try:
        asked = ask(shell, evaluation, names)
    except BaseException as error:  # noqa: BLE001 - whatever a person's code raises, also when it wants to exit
        found = failed(evaluation, placed(evaluation.program, error))
    else:
        found = Evaluated(id=evaluation.id, status="answered", answer=packed(asked.answer), cursor=asked.cursor)
    return msgspec.structs.replace(without_secrets(found, evaluation), seconds=clock.monotonic() - began)


def ask(shell: InteractiveShell, evaluation: Evaluation, names: Mapping[str, Any]) -> Asked:
    """Execute the body and read its value.

    Raises:
        DefinitionError: the value means nothing, or the cursor is no text.
        Exception: whatever the body raises.
    """
    __tracebackhide__ = True
    program = evaluation.program
    split = split_cell(program.source)
    body = Body(shell, split.body, first_line=split.first_line, cell=program.source)
    before = {
        **_Provided(),
        **names,
        CURSOR: evaluation.cursor,
        "context": SensorContext(program.sensor, evaluation.last_tick_at),
    }
    module = body_module(before)
    try:
        value = _run(shell, body, split.body, module)
    except BaseException as error:
        start_at(shell, error, body.filename)
        raise
    after = vars(module)
    own = after.get(program.sensor, before.get(program.sensor))
    if program.sensor in after and own is not before.get(program.sensor):
        value = own
    return Asked(read_answer(value), _kept(after.get(CURSOR)))


def failed(evaluation: Evaluation, error: str) -> Evaluated:
    """Return that a sensor could not answer."""
    return Evaluated(id=evaluation.id, status="failed", error=error)


def placed(program: Program, error: BaseException) -> str:
    """Return an error in words, with the line of the sensor's cell that it comes from."""
    line = _line(error, split_cell(program.source).first_line)
    where = f"{program.notebook}, cell {program.index + 1}{f', line {line}' if line else ''}"
    if isinstance(error, DefinitionError):
        return f"{where}: {error}"
    return f"{where}: {told_error(error, ())}"


def without_secrets(found: Evaluated, evaluation: Evaluation) -> Evaluated:
    """Return what came of an evaluation with the values of configured secrets blotted out."""
    secrets = secret_values(evaluation.secrets)
    if not secrets:
        return found
    return msgspec.convert(blotted(msgspec.json.decode(encoded(found)), secrets), Evaluated)


class _Provided(dict[str, Any]):
    """What a body sees of nbpipe without importing it."""

    def __init__(self) -> None:
        nbpipe = importlib.import_module("nbpipe")
        super().__init__({name: getattr(nbpipe, name) for name in PROVIDED if name != "nbpipe"}, nbpipe=nbpipe)


def _run(shell: InteractiveShell, body: Body, source: str, module: types.ModuleType) -> Any:
    __tracebackhide__ = True
    if _AWAITING.search(source) and analyze(source, transform=transformer(shell)).awaits:
        return _awaited(body.run_async(module))
    return body.run(module)


def _awaited(body: Coroutine[Any, Any, Any]) -> Any:
    """Wait for a body with `await`; in a person's kernel, whose own loop is running, in another thread."""
    __tracebackhide__ = True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(body)
    found: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            found.append(asyncio.run(body))
        except BaseException as error:  # noqa: BLE001 - handed on
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


def _kept(cursor: object) -> str | None:
    if cursor is not None and not isinstance(cursor, str):
        text = repr(cursor)
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        raise DefinitionError(
            f"cursor is {shown} ({type(cursor).__name__}): it is kept as text, so write cursor = str(...), or "
            "json.dumps(...)"
        )
    if cursor is not None and len(cursor) > LONGEST_CURSOR:
        raise DefinitionError(f"the cursor has {len(cursor):,} characters: at most {LONGEST_CURSOR:,} are kept")
    return cursor


def _line(error: BaseException, first_line: int) -> int:
    """Return the line of the cell that an error comes from, or 0."""
    if isinstance(error, SyntaxError) and error.lineno is not None and error.__traceback__ is not None:
        return error.lineno if error.lineno >= first_line else 0
    trace, found = error.__traceback__, 0
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == "<module>" and frame.f_globals.get(CURSOR, frame) is not frame:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
