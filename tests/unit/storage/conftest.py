from __future__ import annotations

import pytest

from tests.databases import postgresql_server


@pytest.fixture(scope="session")
def postgresql():
    with postgresql_server() as url:
        yield url
