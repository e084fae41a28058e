"""The options of `%job`, `%schedule`, `%sensor` and `%%sensor`: one table each, as for `%%asset`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from nbpipe.core.automation.checks import ENDINGS, check_selection
from nbpipe.core.automation.definitions import EVERY, TIMEOUT, Catchup
from nbpipe.core.automation.schedules import check_catchup, check_exclusion, check_moment
from nbpipe.core.keys import check_name
from nbpipe.core.partitions.zones import zone_of
from nbpipe.core.reading.options import (
    PARTITION_KINDS,
    Option,
    OptionTable,
    read_backoff,
    read_count,
    read_limit,
    read_pair,
    read_partitions,
    read_seconds,
    read_text,
)
from nbpipe.core.sizes import parse_memory
from nbpipe.errors import DeclarationError


def _parameter(word: str) -> tuple[str, str]:
    name, value = read_pair(word)
    check_name(name, "parameter")
    return name, value


def _selection(text: str) -> str:
    check_selection(text)
    return text


def _zone(word: str) -> str:
    zone_of(read_text(word))
    return word


def _moment(word: str) -> str:
    check_moment(word)
    return word


def _dates(word: str) -> tuple[str, ...]:
    dates = tuple(filter(None, word.split(",")))
    for each in dates:
        check_exclusion(each)
    return dates


def _catchup(word: str) -> Catchup:
    value: Catchup | str = int(word) if word.isascii() and word.isdigit() else word
    try:
        check_catchup(value)
    except DeclarationError:
        raise ValueError("none, last, all, or a whole number from 1") from None
    return cast("Catchup", value)


def _whole(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ValueError("a whole number") from None


def _ending(word: str) -> str:
    if word not in ENDINGS:
        raise ValueError(" or ".join(ENDINGS))
    return word


def _asset(word: str) -> str:
    check_name(word)
    return word


_STOPPED = Option(name="--stopped", field="stopped", arity="flag", help="off until somebody starts it")
_JOB = Option(name="--job", field="job", metavar="J", read=read_text, help="job to run")
_EVERY = Option(
    name="--every",
    field="every",
    metavar="S",
    read=read_limit,
    help=f"seconds between two looks, at least; {EVERY:g} unless given",
)

JOB_TABLE = OptionTable(
    "%job",
    (
        Option(
            name="--notebook",
            field="notebook",
            metavar="PATH",
            read=read_text,
            help="instead of SELECTION: run this notebook as a whole; the path starts here, or else from the root",
        ),
        Option(
            name="--param",
            field="parameters",
            metavar="K=V",
            arity="repeat",
            keyed=True,
            read=_parameter,
            help="value of a parameter of the notebooks; may be repeated",
        ),
        Option(
            name="--partitions",
            field="partitions",
            metavar="SPEC",
            extent="rest",
            read=read_partitions,
            choices=PARTITION_KINDS,
            help="partitions of the job itself, for example daily:2024-01-01; otherwise they are those of its assets",
        ),
        Option(
            name="--tag",
            field="tags",
            metavar="K=V",
            arity="repeat",
            keyed=True,
            read=read_pair,
            help="tag of its runs, which can be limited ([limits.tags]); may be repeated",
        ),
        Option(
            name="--retries",
            field="retries",
            metavar="N",
            read=read_count,
            help="how often a run that failed is tried again, from what failed",
        ),
        Option(
            name="--retry-delay",
            field="retry_delay",
            metavar="S",
            read=read_seconds,
            help="seconds before the first retry",
        ),
        Option(
            name="--backoff",
            field="backoff",
            metavar="exponential|linear",
            read=read_backoff,
            choices=("exponential", "linear"),
            help="how the delay grows from retry to retry",
        ),
        Option(name="--timeout", field="timeout", metavar="S", read=read_limit, help="seconds that a run may take"),
        Option(
            name="--memory",
            field="memory",
            metavar="SIZE",
            read=parse_memory,
            help="memory that each of its kernels may take, for example 4GB (on Linux)",
        ),
        Option(
            name="--priority",
            field="priority",
            metavar="N",
            read=_whole,
            help="waiting runs with a higher number start first; 0 unless given",
        ),
    ),
    rest="SELECTION",
    head=(
        "%job NAME SELECTION [options]",
        "%job NAME --notebook PATH [options]",
        "",
        "Declare a job, which schedules and sensors can run: the assets of a selection, or a whole notebook.",
    ),
)

SCHEDULE_TABLE = OptionTable(
    "%schedule",
    (
        _JOB,
        Option(
            name="--select",
            field="selection",
            metavar="SELECTION",
            extent="rest",
            read=_selection,
            help="instead of a job: assets to materialize",
        ),
        Option(
            name="--tz",
            field="zone",
            metavar="TZ",
            read=_zone,
            help="time zone, for example Europe/Berlin; UTC unless given",
        ),
        Option(
            name="--at",
            field="at",
            metavar="MOMENT",
            arity="repeat",
            read=_moment,
            help="once, for example 2024-12-31T18:00; instead of CRON or besides, may be repeated",
        ),
        Option(
            name="--exclude",
            field="exclude",
            metavar="DATE",
            arity="many",
            read=_dates,
            help="dates without a tick: 2024-12-24, or 12-24 for every year",
        ),
        Option(
            name="--catchup",
            field="catchup",
            metavar="none|last|all|N",
            read=_catchup,
            choices=("none", "last", "all"),
            help="which of the ticks missed while no daemon worked are made up for: the last unless given",
        ),
        _STOPPED,
    ),
    rest="CRON",
    head=(
        "%schedule NAME CRON (--job J | --select SELECTION) [options]",
        "",
        "Run a job, or materialize assets, at times. CRON has five fields (minute hour day month weekday), or six with",
        "seconds first: 0 6 * * 1-5. Several of them stand in quotes each: '0 6 * * *' '0 12 * * 6'.",
    ),
)

CELL_SENSOR_TABLE = OptionTable(
    "%%sensor",
    (
        _JOB,
        _EVERY,
        Option(
            name="--timeout",
            field="timeout",
            metavar="S",
            read=read_limit,
            help=f"seconds that one evaluation may take; {TIMEOUT:g} unless given",
        ),
        _STOPPED,
    ),
    head=(
        "%%sensor NAME --job J [options]",
        "",
        "Run a job whenever this cell says so: with a RunRequest, a list of them, or True. A PartitionsRequest(NAME,",
        "add=KEYS) in the list adds keys to dynamic:NAME first; a SkipReason(TEXT) says why there is nothing to do. It",
        "sees `cursor` (assign it to keep it), `context`, and the names of setup cells above.",
    ),
)

LINE_SENSOR_TABLE = OptionTable(
    "%sensor",
    (
        Option(
            name="--asset",
            field="assets",
            metavar="A",
            arity="many",
            read=_asset,
            help="run the job when one of these assets was materialized",
        ),
        Option(
            name="--on",
            field="statuses",
            metavar="success|failure|canceled",
            arity="many",
            read=_ending,
            choices=ENDINGS,
            help="when a run ended like this; runs of job J itself count only if --jobs names it",
        ),
        Option(
            name="--jobs",
            field="jobs",
            metavar="J",
            arity="many",
            read=read_text,
            help="with --on: runs of these jobs only",
        ),
        _JOB,
        Option(
            name="--notify",
            field="notify",
            metavar="N",
            arity="many",
            read=read_text,
            help="with --on: tell these ([notify.N])",
        ),
        _EVERY,
        _STOPPED,
    ),
    head=(
        "%sensor NAME --asset A ... --job J [options]",
        "%sensor NAME --on success|failure|canceled ... [--jobs J ...] (--job J | --notify N ...) [options]",
        "",
        "Run a job when assets were materialized, or when runs ended; or tell somebody how they ended.",
    ),
)

#: By the magic, with its mark.
AUTOMATION_TABLES: Mapping[str, OptionTable] = MappingProxyType(
    {table.magic: table for table in (JOB_TABLE, SCHEDULE_TABLE, CELL_SENSOR_TABLE, LINE_SENSOR_TABLE)}
)
