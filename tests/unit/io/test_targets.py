from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.io.targets import StoreTarget, describe_path, encode_name, value_path


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("orders", "orders"),
        ("dbt/orders", "dbt%2Forders"),
        ("2024-01-01|eu", "2024-01-01%7Ceu"),
        ("a b", "a%20b"),
        ("ü", "%C3%BC"),
        ("_", "%5F"),
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        (".hidden", "%2Ehidden"),
        ("dot.", "dot%2E"),
        ("a+b", "a%2Bb"),
    ],
)
def test_names_become_one_harmless_component(name: str, encoded: str) -> None:
    assert encode_name(name) == encoded


@given(st.lists(st.text(max_size=300), min_size=2, max_size=2, unique=True))
def test_no_two_names_share_a_component(names: list[str]) -> None:
    one, other = map(encode_name, names)
    assert one != other
    assert len(one.encode()) <= 200
    assert "/" not in one
    assert one[0] not in ".+"


def test_long_names_that_differ_at_the_end_stay_apart() -> None:
    names = {encode_name("ü" * 300 + str(number)) for number in range(10)}
    assert len(names) == 10
    assert all(len(name) < 200 for name in names)


def test_a_path_tells_for_which_asset_it_was_written() -> None:
    path = value_path(StoreTarget(env="dev", asset="dbt/orders", partition="2024|eu", uid="1"), "txt")
    assert path == "dev/dbt%2Forders/2024%7Ceu/1.txt"
    assert describe_path(path) == "asset 'dbt/orders', partition '2024|eu' (environment 'dev')"
    assert describe_path("dev/a/_/1.txt") == "asset 'a' (environment 'dev')"
