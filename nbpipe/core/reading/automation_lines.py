"""The lines that declare jobs, schedules and sensors.

Grammar::

    %job NAME SELECTION option*             SELECTION: all words that belong to no option, as written
    %schedule NAME cron* option*            cron: five or six words, or several of them, each in quotes
    %sensor NAME option*
    %%sensor NAME option*                   and the body of the cell

What comes back is complete but for what only the whole project tells: paths of notebooks are as written, and names are
not looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from nbpipe.core.automation.checks import (
    check_automation_name,
    check_job,
    check_schedule,
    check_selection,
    check_sensor,
)
from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef
from nbpipe.core.automation.schedules import check_cron
from nbpipe.core.reading.automation_options import (
    AUTOMATION_TABLES,
    CELL_SENSOR_TABLE,
    JOB_TABLE,
    LINE_SENSOR_TABLE,
    SCHEDULE_TABLE,
)
from nbpipe.core.reading.option_lines import (
    OptionLine,
    Value,
    Word,
    as_written,
    asks_for_help,
    read_options,
    scan,
)
from nbpipe.core.reading.options import OptionTable
from nbpipe.errors import DeclarationError

AutomationDef: TypeAlias = JobDef | ScheduleDef | SensorDef


def parse_automation(magic: str, line: str) -> AutomationDef | None:
    """Read what follows a declaring magic on its line; None if it asks for help.

    Columns of errors count in `line`.

    Args:
        magic: with its mark: `%job`, `%schedule`, `%sensor` or `%%sensor`.
        line: the rest of the line.

    Raises:
        DeclarationError: unknown option (the nearest right one is named), missing or wrong value, or something that
            the job, schedule or sensor needs and does not have.
    """
    table = AUTOMATION_TABLES[magic]
    words = scan(line)
    if asks_for_help(words):
        return None
    name = _name(words, table)
    read = read_options(line, _without_other_form(words[1:], table), table)
    if table is JOB_TABLE:
        return _job(name, line, read)
    if table is SCHEDULE_TABLE:
        return _schedule(name, line, read)
    return _sensor(name, read, cell=table is CELL_SENSOR_TABLE)


def declared_name(line: str) -> str:
    """Return the name that a line declares, as far as it can be read; empty if it has none."""
    word = line.split(maxsplit=1)[0] if line.strip() else ""
    return "" if word.startswith("-") else word.strip("'\"")


def _name(words: Sequence[Word], table: OptionTable) -> str:
    what = table.magic.lstrip("%")
    if not words or words[0].option:
        raise DeclarationError(f"the {what} needs a name, before anything else", column=0)
    try:
        check_automation_name(words[0].text, what)
    except DeclarationError as error:
        raise DeclarationError(str(error), column=words[0].column) from None
    return words[0].text


def _without_other_form(words: Sequence[Word], table: OptionTable) -> Sequence[Word]:
    """Refuse options that only the other form of a sensor has."""
    other = {CELL_SENSOR_TABLE: LINE_SENSOR_TABLE, LINE_SENSOR_TABLE: CELL_SENSOR_TABLE}.get(table)
    if other is None:
        return words
    for word in words:
        name = word.text.partition("=")[0]
        if word.option and name in other.by_name and name not in table.by_name:
            raise DeclarationError(f"{name} is for {other.magic} only: take it out", column=word.column)
    return words


def _job(name: str, line: str, read: OptionLine) -> JobDef:
    values: dict[str, Any] = dict(read.values)
    if read.rest:
        selection = _whole(line, read.rest)
        _checked(check_selection, selection)
        values["selection"] = selection.text
    for field in ("parameters", "tags"):
        values[field] = tuple(sorted(values.get(field, ())))
    job = msgspec.convert({**values, "name": name}, JobDef)
    check_job(job)
    return job


def _schedule(name: str, line: str, read: OptionLine) -> ScheduleDef:
    values: dict[str, Any] = dict(read.values)
    values["exclude"] = tuple(dict.fromkeys(date for dates in values.get("exclude", ()) for date in dates))
    crons = _crons(line, read.rest)
    for cron in crons:
        _checked(check_cron, cron)
    schedule = msgspec.convert(
        {**values, "name": name, "crons": tuple(dict.fromkeys(c.text for c in crons))}, ScheduleDef
    )
    check_schedule(schedule)
    return schedule


def _sensor(name: str, read: OptionLine, *, cell: bool) -> SensorDef:
    kind = "cell" if cell else "run" if "statuses" in read.values and "assets" not in read.values else "asset"
    sensor = msgspec.convert({**read.values, "name": name, "kind": kind}, SensorDef)
    check_sensor(sensor)
    return sensor


def _crons(line: str, rest: Sequence[Word]) -> list[Value]:
    """Return the cron expressions among words: each quoted one, or all words together."""
    quoted = [word for word in rest if len(word.text.split()) > 1]
    if not quoted:
        return [_whole(line, rest)] if rest else []
    stray = next((word for word in rest if word not in quoted), None)
    if stray is not None:
        raise DeclarationError(
            f"unexpected word {stray.text!r}: of several cron expressions, each stands in quotes", column=stray.column
        )
    return [as_written(line, word.column, word.end) for word in quoted]


def _whole(line: str, rest: Sequence[Word]) -> Value:
    """Return all words that belong to no option as one text."""
    written = as_written(line, rest[0].column, rest[-1].end)
    between = line[rest[0].column : rest[-1].end]
    if len(scan(between)) == len(rest):
        return written
    texts = [line[word.column : word.end] for word in rest]  # options stand between them
    columns = [column for word in rest for column in (*range(word.column, word.end), word.end)]
    return Value(" ".join(texts), columns)


def _checked(check: Any, value: Value) -> None:
    """Check a text; where its error tells a column, tell that of the line."""
    try:
        check(value.text)
    except DeclarationError as error:
        raise DeclarationError(str(error), column=value.column(error.column)) from None
