"""The options of `%%asset`: one table drives parsing, the text of `--help`, suggestions and completion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from nbpipe.core.keys import check_name

Arity = Literal["one", "many", "repeat"]
"""`one`: one value, given once; `many`: all words up to the next option; `repeat`: one value each time."""

Extent = Literal["word", "brackets", "rest"]
"""How far a value goes. `word`: one word, its quotes taken off. The others are small languages with quotes of their
own, taken as written (without quotes around the whole): `brackets`: one word, and more as long as a bracket is open or
a comma comes last; `rest`: all words up to the next option."""

FILE_PREFIX = "file:"

#: `--backfill single`: one execution for all partitions.
SINGLE = "single"

#: Column of `--concat` that holds the partition's key, unless another is named.
KEY_COLUMN = "partition"

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option of `%%asset`."""

    name: str
    field: str
    """Name in `AssetOptions`."""
    metavar: str
    help: str
    read: Callable[[str], Any]
    """Make the value from a word; raises ValueError with what was expected."""
    arity: Arity = "one"
    extent: Extent = "word"
    choices: tuple[str, ...] = ()
    later: bool = False
    """Known, but this version can't do it."""

    @property
    def usage(self) -> str:
        """Return how it is written, for example `--tag K=V`."""
        return f"{self.name} {self.metavar}" + (" ..." if self.arity == "many" else "")


def _text(word: str) -> str:
    if not word:
        raise ValueError("a text that is not empty")
    return word


def _upstream(word: str) -> str:
    check_name(word, "upstream asset")
    return word


def _order(word: str) -> str:
    if word.startswith(FILE_PREFIX):
        if word == FILE_PREFIX:
            raise ValueError("a pattern after file:, for example file:data/*.csv")
        return word
    return _upstream(word)


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise ValueError("KEY=VALUE")
    return key, value


def _partitions(text: str) -> str:
    from nbpipe.core.partitions.spec_syntax import parse_partitions

    parse_partitions(text)
    return text


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


def _count(word: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise ValueError("a whole number from 0")
    return int(word)


def _seconds(word: str) -> float:
    return _positive(word, "seconds, a number from 0", zero=True)


def _limit(word: str) -> float:
    return _positive(word, "seconds, a number above 0")


def _positive(word: str, expected: str, *, zero: bool = False) -> float:
    try:
        number = float(word)
    except ValueError:
        number = -1.0
    if not (0 < number < float("inf") or (zero and number == 0)):
        raise ValueError(expected)
    return number


def parse_duration(word: str) -> float:
    """Return the seconds that `90s`, `30m`, `12h`, `1d` or `2w` stand for.

    Raises:
        ValueError: says what was expected.
    """
    expected = "a duration such as 90s, 30m, 12h, 1d or 2w"
    if word[-1:] not in _UNITS:
        raise ValueError(expected)
    return _positive(word[:-1], expected) * _UNITS[word[-1]]


def _backoff(word: str) -> str:
    if word not in ("exponential", "linear"):
        raise ValueError("exponential or linear")
    return word


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
        read=_partitions,
        choices=("hourly:", "daily:", "weekly:", "monthly:", "cron(", "static:", "dynamic:"),
        help="partitions, for example daily:2024-01-01, or date=daily:2024-01-01 x region=static:eu,us",
    ),
    Option(
        name="--map",
        field="map",
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
        metavar="UPSTREAM[=COLUMN]",
        arity="repeat",
        read=_concat,
        help="several partitions of an upstream asset as one table, with their keys in COLUMN (partition); "
        "may be repeated",
    ),
    Option(name="--io", field="io", metavar="NAME", read=_text, help="I/O manager that keeps the value ([io.NAME])"),
    Option(name="--group", field="group", metavar="G", read=_text, help="group to show and select it by (group:G)"),
    Option(
        name="--tag",
        field="tags",
        metavar="K=V",
        arity="repeat",
        read=_pair,
        help="tag to select it by (tag:K=V); may be repeated",
    ),
    Option(name="--owner", field="owners", metavar="O", arity="repeat", read=_text, help="owner; may be repeated"),
    Option(
        name="--kind",
        field="kinds",
        metavar="K",
        arity="repeat",
        read=_text,
        help="kind of thing, for example table; may be repeated",
    ),
    Option(
        name="--description",
        field="description",
        metavar="T",
        read=_text,
        help='description ("in quotes"); else the comment that opens the cell, else the text above it',
    ),
    Option(
        name="--metadata",
        field="metadata",
        metavar="K=V",
        arity="repeat",
        read=_pair,
        help="fact to show with it; may be repeated",
    ),
    Option(name="--retries", field="retries", metavar="N", read=_count, help="how often to try again after a failure"),
    Option(
        name="--retry-delay", field="retry_delay", metavar="S", read=_seconds, help="seconds before the first retry"
    ),
    Option(
        name="--backoff",
        field="backoff",
        metavar="exponential|linear",
        read=_backoff,
        choices=("exponential", "linear"),
        help="how the delay grows from retry to retry",
    ),
    Option(name="--timeout", field="timeout", metavar="S", read=_limit, help="seconds that one execution may take"),
    Option(
        name="--fresh-for",
        field="fresh_for",
        metavar="DUR",
        read=parse_duration,
        help="stale after this time, for example 12h, though nothing that nbpipe watches changed",
    ),
    Option(
        name="--pool", field="pool", metavar="P", read=_text, later=True, help="pool that limits how many run at once"
    ),
    Option(
        name="--backfill",
        field="backfill",
        metavar="single|N",
        read=_batch,
        choices=(SINGLE,),
        help="how many partitions one execution, and one run of a backfill, takes",
    ),
)

#: The same by their names.
BY_NAME: Mapping[str, Option] = MappingProxyType({option.name: option for option in ASSET_OPTIONS})
HELP = "--help"


def asset_help() -> str:
    """Return the text of `%%asset --help`."""
    width = max(len(option.usage) for option in ASSET_OPTIONS)
    rows = [
        f"  {option.usage:<{width}}  {option.help}" + (" (not available in this version)" if option.later else "")
        for option in ASSET_OPTIONS
    ]
    head = (
        "%%asset [NAME ...] [options]",
        "",
        "Make an asset of this cell: its value is stored under NAME and computed again only when something that it",
        "depends on has changed. Without a NAME, the last variable that the cell assigns is the asset.",
        "",
        "Options:",
    )
    return "\n".join([*head, *rows])


def complete_asset(line: str, assets: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what the last word of `line` (the text between `%%asset` and the cursor) can become.

    Args:
        line: ends where the cursor is; after a blank, a new word begins.
        assets: known assets, for the options that take them.
    """
    done, last = _completing(line)
    options = [word for word in done if word.startswith("--")]
    if last.startswith("-"):
        used = {name for name in options if name in BY_NAME and BY_NAME[name].arity == "one"}
        names = (option.name for option in ASSET_OPTIONS if not option.later and option.name not in used)
        return tuple(sorted(name for name in (*names, HELP) if name.startswith(last)))
    option = BY_NAME.get(options[-1]) if options else None
    if option is None or (option.arity != "many" and done[-1] != option.name):
        return ()
    found: Collection[str] = option.choices
    if option.field in ("deps", "use", "concat"):
        found = sorted(set(assets) - set(done))
    elif option.field == "map":
        found = _mappings(option, assets, last)
    return tuple(name for name in found if name.startswith(last))


def _mappings(option: Option, assets: Iterable[str], last: str) -> list[str]:
    """Return what an unfinished `UPSTREAM=MAPPING` can become: an asset first, then a mapping."""
    upstream, equals, _ = last.partition("=")
    if equals:
        return [f"{upstream}={choice}" for choice in option.choices]
    return [f"{name}=" for name in sorted(assets)]


def _completing(line: str) -> tuple[list[str], str]:
    words = line.split()
    if not words or line[-1].isspace():
        return words, ""
    return words[:-1], words[-1]
