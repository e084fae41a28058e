"""The options of `%%asset`: one table drives parsing, the text of `--help`, suggestions and completion."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nbpipe.core.keys import check_name
from nbpipe.core.reading.options import (
    PARTITION_KINDS,
    Option,
    OptionTable,
    completing,
    parse_duration,
    read_backoff,
    read_count,
    read_limit,
    read_pair,
    read_partitions,
    read_seconds,
    read_text,
)

FILE_PREFIX = "file:"

#: `--backfill single`: one run for all partitions.
SINGLE = "single"

#: Column of `--concat` that holds the partition's key, unless another is named.
KEY_COLUMN = "partition"


def _upstream(word: str) -> str:
    check_name(word, "upstream asset")
    return word


def _order(word: str) -> str:
    if word.startswith(FILE_PREFIX):
        if word == FILE_PREFIX:
            raise ValueError("a pattern after file:, for example file:data/*.csv")
        return word
    return _upstream(word)


def _mapping(text: str) -> tuple[str, str]:
    from nbpipe.core.partitions.mapping_syntax import parse_map

    upstream, _ = parse_map(text)
    return _upstream(upstream), text.partition("=")[2].strip()


def _concat(word: str) -> tuple[str, str]:
    upstream, equals, column = word.partition("=")
    if not upstream or (equals and not column):
        raise ValueError("UPSTREAM or UPSTREAM=COLUMN")
    return _upstream(upstream), column or KEY_COLUMN


def _batch(word: str) -> str:
    if word == SINGLE:
        return word
    if not (word.isascii() and word.isdigit() and int(word)):
        raise ValueError("single, or a whole number from 1")
    return str(int(word))


#: Every option of `%%asset`, in the order of the usage.
ASSET_OPTIONS: tuple[Option, ...] = (
    Option(
        name="--deps",
        field="deps",
        metavar="A",
        arity="many",
        read=_order,
        help="assets that come first but are not loaded; file:GLOB watches files",
    ),
    Option(
        name="--use",
        field="use",
        metavar="A",
        arity="many",
        read=_upstream,
        help="assets that are loaded and bound though no name in the cell shows it",
    ),
    Option(
        name="--partitions",
        field="partitions",
        metavar="SPEC",
        extent="rest",
        read=read_partitions,
        choices=PARTITION_KINDS,
        help="partitions, for example daily:2024-01-01, or date=daily:2024-01-01 x region=static:eu,us",
    ),
    Option(
        name="--map",
        field="map",
        keyed=True,
        metavar="UPSTREAM=MAPPING",
        arity="repeat",
        extent="brackets",
        read=_mapping,
        choices=("identity", "all", "latest", "window", "offset(", "keys(", "static("),
        help="which partitions of an upstream asset a partition reads, for example orders=offset(-1); may be repeated",
    ),
    Option(
        name="--concat",
        field="concat",
        keyed=True,
        metavar="UPSTREAM[=COLUMN]",
        arity="repeat",
        read=_concat,
        help="several partitions of an upstream asset as one table, with their keys in COLUMN (partition); "
        "may be repeated",
    ),
    Option(
        name="--io", field="io", metavar="NAME", read=read_text, help="I/O manager that keeps the value ([io.NAME])"
    ),
    Option(name="--group", field="group", metavar="G", read=read_text, help="group to show and select it by (group:G)"),
    Option(
        name="--tag",
        field="tags",
        keyed=True,
        metavar="K=V",
        arity="repeat",
        read=read_pair,
        help="tag to select it by (tag:K=V); may be repeated",
    ),
    Option(name="--owner", field="owners", metavar="O", arity="repeat", read=read_text, help="owner; may be repeated"),
    Option(
        name="--kind",
        field="kinds",
        metavar="K",
        arity="repeat",
        read=read_text,
        help="kind of thing, for example table; may be repeated",
    ),
    Option(
        name="--description",
        field="description",
        metavar="T",
        read=read_text,
        help='description ("in quotes"); else the comment that opens the cell, else the text above it',
    ),
    Option(
        name="--metadata",
        field="metadata",
        keyed=True,
        metavar="K=V",
        arity="repeat",
        read=read_pair,
        help="fact to show with it; may be repeated",
    ),
    Option(
        name="--retries", field="retries", metavar="N", read=read_count, help="how often to try again after a failure"
    ),
    Option(
        name="--retry-delay", field="retry_delay", metavar="S", read=read_seconds, help="seconds before the first retry"
    ),
    Option(
        name="--backoff",
        field="backoff",
        metavar="exponential|linear",
        read=read_backoff,
        choices=("exponential", "linear"),
        help="how the delay grows from retry to retry",
    ),
    Option(name="--timeout", field="timeout", metavar="S", read=read_limit, help="seconds that one execution may take"),
    Option(
        name="--fresh-for",
        field="fresh_for",
        metavar="DUR",
        read=parse_duration,
        help="stale after this time, for example 12h, though nothing that nbpipe watches changed",
    ),
    Option(
        name="--pool",
        field="pool",
        metavar="P",
        read=read_text,
        help="pool of which a run takes a place while it lasts; [limits.pools] says how many it has, else one",
    ),
    Option(
        name="--backfill",
        field="backfill",
        metavar="single|N",
        read=_batch,
        choices=(SINGLE,),
        help="how many partitions a run of a backfill takes: one by one, or at once if the cell reads partition.keys",
    ),
)

#: All that there is to know of them.
ASSET_TABLE = OptionTable(
    "%%asset",
    ASSET_OPTIONS,
    head=(
        "%%asset [NAME ...] [options]",
        "",
        "Make an asset of this cell: its value is stored under NAME and computed again only when something that it",
        "depends on has changed. Without a NAME, the last variable that the cell assigns is the asset.",
        "",
        "With --partitions, a cell that reads partition.key is executed for each partition, and a dict is a value like",
        "any other. A cell that reads partition.keys is executed for many at once, and gives a dict {key: value}.",
    ),
)


def asset_help() -> str:
    """Return the text of `%%asset --help`."""
    return ASSET_TABLE.help()


def complete_asset(line: str, assets: Collection[str] = ()) -> tuple[str, ...]:
    """Return what the last word of `line` (the text between `%%asset` and the cursor) can become.

    Args:
        line: ends where the cursor is; after a blank, a new word begins.
        assets: known assets, for the options that take them.
    """
    _, last = completing(line)
    mappings = _mappings(ASSET_TABLE.by_name["--map"], assets, last)
    names = sorted(assets)
    return ASSET_TABLE.complete(line, {"deps": names, "use": names, "concat": names, "map": mappings})


def _mappings(option: Option, assets: Iterable[str], last: str) -> list[str]:
    """Return what an unfinished `UPSTREAM=MAPPING` can become: an asset first, then a mapping."""
    upstream, equals, _ = last.partition("=")
    if equals:
        return [f"{upstream}={choice}" for choice in option.choices]
    return [f"{name}=" for name in sorted(assets)]
