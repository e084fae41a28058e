"""The only reader of the environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbpipe.errors import ConfigError

ENVIRONMENT = "NBPIPE_ENV"
RUN_ID = "NBPIPE_RUN_ID"
STEP = "NBPIPE_STEP"
SENSOR = "NBPIPE_SENSOR"
HASH_SEED = "PYTHONHASHSEED"
NOTEBOOK = "JPY_SESSION_NAME"
PARENT = "JPY_PARENT_PID"
CLOCK = "NBPIPE_CLOCK"

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: Shorter values can't be told from ordinary text.
_SHORTEST_SECRET = 4
_BLOT = "***"


def environment_name(default: str = "default") -> str:
    """Return the name of the chosen environment (`NBPIPE_ENV`)."""
    return os.environ.get(ENVIRONMENT) or default


def current_run_id() -> str | None:
    """Return the id of the run that this process works for, if any (`NBPIPE_RUN_ID`)."""
    return os.environ.get(RUN_ID) or None


def asks_sensors() -> bool:
    """Tell whether this process asks sensors, or was started by one that does (`NBPIPE_SENSOR`)."""
    return SENSOR in os.environ


@contextmanager
def asking_a_sensor() -> Iterator[None]:
    """Let this process be one that asks sensors for a while."""
    os.environ[SENSOR] = "1"
    try:
        yield
    finally:
        os.environ.pop(SENSOR, None)


def clock_file() -> Path | None:
    """Return the file that says what time it is, instead of the system (`NBPIPE_CLOCK`): for tests; see `clock`."""
    chosen = os.environ.get(CLOCK)
    return Path(chosen) if chosen else None


def inherited() -> dict[str, str]:
    """Return a copy of all variables, for a process about to be started or to look up what is configured."""
    return dict(os.environ)


def replace(environ: Mapping[str, str]) -> None:
    """Make these the variables of this process: it has become another program."""
    os.environ.clear()
    os.environ.update(environ)


def runtime_folder() -> Path:
    """Return the folder for sockets and locks of this user (`XDG_RUNTIME_DIR`), or the one for temporary files."""
    import tempfile

    chosen = os.environ.get("XDG_RUNTIME_DIR")
    return Path(chosen) if chosen and Path(chosen).is_dir() else Path(tempfile.gettempdir())


def session_notebook() -> str | None:
    """Return the path that the Jupyter server gave this kernel (`JPY_SESSION_NAME`), if any."""
    return os.environ.get(NOTEBOOK) or None


def resolve_secrets(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Replace each `${NAME}` by the environment variable of that name.

    Call it only inside the process that needs the value, and never store the result.

    Raises:
        ConfigError: a named variable is not set.
    """
    values = os.environ if environ is None else environ

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise ConfigError(f"environment variable {name} is not set, but the configuration refers to ${{{name}}}")
        return values[name]

    return _REFERENCE.sub(value, text)


def secret_values(configured: Iterable[Any], environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the values of all `${NAME}` in a configuration, longest first.

    Very short ones are left out, and so is the path of a folder or file of this machine: it opens nothing.
    """
    values = os.environ if environ is None else environ
    found = {values.get(name, "") for name in _names_in(configured)}
    return tuple(sorted(filter(_is_secret, found), key=lambda value: (-len(value), value)))


def references_in(configured: Any) -> tuple[str, ...]:
    """Return each `${NAME}` in a configuration, wherever it stands in its tables; sorted."""
    return tuple(f"${{{name}}}" for name in sorted(_names_in([configured])))


def _names_in(configured: Iterable[Any]) -> set[str]:
    found: set[str] = set()
    pending = list(configured)
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            found.update(_REFERENCE.findall(item))
        elif isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
    return found


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return text with every secret value blotted out; longer secrets come first."""
    for secret in secrets:
        text = text.replace(secret, _BLOT)
    return text


def blotted(value: Any, secrets: tuple[str, ...]) -> Any:
    """Return plain data with secret values blotted out of every text.

    It recurses over the nesting of displayed JSON and of file formats, which their senders made the same way.
    """
    if not secrets:
        return value
    if isinstance(value, str):
        return redacted(value, secrets)
    if isinstance(value, Mapping):
        return {blotted(key, secrets): blotted(each, secrets) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([blotted(each, secrets) for each in value])
    return value


def _is_secret(value: str) -> bool:
    if len(value) < _SHORTEST_SECRET:
        return False
    path = Path(value)
    try:
        return not (path.is_absolute() and path.exists())
    except (OSError, ValueError):
        return True
