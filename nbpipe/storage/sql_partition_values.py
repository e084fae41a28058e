"""Values of partitions in SQL: written, with what they share."""

from __future__ import annotations

from datetime import datetime

from nbpipe.core.partitions.recipes import Recipe, recipe_of
from nbpipe.core.partitions.records import NewPartition
from nbpipe.core.records import Materialization
from nbpipe.storage import asset_queries, codec, recipe_rows
from nbpipe.storage import partition_queries as queries
from nbpipe.storage import partition_values as values_of
from nbpipe.storage.database import Transaction
from nbpipe.storage.sql_chunks import OpenChunk


class SharedParts:
    """Finds or adds what values of one asset share, each once in a transaction."""

    def __init__(self, transaction: Transaction, asset: int, event: int) -> None:
        self._transaction = transaction
        self._asset = asset
        self._event = event
        self._templates: dict[str, int] = {}
        self._recipes: set[int] = set()

    def recipe(self, recipe: Recipe) -> int:
        """Return the number of a recipe, which is kept from now on."""
        number = recipe.number
        if number not in self._recipes:
            components = codec.encode_text(recipe.code)
            self._transaction.run(asset_queries.add_code, code_version=recipe.code_version, components=components)
            row = recipe_rows.columns(recipe, asset=self._asset, number=number, event=self._event)
            self._transaction.run(queries.add_recipe, **row)
            self._recipes.add(number)
        return number

    def template(self, code_version: str, content: str) -> int:
        """Return the number of a template; its code is known by a recipe."""
        digest = values_of.digest(code_version, content)
        if digest not in self._templates:
            found = self._transaction.one(queries.find_template, digest=digest)
            if found is None:
                row = {"digest": digest, "code_version": code_version, "content": content}
                self._transaction.run(queries.add_template, **row)
                found = self._transaction.one(queries.find_template, digest=digest)
            assert found is not None  # noqa: S101 - it was inserted within this transaction
            self._templates[digest] = int(found[0])
        return self._templates[digest]


def add_value(
    transaction: Transaction,
    chunk: OpenChunk,
    offset: int,
    new: NewPartition,
    shared: SharedParts,
    event: tuple[int, datetime, str | None],
) -> Materialization:
    """Add one value to a chunk.

    Args:
        transaction: that of the commit.
        chunk: that of the partition.
        offset: place of the partition in the chunk.
        new: the value.
        shared: what values of the asset share.
        event: the number of the event that tells of the commit, its moment, and its run.
    """
    number, at, run_id = event
    value, old = new.value, chunk.kept.current.get(offset)
    if value.sources:
        texts = ({"hash": key, "text": codec.clean(text)} for key, text in value.sources.items())
        transaction.many(asset_queries.add_source, texts)
    recipe = shared.recipe(recipe_of(value))
    template, own = values_of.divided(value, value.created_at - at)
    content = codec.encode_text(template)
    chunk.kept = chunk.kept.materialize(
        offset, data_version=value.stored.data_version, inputs=new.inputs, recipe=recipe
    )
    version = chunk.kept.last.get(offset)
    place = {"chunk": chunk.number, "offset": offset}
    encoded = values_of.encode_own(own)
    row = transaction.number(
        queries.add_value,
        chunk_id=chunk.number,
        place=offset,
        version=version,
        template_id=shared.template(value.code_version, content),
        event_id=number,
        own=encoded,
    )
    if version > 1:
        transaction.run(queries.count_newer, **place, number=version)
    if old:
        transaction.run(queries.supersede, **place, number=old, event=number)
    components, stamp = codec.encode_text(value.code), codec.stamp(at)
    columns = (row, version, 0, encoded, stamp, run_id, value.code_version, components, content)
    return values_of.materialization(value.env, value.asset, value.partition, columns)
