"""Whether a partition is out of date: the question that decides whether a cell executes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.drift import FileHash, made_reasons
from nbpipe.core.partitions.chunks import ChunkFacts
from nbpipe.core.partitions.inputs import is_same_data
from nbpipe.core.partitions.recipes import UNKNOWN_RECIPE, Recipe
from nbpipe.core.partitions.sets import CHUNK, Position
from nbpipe.core.ports import StateStore
from nbpipe.core.reasons import FAILED, NEVER, NEWER, value_reasons
from nbpipe.kernel.partitions.reading import Sources

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Judge:
    """Compares the partitions of one asset with what would be made now; recipes are compared once for each."""

    def __init__(
        self,
        store: StateStore,
        env: str,
        spec: AssetSpec,
        sources: Sources,
        *,
        parameters: Mapping[str, str],
        files: FileHash,
    ) -> None:
        """Judge by what is known at this moment.

        Args:
            store: the state store.
            env: name of the environment.
            spec: the asset as it is defined now.
            sources: its upstream, as it is now.
            parameters: values in effect, as source, by name.
            files: see `FileHash`.
        """
        self._spec, self._sources, self._files = spec, sources, files
        self._facts = store.partitions.facts(env, spec.key)
        self._recipes = store.partitions.recipes(env, spec.key)
        self._effective = {name: parameters[name] for name in spec.parameters if name in parameters}
        self._drift: dict[int, tuple[str, ...]] = {}

    def reasons(
        self,
        position: Position,
        *,
        failure: tuple[str, ...] = (FAILED,),
        recorded: Mapping[str, str] = _NOTHING,
    ) -> tuple[str, ...]:
        """Return why a partition would be executed now; nothing if what is stored is up to date.

        Args:
            position: of the partition.
            failure: what to say if its latest attempt failed.
            recorded: data versions of its inputs as they were recorded, to name what changed.
        """
        chunk, offset = self._chunk(position)
        if offset in chunk.held:
            return ()
        failed = failure if offset in chunk.failed else ()
        if offset not in chunk.executed:
            return (*failed, NEVER)
        found = [*self._recipe_reasons(chunk, offset)]
        if chunk.inputs.get(offset) != self._sources.fingerprint(position):
            found += self._newer(position, recorded)
        return (*found, *failed)

    def _chunk(self, position: Position) -> tuple[ChunkFacts, int]:
        outer, inner = position
        return self._facts.chunk((outer, inner // CHUNK)), inner % CHUNK

    def _recipe_reasons(self, chunk: ChunkFacts, offset: int) -> tuple[str, ...]:
        number = next((number for number, made in chunk.codes if offset in made), 0)
        if number not in self._drift:
            recipe = self._recipes.get(number)
            self._drift[number] = UNKNOWN_RECIPE if recipe is None else self._compared(recipe)
        return self._drift[number]

    def _compared(self, recipe: Recipe) -> tuple[str, ...]:
        values = value_reasons(recipe.parameters, self._effective)
        return made_reasons(self._spec, recipe, values, self._files)

    def _newer(self, position: Position, recorded: Mapping[str, str]) -> list[str]:
        """Name the upstreams whose data is newer, as far as the record tells."""
        links, now = self._sources.links, self._sources.now
        changed = [
            name
            for name, link in links.items()
            if name in recorded and not is_same_data(link, self._sources.facts[name], position, recorded[name], now)
        ]
        return [f"upstream {name} {NEWER}" for name in changed or links] or ["its inputs changed"]
