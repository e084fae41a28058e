"""Which sets give positions the same meaning."""

from __future__ import annotations

import pytest

from nbpipe.core.partitions.layouts import layout_of
from nbpipe.core.partitions.spec_syntax import parse_partitions


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("daily:2024-01-01", "daily:2020-01-01..2030-12-31", True),
        ("daily:2024-01-01", "daily:2024-01-01@Europe/Berlin", True),
        ("static:a,b", "static:c,b,a", True),
        ("d=daily:2024-01-01 x s=static:a", "date=daily:2023-01-01 x s=static:a,b", True),
        ("d=daily:2024-01-01 x c=dynamic:c", "d=daily:2024-01-01 x who=dynamic:c", True),
        ("daily:2024-01-01", "hourly:2024-01-01T00", False),
        ("daily:2024-01-01", "static:a", False),
        ("static:a,b", "dynamic:letters", False),
        ("dynamic:letters", "dynamic:words", False),
        ("cron(0 6 * * *):2024-01-01", "cron(0 7 * * *):2024-01-01", False),
        ("daily:2024-01-01", "d=daily:2024-01-01 x s=static:a", False),
        ("d=daily:2024-01-01 x s=static:a", "s=static:a x d=daily:2024-01-01", False),
        ("d=daily:2024-01-01 x s=static:a", "d=daily:2024-01-01 x t=static:a", False),
        ("a=daily:2024-01-01 x b=daily:2024-01-01", "b=daily:2024-01-01 x a=daily:2024-01-01", False),
    ],
)
def test_sets_of_the_same_layout(one, other, same):
    assert (layout_of(parse_partitions(one)) == layout_of(parse_partitions(other))) is same
