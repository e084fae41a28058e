"""What is drawn of partitions: cells, their names, and the ranges that they stand for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import CHUNK, ChunkFacts, PartitionFacts
from nbpipe.core.partitions.ranges import parse_range, parse_ranges
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.partitions.state import AssetPartitions, assess_partitions
from nbpipe.core.partitions.subsets import Families, PartitionSubset
from nbpipe.errors import UnknownNameError
from nbpipe.views.partitions import GRID, LIST, ROWS, STRIP, Look, partitions_overview, partitions_view

NOW = datetime(2024, 7, 1, tzinfo=UTC)
TODAY, OLD = 7, 8


def state(spec, *, asset="a", fresh=(), old=(), failed=(), skipped=(), running=(), now=NOW):
    """Return the state of an asset whose partitions are given as ranges."""
    of = parse_partitions(spec)
    given = {"fresh": fresh, "old": old, "failed": failed, "skipped": skipped, "running": running}
    found = {name: parse_ranges(of, [texts] if isinstance(texts, str) else texts, now).families
             for name, texts in given.items()}  # fmt: skip
    chunks = {}
    for outer in {outer for families in found.values() for outer in families}:
        blocks = {n // CHUNK for families in found.values() for n in families.get(outer, ())}
        for block in blocks:
            marks = {name: _within(families, outer, block) for name, families in found.items()}
            executed = marks["fresh"] | marks["skipped"]
            codes = [(code, bitmap) for code, bitmap in ((TODAY, executed), (OLD, marks["old"])) if bitmap]
            chunks[outer, block] = ChunkFacts(
                materialized=marks["fresh"] | marks["old"],
                failed=marks["failed"],
                skipped=marks["skipped"],
                running=marks["running"],
                codes=tuple(codes),
            )
    drift = {TODAY: (), OLD: ("code changed",)}
    return assess_partitions([AssetPartitions(asset=asset, of=of, facts=PartitionFacts(chunks), drift=drift)], now)[
        asset
    ]


def _within(families: Families, outer, block: int) -> BitMap:
    return BitMap(n - block * CHUNK for n in families.get(outer, ()) if n // CHUNK == block)


def labels(spans):
    return [span.label for span in spans]


def test_each_day_of_a_month_is_a_cell():
    view = partitions_view(state("daily:2024-01-01..2024-01-31", fresh="2024-01-01..2024-01-20", failed="2024-01-05"))
    assert (view.shape, len(view.columns), len(view.rows)) == ("strip", 31, 1)
    assert view.cells[0][3:6] == ({"fresh": 1}, {"failed": 1}, {"fresh": 1})
    assert view.counts == {"failed": 1, "missing": 11, "fresh": 19}
    assert view.cell_text(0, 4) == view.range_text((0, 0), (4, 4)) == "2024-01-05"
    assert not view.zoomed


def test_every_status_is_counted_apart():
    found = state(
        "daily:2024-01-01..2024-01-06",
        fresh="2024-01-01",
        old="2024-01-02",
        failed="2024-01-03",
        skipped="2024-01-04",
        running="2024-01-05",
    )
    cells = [{"fresh": 1}, {"stale": 1}, {"failed": 1}, {"skipped": 1}, {"running": 1}, {"missing": 1}]
    assert list(partitions_view(found).cells[0]) == cells


@pytest.mark.parametrize("width", [7, STRIP, 1000])
def test_a_million_are_drawn_in_as_few_cells_as_asked_for_and_none_is_lost(width):
    view = partitions_view(
        state("hourly:1900-01-01T00..2014-01-29T15", fresh="1950-01-01T00..1950-02-01T00", failed="1999-01-01T00"),
        width=width,
    )
    assert len(view.columns) == width
    assert view.total == sum(span.keys for span in view.columns) == 1_000_000
    sums = {name: sum(cell.get(name, 0) for cell in view.cells[0]) for name in view.counts}
    assert sums == view.counts
    assert view.counts["failed"] == 1


def test_a_range_of_cells_is_read_as_the_partitions_in_them():
    found = state("hourly:2020-01-01T00..2021-12-31T23", fresh="2020-05-01T00..2020-06-01T00")
    view = partitions_view(found)
    subset = parse_range(found.of, view.range_text((0, 0), (3, 7)), NOW)
    assert len(subset) == sum(span.keys for span in view.columns[3:8])
    assert [n for n, within in enumerate(view.inside(subset)[0]) if within] == [3, 4, 5, 6, 7]


def test_a_window_is_drawn_alone_and_a_wrong_one_is_put_right():
    found = state("daily:2000-01-01..2023-12-31")
    whole = partitions_view(found)
    part = partitions_view(found, Look(window=(whole.columns[10].low, whole.columns[10].high)))
    assert part.zoomed
    assert part.columns[0].first == whole.columns[10].first
    assert part.columns[-1].last == whole.columns[10].last
    beyond = partitions_view(found, Look(window=(-5, part.columns[0].low)))
    assert beyond.columns[0].first == "2000-01-01"
    assert not partitions_view(found, Look(window=(-9, -5))).zoomed


@pytest.mark.parametrize(("keys", "shape"), [(1, "list"), (LIST, "list"), (LIST + 1, "strip")])
def test_listed_keys_are_a_list_until_they_are_too_many(keys, shape):
    view = partitions_view(state("static:" + ",".join(f"k{n}" for n in range(keys))))
    assert view.shape == shape
    assert sum(span.keys for span in view.columns) == keys


def test_static_keys_come_in_the_order_of_their_declaration():
    found = state('static:south,"far east",north', fresh="south", failed="north")
    view = partitions_view(found)
    assert labels(view.columns) == ["south", "far east", "north"]
    assert view.cells[0] == ({"fresh": 1}, {"missing": 1}, {"failed": 1})
    assert view.range_text((0, 0), (0, 1)) == 'south.."far east"'
    assert len(parse_range(found.of, 'south.."far east"', NOW)) == 2


def test_two_dimensions_are_a_grid_with_time_across():
    spec = "region=static:eu,us x date=daily:2024-01-01..2024-01-10"
    found = state(spec, fresh="eu|2024-01-01..2024-01-05", failed="us|2024-01-03")
    view = partitions_view(found)
    assert (view.shape, labels(view.rows), len(view.columns)) == ("grid", ["eu", "us"], 10)
    assert view.cells[1][1:4] == ({"missing": 1}, {"failed": 1}, {"missing": 1})
    assert view.cell_text(1, 2) == "us | 2024-01-03"
    box = view.range_text((0, 1), (2, 4))
    assert box == "eu..us|2024-01-03..2024-01-05"
    subset = parse_range(found.of, box, NOW)
    assert len(subset) == 6
    assert view.inside(subset) == (tuple(2 <= n <= 4 for n in range(10)),) * 2


def test_a_grid_has_no_more_columns_than_can_be_told_from_each_other():
    view = partitions_view(state("date=daily:2020-01-01..2023-12-31 x region=static:eu,us"), width=1000)
    assert len(view.columns) == GRID


def test_many_rows_come_in_pages():
    regions = ",".join(f"r{n:03}" for n in range(100))
    found = state(f"date=monthly:2024-01-01..2024-03-01 x region=static:{regions}", failed="2024-02-01|r099")
    first, last = partitions_view(found), partitions_view(found, Look(page=99))
    assert (len(first.rows), first.pages, first.page) == (ROWS, 3, 0)
    assert (len(last.rows), last.page) == (20, 2)
    assert last.cells[-1][1] == {"failed": 1}
    assert last.counts == first.counts


THREE = "date=daily:2024-01-01..2024-01-03 x region=static:eu,us x kind=static:a,b,c"


def test_of_three_dimensions_one_is_fixed_and_others_can_be_chosen():
    found = state(THREE, fresh="2024-01-02|us|c", failed="2024-01-02|eu|a")
    view = partitions_view(found)
    assert (labels(view.rows), [(other.name, other.chosen) for other in view.others]) == (
        ["eu", "us"], [("kind", "a")]
    )  # fmt: skip
    assert view.cells[0][1] == {"failed": 1}
    assert partitions_view(found, Look(fixed={"kind": "c"})).cells[1][1] == {"fresh": 1}
    together = partitions_view(found, Look(fixed={"kind": ""}))
    assert together.cells[0][1] == {"failed": 1, "missing": 2}
    assert together.range_text((0, 0), (1, 1)) == "2024-01-02|eu|*"
    other = partitions_view(found, Look(rows="kind"))
    assert (labels(other.rows), other.others[0].name) == (["a", "b", "c"], "region")


def test_rows_of_the_inner_dimension_are_drawn_too():
    found = state("x=static:b,a x y=static:1,2 x z=static:p,q", fresh="b|2|q", failed="b|1|p")
    view = partitions_view(found, Look(rows="z"))
    assert (labels(view.rows), labels(view.columns)) == (["p", "q"], ["1", "2"])
    assert view.cells == (({"failed": 1}, {"missing": 1}), ({"missing": 1}, {"fresh": 1}))


def test_an_unknown_dimension_is_refused():
    with pytest.raises(UnknownNameError, match="region"):
        partitions_view(state(THREE), Look(rows="reigon"))


def test_what_is_touched_before_its_time_is_drawn():
    view = partitions_view(state("daily:2024-06-30", fresh="2024-07-10"))
    assert labels(view.columns) == ["2024-06-30", "2024-07-10"]


@pytest.mark.parametrize("spec", ["daily:2030-01-01", "dynamic:customers", "d=daily:2030-01-01 x c=dynamic:customers"])
def test_nothing_is_drawn_of_nothing(spec):
    view = partitions_view(state(spec))
    assert (view.total, view.columns, view.counts) == (0, (), {})
    assert partitions_overview(state(spec)).columns == ()


def test_windows_of_a_cron_expression_are_drawn_without_its_holes():
    view = partitions_view(
        state("cron(0 6 * * 1-5):2024-01-01", fresh="2024-01-05", now=datetime(2024, 1, 20, tzinfo=UTC))
    )
    assert all(span.keys == 1 for span in view.columns)
    assert view.counts["fresh"] == 1


def test_the_overview_has_all_partitions_in_one_row():
    view = partitions_overview(state(THREE, fresh="2024-01-02|us|c"))
    assert len(view.cells) == 1
    assert view.cells[0][1] == {"missing": 5, "fresh": 1}
    assert view.range_text((0, 0), (0, 0)) == "2024-01-01|*|*"


def test_a_selection_elsewhere_marks_nothing():
    found = state("daily:2024-01-01..2024-06-01")
    view = partitions_view(found, Look(window=(154863, 154870)))
    assert not any(view.inside(PartitionSubset(found.of, {}))[0])
