from __future__ import annotations

import pytest

from nbpipe.core.definitions import AssetOptions
from nbpipe.execution.conductor import time_limit


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, None),
        ({"retries": 3}, None),
        ({"timeout": 5.0}, 65.0),
        ({"timeout": 5.0, "retries": 2}, 75.0),
        ({"timeout": 5.0, "retries": 2, "retry_delay": 10.0}, 95.0),
        ({"timeout": 5.0, "retries": 2, "retry_delay": 10.0, "backoff": "linear"}, 105.0),
        ({"timeout": 5.0, "retries": 2, "retry_delay": 10.0, "backoff": "exponential"}, 115.0),
    ],
)
def test_a_cell_is_ended_from_outside_only_after_all_that_its_options_allow(options, limit):
    assert time_limit(AssetOptions(**options), 60.0) == limit
