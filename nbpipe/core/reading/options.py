"""Options of a declaring magic: a table of them drives parsing, the text of `--help`, suggestions and completion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import msgspec

Arity = Literal["one", "many", "repeat", "flag"]
"""`one`: one value, given once; `many`: all words up to the next option; `repeat`: one value each time; `flag`: none,
it is given or not."""

Extent = Literal["word", "brackets", "rest"]
"""How far a value goes. `word`: one word, its quotes taken off. The others are small languages with quotes of their
own, taken as written (without quotes around the whole): `brackets`: one word, and more as long as a bracket is open or
a comma comes last; `rest`: all words up to the next option."""

HELP = "--help"

#: Which partitions there are, for `--partitions`.
PARTITION_KINDS = ("hourly:", "daily:", "weekly:", "monthly:", "cron(", "static:", "dynamic:")

LONGEST = 1e9
"""Seconds; no duration is longer, so that adding it to a moment always gives one."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option of a magic."""

    name: str
    field: str
    """Name in what is declared."""
    metavar: str = ""
    help: str
    read: Callable[[str], Any] = str
    """Make the value from a word; raises ValueError with what was expected."""
    arity: Arity = "one"
    extent: Extent = "word"
    choices: tuple[str, ...] = ()
    keyed: bool = False
    """Its values are pairs, each of whose keys can be given once."""

    @property
    def usage(self) -> str:
        """Return how it is written, for example `--tag K=V`."""
        return f"{self.name} {self.metavar}".rstrip() + (" ..." if self.arity == "many" else "")


class OptionTable:
    """The options of one magic."""

    def __init__(self, magic: str, options: Iterable[Option], *, rest: str = "", head: tuple[str, ...] = ()) -> None:
        """Take a magic with its mark, and its options in the order of the usage.

        Args:
            magic: for example `%%asset`.
            options: all of them.
            rest: what words that belong to no option are, if there may be any; empty: there may not.
            head: the lines of `--help` above the options.
        """
        self.magic = magic
        self.options = tuple(options)
        self.rest = rest
        self._head = head

    @cached_property
    def by_name(self) -> Mapping[str, Option]:
        """The options by their names."""
        return MappingProxyType({option.name: option for option in self.options})

    def help(self) -> str:
        """Return the text of `--help`."""
        width = max(len(option.usage) for option in self.options)
        rows = [f"  {option.usage:<{width}}  {option.help}" for option in self.options]
        return "\n".join([*self._head, "", "Options:", *rows])

    def complete(self, line: str, known: Mapping[str, Collection[str]] = MappingProxyType({})) -> tuple[str, ...]:
        """Return what the last word of `line` (the text between the magic and the cursor) can become.

        Args:
            line: ends where the cursor is; after a blank, a new word begins.
            known: by field of an option: what its values can be, instead of its choices.
        """
        done, last = completing(line)
        options = [word for word in done if word.startswith("--")]
        if last.startswith("-"):
            used = {name for name in options if name in self.by_name and self.by_name[name].arity in ("one", "flag")}
            names = (option.name for option in self.options if option.name not in used)
            return tuple(sorted(name for name in (*names, HELP) if name.startswith(last)))
        option = self.by_name.get(options[-1]) if options else None
        if option is None or option.arity == "flag" or (option.arity != "many" and done[-1] != option.name):
            return ()
        found: Collection[str] = option.choices
        if option.field in known:
            found = [value for value in known[option.field] if value not in done]
        return tuple(name for name in found if name.startswith(last))


def completing(line: str) -> tuple[list[str], str]:
    """Return the words before the one that is being written, and that one; it is empty after a blank."""
    words = line.split()
    if not words or line[-1].isspace():
        return words, ""
    return words[:-1], words[-1]


def read_text(word: str) -> str:
    """Read a text that is not empty.

    Raises:
        ValueError: says what was expected.
    """
    if not word:
        raise ValueError("a text that is not empty")
    return word


def read_pair(word: str) -> tuple[str, str]:
    """Read `KEY=VALUE`.

    Raises:
        ValueError: says what was expected.
    """
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise ValueError("KEY=VALUE")
    return key, value


def read_partitions(text: str) -> str:
    """Read the SPEC of partitions; it is kept as it is written.

    Raises:
        ValueError: says what was expected.
    """
    from nbpipe.core.partitions.spec_syntax import parse_partitions

    parse_partitions(text)
    return text


def read_count(word: str) -> int:
    """Read a whole number from 0.

    Raises:
        ValueError: says what was expected.
    """
    if not (word.isascii() and word.isdigit()):
        raise ValueError("a whole number from 0")
    return int(word)


def read_seconds(word: str) -> float:
    """Read seconds, from 0.

    Raises:
        ValueError: says what was expected.
    """
    return _positive(word, "seconds, a number from 0", zero=True)


def read_limit(word: str) -> float:
    """Read seconds, more than 0.

    Raises:
        ValueError: says what was expected.
    """
    return _positive(word, "seconds, a number above 0")


def _positive(word: str, expected: str, *, zero: bool = False) -> float:
    try:
        number = float(word)
    except ValueError:
        number = -1.0
    if not (0 < number <= LONGEST or (zero and number == 0)):
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
    seconds = _positive(word[:-1], expected) * _UNITS[word[-1]]
    if seconds > LONGEST:
        raise ValueError(expected)
    return seconds


def read_backoff(word: str) -> str:
    """Read how a delay grows.

    Raises:
        ValueError: says what was expected.
    """
    if word not in ("exponential", "linear"):
        raise ValueError("exponential or linear")
    return word
