from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbpipe.core.ports import StateStore
from nbpipe.storage.memory import InMemoryStateStore
from nbpipe.storage.open import open_store
from tests.databases import fresh_schema, postgresql_programs, postgresql_server

STATE_STORES = ["memory", "sqlite", *(["postgresql"] if postgresql_programs() else [])]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=STATE_STORES)
def state_url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "postgresql":
        return fresh_schema(request.getfixturevalue("postgresql"), f"t{next(_numbers)}")
    return {"memory": None, "sqlite": "sqlite:///.nbpipe/state.db"}[request.param]


@pytest.fixture
def store(state_url: str | None, tmp_path: Path) -> Iterator[StateStore]:
    opened = InMemoryStateStore() if state_url is None else open_store(state_url, root=tmp_path)
    yield opened
    opened.close()
