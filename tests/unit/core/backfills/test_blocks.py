"""Which assets of a backfill run together."""

import pytest

from nbpipe.core.backfills.blocks import blocks_of
from tests.unit.core.backfills.models import asset, book_of

DAY, WEEK, STATIC = "daily:2024-01-01", "weekly:2024-01-01", "static:a,b"


def together(*specs, **options):
    blocks, _ = blocks_of(specs, book_of(specs), **options)
    return [" ".join(block.assets) for block in blocks]


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([asset("a", "", DAY), asset("b", "a", DAY)], ["a b"]),
        ([asset("a", "", DAY), asset("b", "", DAY)], ["a", "b"]),
        ([asset("a", "", DAY, notebook="n"), asset("b", "", DAY, notebook="n", index=1)], ["a b"]),
        ([asset("a", "", DAY), asset("b", "a", WEEK), asset("c", "b", WEEK)], ["a", "b c"]),
        ([asset("a", "", DAY), asset("b", "a", "daily:2024-01-02")], ["a", "b"]),
        ([asset("a", "", DAY), asset("b", "a", DAY, rules=["a=offset(-1)"])], ["a", "b"]),
        (
            [
                asset("a", "", DAY, notebook="n"),
                asset("w", "a", WEEK),
                asset("b", "w", DAY, notebook="n", index=1),
                asset("c", "a", DAY, notebook="n", index=2),
            ],
            ["a c", "w", "b"],
        ),
        (
            [
                asset("a", "", DAY, notebook="n"),
                asset("b", "a", DAY, rules=["a=all"], notebook="n", index=1),
                asset("c", "a b", DAY, notebook="n", index=2),
            ],
            ["a", "b c"],
        ),
        ([asset("a", "", DAY), asset("t", "a"), asset("u", "t"), asset("s", "", STATIC)], ["a", "t u", "s"]),
        ([asset("a", "", DAY), asset("s", "~a", STATIC)], ["a", "s"]),
        ([asset("a", "", DAY, own=True), asset("b", "a", DAY)], ["a b"]),
    ],
)
def test_assets_with_equal_partitions_run_together_where_they_are_joined(specs, expected):
    assert sorted(together(*specs)) == sorted(expected)


def test_blocks_come_in_a_workable_order():
    specs = [asset("a", "", DAY), asset("w", "a", WEEK), asset("b", "w", DAY), asset("t", "b a")]
    assert together(*specs) == ["a", "w", "b", "t"]


@pytest.mark.parametrize(
    ("first", "second", "single_run", "expected"),
    [
        (None, None, False, 1),
        ("single", None, False, 1),
        ("single", "single", False, None),
        ("7", "single", False, 7),
        ("7", "3", False, 3),
        (None, None, True, None),
    ],
)
def test_a_run_takes_as_many_partitions_as_all_of_its_assets_want(first, second, single_run, expected):
    specs = [asset("a", "", DAY, backfill=first), asset("b", "a", DAY, backfill=second)]
    (block,), _ = blocks_of(specs, book_of(specs), single_run=single_run)
    assert block.size == expected
