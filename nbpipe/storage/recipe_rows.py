"""Recipes as rows, and back."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nbpipe.core.partitions.recipes import Recipe
from nbpipe.storage import codec
from nbpipe.storage.database import Row

_SIGNED, _UNSIGNED = 2**63, 2**64


class _Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    files: Mapping[str, str] = {}
    parameters: Mapping[str, str] = {}
    parameter_defaults: Mapping[str, str] = {}


_decode = msgspec.json.Decoder(_Content).decode


def columns(recipe: Recipe, *, asset: int, number: int, event: int) -> dict[str, object]:
    """Return the columns of a recipe; databases know numbers with a sign only."""
    content = _Content(files=recipe.files, parameters=recipe.parameters, parameter_defaults=recipe.parameter_defaults)
    return {
        "asset_id": asset,
        "number": number if number < _SIGNED else number - _UNSIGNED,
        "revision": event,
        "code_version": recipe.code_version,
        "content": codec.encode_text(content),
    }


def recipe(row: Row) -> tuple[int, Recipe]:
    """Read a row of `partition_queries.select_recipes`: the number and the recipe."""
    number, code_version, components, content = row
    shared = _decode(content)
    found = Recipe(
        code=codec.decode_components(components),
        code_version=code_version,
        files=shared.files,
        parameters=shared.parameters,
        parameter_defaults=shared.parameter_defaults,
    )
    return number % _UNSIGNED, found


def read_back(new: Recipe) -> Recipe:
    """Return a recipe as a database would give it back."""
    content = columns(new, asset=0, number=0, event=0)["content"]
    return recipe((0, new.code_version, codec.encode_text(new.code), content))[1]
