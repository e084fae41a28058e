"""What `nbpipe.toml`, or `[tool.nbpipe]` in `pyproject.toml`, says.

`[env.NAME]` overrides any table, key by key, when that environment is chosen. Text such as `${NAME}` is kept as
it is: it is resolved only inside the process that needs the value.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import msgspec

from nbpipe.core.runs.tasks import RECORD_SIZE
from nbpipe.core.sizes import parse_size
from nbpipe.errors import ConfigError, nearest
from nbpipe.loading.automation_tables import Job, Keep, Memory, Notify, Schedule, Sensor, Texts
from nbpipe.loading.roots import PYPROJECT, STATE_FOLDER, config_file, default_state
from nbpipe.settings import references_in

if TYPE_CHECKING:  # loaded where there are jobs
    from nbpipe.core.automation.queue import QueueLimits
    from nbpipe.core.resolving.declared import Configured

DEFAULT_ENVIRONMENT = "default"

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PASSWORD = re.compile(r"://[^/@:]*:(?P<password>[^@/]+)@")
_SQLITE = re.compile(r"(?P<start>sqlite(?:\+\w+)?:///)(?P<path>[^?]+)(?P<options>\?.*)?", re.DOTALL)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)")
_REFERENCE = "${"
_NO_CHOICE = "Invalid enum value"
_DAY = 86_400.0


class Size(int):
    """A number of bytes; in the file also text such as `50 MB`."""

    @classmethod
    def read(cls, value: Any) -> Size:
        """Return what a value of the file means.

        Raises:
            ValueError: it is none.
        """
        with contextlib.suppress(ValueError):
            if isinstance(value, str):
                return cls(parse_size(value))
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return cls(value)
        raise ValueError(f"expected bytes or text such as '50 MB', got {value!r}")


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """`[locations.NAME]`: notebooks that share one kernel, which is one Python environment."""

    notebooks: tuple[str, ...] = ("**/*.ipynb",)
    """Patterns relative to the root; `**` stands for any folders."""
    kernel: str | None = None
    """Name of the kernelspec that runs them; without it, each notebook's own."""


class Executor(msgspec.Struct, frozen=True, kw_only=True):
    """`[executor]`: how runs are carried out."""

    parallel: Annotated[int, msgspec.Meta(ge=1)] = 4
    """Steps of a run that may execute at once."""
    kernels: Literal["warm", "plain"] = "warm"
    """Where kernels come from: forks of a warm process, on Linux and where there is one; or fresh ones."""
    memory: Memory | None = None
    """Bytes that each kernel may take, on Linux; None: as much as there is. A job may say something else."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`[limits]`: what may grow no further."""

    record_size: Size = Size(RECORD_SIZE)
    """Output in one executed notebook; what is cut is said in it."""
    runs: Annotated[int, msgspec.Meta(ge=1)] = 10
    """Runs that may be active at once."""
    tags: Mapping[str, Annotated[int, msgspec.Meta(ge=1)]] = _NOTHING
    """Of those with a tag `KEY=VALUE`, or `KEY=*` for each of its values."""
    pools: Mapping[str, Annotated[int, msgspec.Meta(ge=1)]] = _NOTHING
    """Of those that need a pool, by its name; one that is not named here has one place."""

    @property
    def queue(self) -> QueueLimits:
        """How many runs may be active at once."""
        from nbpipe.core.automation.queue import QueueLimits

        return QueueLimits(runs=self.runs, tags=self.tags, pools=self.pools)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """`[retention]`: how long things are kept."""

    values: Annotated[int, msgspec.Meta(ge=1)] = 3
    """Newest values kept of each asset or partition."""
    runs: Keep = Keep(seconds=365 * _DAY)
    """What is known of runs that have ended."""
    records: Keep = Keep(seconds=90 * _DAY)
    """Executed notebooks."""
    ticks: Keep = Keep(seconds=30 * _DAY)
    """History of schedules and sensors."""


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of the file, defaults filled in."""

    state: str | None = None
    storage: str | None = None
    locations: Mapping[str, Location] = _NOTHING
    io: Mapping[str, Mapping[str, Any]] = _NOTHING
    jobs: Mapping[str, Job] = _NOTHING
    schedules: Mapping[str, Schedule] = _NOTHING
    sensors: Mapping[str, Sensor] = _NOTHING
    notify: Mapping[str, Notify] = _NOTHING
    executor: Executor = Executor()
    limits: Limits = Limits()
    retention: Retention = Retention()

    @property
    def has_automation(self) -> bool:
        """Something here starts runs without a person, or tells of them."""
        return bool(self.jobs or self.schedules or self.sensors or self.notify)


class Config(Tables, frozen=True, kw_only=True):
    """The configuration of a project in one environment."""

    env: str = DEFAULT_ENVIRONMENT
    file: str | None = None
    """The file that it was read from; None: there is none, and all is default."""
    references: tuple[str, ...] = ()
    """Each `${NAME}` in the file, wherever it stands, also for other environments; sorted."""

    def configured(self) -> Configured | None:
        """Return the jobs, schedules, sensors and notifications; None if there are none."""
        if not self.has_automation:
            return None
        from nbpipe.loading.automation import configured

        return configured(self, self.file or "")

    def state_url(self, root: Path) -> str:
        """Return the SQLAlchemy URL of the state store; a relative SQLite path is taken from `root`.

        References such as `${NAME}` are left as they are.
        """
        if self.state is None:
            return f"sqlite:///{default_state(root)}"
        sqlite = _SQLITE.fullmatch(self.state)
        if sqlite is None or sqlite["path"].startswith((_REFERENCE, ":memory:", "file:")):
            return self.state
        return f"{sqlite['start']}{_absolute(root, sqlite['path'])}{sqlite['options'] or ''}"

    def storage_url(self, root: Path) -> str:
        """Return the fsspec URL, or the absolute path, under which values are kept.

        A relative path is taken from `root`. References such as `${NAME}` are left as they are.
        """
        if self.storage is None:
            return str(root / STATE_FOLDER / "values")
        if _URL.match(self.storage) or self.storage.startswith(_REFERENCE):
            return self.storage
        return _absolute(root, self.storage)


#: Known parts of the contract that this version can't do yet: refused, never ignored.
_LATER: Mapping[type[msgspec.Struct], frozenset[str]] = {
    Tables: frozenset({"resources"}),
    Location: frozenset({"modules"}),
}


def load_config(root: Path, env: str = DEFAULT_ENVIRONMENT) -> Config:
    """Read the configuration of the project at `root` for one environment.

    Raises:
        ConfigError: the file can't be read, has an unknown key or a wrong type or value, or knows no such environment.
    """
    file = config_file(root)
    if _ENVIRONMENT.fullmatch(env) is None:
        raise ConfigError(f"environment {env!r}: use letters, digits and _ . - only")
    if file is None:
        return Config(env=env)
    tables = _read(file)
    references = references_in(tables)
    environments = tables.pop("env", {})
    if not isinstance(environments, dict):
        raise _problem(file, "env", "expected tables [env.NAME]")
    chosen = _tables(tables, file, "")
    for name, changes in environments.items():
        if _ENVIRONMENT.fullmatch(name) is None:
            raise _problem(file, f"env.{name}", "names of environments are made of letters, digits and _ . -")
        _tables(changes, file, f"env.{name}")  # also those not chosen: a mistake shows before it is needed
    if environments and env not in environments and env != DEFAULT_ENVIRONMENT:
        raise ConfigError(f"{file.name} has no environment {env!r}{_hint(env, environments)}")
    if env in environments:
        chosen = _tables(_merged(tables, environments[env]), file, "")
    if chosen.has_automation:
        from nbpipe.loading.automation import check_complete

        check_complete(chosen, lambda path, message: _problem(file, path, message))
    return Config(**msgspec.structs.asdict(chosen), env=env, file=file.name, references=references)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        tables = _parsed(text) if text.strip() else {}
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror or error}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{file} is not TOML: {error}") from error
    if file.name != PYPROJECT:
        return tables
    own = tables["tool"]["nbpipe"]
    if not isinstance(own, dict):
        raise ConfigError(f"{file}: tool.nbpipe: expected a table")
    return own


def _parsed(text: str) -> dict[str, Any]:
    import tomllib  # a hundredth of a second that an empty file saves

    return tomllib.loads(text)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _tables(values: Any, file: Path, path: str) -> Tables:
    converted: Tables = _converted(values, Tables, file, path)
    _check_urls(converted, file, path)
    for tag in converted.limits.tags:
        if not all(tag.partition("=")):
            raise _problem(
                file, f"{_join(path, 'limits.tags')}.{tag}", "write it as KEY=VALUE, or KEY=* for each value"
            )
    if converted.has_automation:
        from nbpipe.loading.automation import check_values

        check_values(converted, lambda key, message: _problem(file, _join(path, key), message))
    for name, location in converted.locations.items():
        for pattern in location.notebooks:
            if not pattern or pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
                where = _join(_join(path, "locations"), name)
                raise _problem(file, f"{where}.notebooks", f"{pattern!r} is not a pattern below the root")
    return converted


def _check_urls(tables: Tables, file: Path, path: str) -> None:
    if tables.state is not None and not _URL.match(tables.state) and not tables.state.startswith(_REFERENCE):
        raise _problem(file, _join(path, "state"), "expected a SQLAlchemy URL such as 'sqlite:///state.db'")
    for key, url in (("state", tables.state), ("storage", tables.storage)):
        password = _PASSWORD.search(url or "")
        if password and _REFERENCE not in password["password"]:
            raise _problem(file, _join(path, key), "write the password as ${NAME} and set that environment variable")
        if url == "":
            raise _problem(file, _join(path, key), "is empty")


def _converted(value: Any, kind: Any, file: Path, path: str) -> Any:
    """Convert one value of the file; tables are walked here so that an error can name the whole key path."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = _fields(kind)
        for key in _table(value, file, path):
            if key in _LATER.get(kind, ()):
                raise _problem(file, _join(path, key), "is not available in this version: remove it")
            if key not in fields:
                raise _problem(file, _join(path, key), f"unknown key{_hint(key, fields)}")
        converted = {key: _converted(each, fields[key].type, file, _join(path, key)) for key, each in value.items()}
        return kind(**{fields[key].name: each for key, each in converted.items()})
    if get_origin(kind) is Mapping:
        inner = kind.__args__[1]
        items = _table(value, file, path).items()
        return MappingProxyType({key: _converted(each, inner, file, _join(path, key)) for key, each in items})
    try:
        found = msgspec.convert(value, kind, dec_hook=_custom)
        return int(found) if isinstance(found, Size | Memory) else found  # what is encoded takes plain numbers alone
    except msgspec.ValidationError as error:
        message = re.sub(r" - at `.*`$", "", str(error)).replace("`", "")
        if message.startswith(_NO_CHOICE):
            message = f"Expected {' or '.join(_choices(kind))}, got {value!r}"
        raise _problem(file, path, message) from error


def _choices(kind: Any) -> Iterator[str]:
    """Return what may be written for a kind of value, some of which are words."""
    if get_origin(kind) is Literal:
        yield from map(repr, get_args(kind))
    elif get_args(kind):
        for each in get_args(kind):
            yield from _choices(each)
    elif kind is int:
        yield "a whole number"


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Return what is known of a table's keys; msgspec would find it out anew each time."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _table(value: Any, file: Path, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _problem(file, path, f"expected a table, got {type(value).__name__}")
    return value


def _custom(kind: type, value: Any) -> Any:
    if kind in (Texts, Keep, Size, Memory):
        return kind.read(value)
    raise NotImplementedError(kind)


def _problem(file: Path, path: str, message: str) -> ConfigError:
    prefix = "tool.nbpipe." if file.name == PYPROJECT else ""
    return ConfigError(f"{file}: {prefix}{path or 'top level'}: {message}")


def _hint(name: str, known: Mapping[str, Any]) -> str:
    similar = nearest(name, known)
    return f": did you mean {similar!r}?" if similar else f"; known: {', '.join(sorted(known))}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _absolute(root: Path, path: str) -> str:
    return str(root / Path(path).expanduser())
