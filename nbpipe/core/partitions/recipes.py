"""How a partition was made, but for the data of its inputs: code, parameters and files.

Facts keep one number for it: a million partitions of one asset have few recipes. Whether a recipe is still today's, and
what differs, is asked once for each recipe, never for each partition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from nbpipe.core.partitions.chunks import number_of
from nbpipe.core.records import Materialization, NewMaterialization

UNKNOWN_RECIPE = ("code changed",)
"""Why a partition is out of date whose recipe is not known."""

_NONE: Mapping[str, str] = MappingProxyType({})


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What executions share; see `NewMaterialization` for the fields."""

    code: tuple[tuple[str, str], ...] = ()
    code_version: str = ""
    files: Mapping[str, str] = _NONE
    parameters: Mapping[str, str] = _NONE
    parameter_defaults: Mapping[str, str] = _NONE

    @property
    def number(self) -> int:
        """Return the 64-bit number that stands for it in facts; never 0."""
        parts = (self.files, self.parameters, self.parameter_defaults)
        content = [self.code_version, *(sorted(part.items()) for part in parts)]
        try:
            return number_of(msgspec.json.encode(content).decode())
        except UnicodeEncodeError:  # half of a surrogate pair, for example in the name of a file
            return number_of(json.dumps(content))


def recipe_of(value: NewMaterialization | Materialization) -> Recipe:
    """Return how a value was made."""
    return Recipe(
        code=value.code,
        code_version=value.code_version,
        files=value.files,
        parameters=value.parameters,
        parameter_defaults=value.parameter_defaults,
    )
