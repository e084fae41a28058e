"""The only reader of the environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from nbpipe.errors import ConfigError

ENVIRONMENT = "NBPIPE_ENV"
RUN_ID = "NBPIPE_RUN_ID"
STEP = "NBPIPE_STEP"
HASH_SEED = "PYTHONHASHSEED"
NOTEBOOK = "JPY_SESSION_NAME"

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def environment_name(default: str = "default") -> str:
    """Return the name of the chosen environment (`NBPIPE_ENV`)."""
    return os.environ.get(ENVIRONMENT) or default


def current_run_id() -> str | None:
    """Return the id of the run that this process works for, if any (`NBPIPE_RUN_ID`)."""
    return os.environ.get(RUN_ID) or None


def inherited() -> dict[str, str]:
    """Return a copy of all variables, for a process about to be started or to look up what is configured."""
    return dict(os.environ)


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
