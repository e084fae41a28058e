"""What changed since something was made, but for the data of its inputs: code, parameters, files.

The same for the value of an asset and for the recipe of many of its partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.reasons import code_reasons, default_reasons, file_reasons, value_reasons

FileHash = Callable[[str], str]
"""Returns the content hash of an entry of `AssetSpec.files`, empty if there is no such file."""

Told = tuple[tuple[str, ...], tuple[str, ...]]
"""Reasons and notes."""


class Made(Protocol):
    """How something was made; see `NewMaterialization` for the fields."""

    @property
    def code(self) -> tuple[tuple[str, str], ...]:
        """Components of the code."""

    @property
    def files(self) -> Mapping[str, str]:
        """Content hash by path."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """Values by name, as source."""

    @property
    def parameter_defaults(self) -> Mapping[str, str]:
        """The defaults of that time."""


def recipe_drift(
    spec: AssetSpec, made: Made, *, defaults: Mapping[str, str], given: Mapping[str, str] | None, files: FileHash
) -> Told:
    """Compare a record with what is defined today; return why it is out of date, and notes.

    Args:
        spec: the asset as it is defined now.
        made: the record.
        defaults: today's parameters of its notebook, as source, by name.
        given: values that a run would use instead of some defaults; None: today's defaults are compared with those
            of the record, and a value made with others gets a note.
        files: see `FileHash`.
    """
    today = {name: defaults[name] for name in spec.parameters if name in defaults}
    values, notes = _parameter_drift(made, today, given)
    return made_reasons(spec, made, values, files), notes


def made_reasons(spec: AssetSpec, made: Made, values: tuple[str, ...], files: FileHash) -> tuple[str, ...]:
    """Compare code and files with the record; `values` are the reasons of the parameters."""
    today = {**{path: files(path) for path in spec.files}, **_lost_files(spec, made, files)}
    return (*code_reasons(made.code, spec.code), *values, *file_reasons(made.files, today))


def _lost_files(spec: AssetSpec, made: Made, files: FileHash) -> dict[str, str]:
    """Return the recorded files that are gone: a text that names no file any more is no input of today's definition."""
    if made.code != spec.code:
        return {}
    return {path: "" for path in made.files if path not in spec.files and not files(path)}


def _parameter_drift(made: Made, today: Mapping[str, str], given: Mapping[str, str] | None) -> Told:
    if given is None:
        return default_reasons(made.parameters, made.parameter_defaults, today)
    return value_reasons(made.parameters, {name: given.get(name, default) for name, default in today.items()}), ()
