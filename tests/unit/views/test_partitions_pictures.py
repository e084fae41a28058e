"""Partitions as text and as a picture: complete, and never more than text."""

from __future__ import annotations

import base64
from xml.etree import ElementTree as ET

import pytest

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.partitions.counts import PartitionCounts
from nbpipe.core.staleness import Assessment
from nbpipe.views.html import html_page
from nbpipe.views.lineage import lineage
from nbpipe.views.mermaid import mermaid
from nbpipe.views.palette import shares_text
from nbpipe.views.partitions import Look, partitions_view
from nbpipe.views.partitions_svg import partitions_img, partitions_svg
from nbpipe.views.partitions_text import partitions_text
from nbpipe.views.shares import share_bar
from nbpipe.views.svg import svg
from nbpipe.views.text import lineage_text
from tests.unit.core.assets import project, spec
from tests.unit.views.test_partitions_view import THREE, state

SVG = "{http://www.w3.org/2000/svg}"
NASTY = "<script>alert(1)</script>"


def shapes():
    regions = ",".join(f"r{n:03}" for n in range(100))
    month = "daily:2024-01-01..2024-01-31"
    return {
        "strip": state(month, fresh="2024-01-01..2024-01-20", failed="2024-01-05", old="2024-01-21", asset="days"),
        "million": state("hourly:1900-01-01T00..2014-01-29T15", failed="1999-01-01T00"),
        "list": state("static:eu,us,asia", fresh="eu", failed="us"),
        "grid": state(f"date=daily:2023-01-01 x region=static:{regions}", failed="2024-01-05|r001"),
        "cube": state(THREE, skipped="2024-01-02|us|c", running="2024-01-02|us|a"),
        "nothing": state("dynamic:customers"),
    }


@pytest.mark.parametrize("name", shapes())
def test_every_shape_is_a_picture_with_all_numbers_in_it(name):
    view = partitions_view(shapes()[name])
    root = ET.fromstring(partitions_svg(view))
    words = " ".join("".join(each.itertext()) for each in root.iter(f"{SVG}text"))
    for status, number in view.counts.items():
        assert f"{number:,} {status}" in words
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.get("height")) >= 0
    assert partitions_img(view).startswith('<img src="data:image/svg+xml;base64,')


def test_a_cell_tells_its_key_and_what_is_in_it():
    titles = [
        each.text for each in ET.fromstring(partitions_svg(partitions_view(shapes()["strip"]))).iter(f"{SVG}title")
    ]
    assert "2024-01-05: 1 failed" in titles
    assert "2024-01-21: 1 stale" in titles


def test_one_failure_among_thousands_can_be_seen():
    root = ET.fromstring(partitions_svg(partitions_view(shapes()["million"])))
    thin = [each for each in root.iter(f"{SVG}rect") if each.get("fill") == "url(#failed)" and each.get("x")]
    assert [float(each.get("height")) >= 3 for each in thin] == [True]


def test_text_shows_a_sign_for_each_cell():
    lines = partitions_text(partitions_view(shapes()["strip"])).splitlines()
    assert lines == [
        "days: 31 partitions of daily:2024-01-01..2024-01-31",
        "✖ 1 failed  ▲ 1 stale  □ 10 missing  ● 19 fresh",
        "●●●●✖●●●●●●●●●●●●●●●▲□□□□□□□□□□",
        "2024-01-01 … 2024-01-31",
    ]


def test_text_of_a_list_has_a_line_for_each_key():
    assert partitions_text(partitions_view(shapes()["list"])).splitlines()[2:] == [
        "● eu                        fresh",
        "✖ us                        failed",
        "□ asia                      missing",
    ]


def test_text_tells_what_is_left_out():
    text = partitions_text(partitions_view(shapes()["grid"], Look(page=1)))
    assert "page 2 of 3" in text
    assert "each sign is for up to 10 keys" in text
    assert "a: no partition yet of dynamic:customers\n" == partitions_text(partitions_view(shapes()["nothing"]))  # noqa: SIM300 - as a person reads it


def test_keys_are_text_and_never_markup():
    view = partitions_view(state(f'static:eu,"{NASTY}","a\\"b&c"', failed=f'"{NASTY}"', asset=NASTY))
    picture = partitions_svg(view)
    ET.fromstring(picture)
    assert "<script" not in picture
    assert "<script" not in partitions_img(view)
    encoded = partitions_img(view).partition("base64,")[2].partition('"')[0]
    assert base64.b64decode(encoded).decode() == picture


# --- the shares in a lineage -------------------------------------------------------------------------------------


@pytest.fixture(name="shared")
def _shared():
    definitions = project(
        spec("raw"), spec("daily", "raw", index=1, options=AssetOptions(partitions="daily:2024-01-01"))
    )
    counts = PartitionCounts(total=31, materialized=29, running=0, failed=2, missing=1, stale=0, skipped=1, fresh=27)
    assessments = {
        "raw": Assessment(asset="raw", status="fresh"),
        "daily": Assessment(asset="daily", status="failed", reasons=("2 of 31 failed",), partitions=counts),
    }
    return lineage(definitions, AssetGraph.of(definitions), assessments)


def test_a_node_knows_the_shares_of_its_partitions(shared):
    raw, daily = shared.nodes
    assert raw.shares == {}
    assert daily.shares == {"failed": 2, "missing": 1, "skipped": 1, "fresh": 27}


@pytest.mark.parametrize("draw", [svg, html_page, lineage_text, mermaid])
def test_every_form_of_a_lineage_says_the_shares(shared, draw):
    text = draw(shared).replace("#47;", "/").replace("#44;", ",")
    assert "29/31, 2 failed, 1 miss" in text


def test_the_picture_has_a_bar_of_shares(shared):
    bars = [each for each in ET.fromstring(svg(shared)).iter(f"{SVG}rect") if "share" in (each.get("class") or "")]
    assert [each.get("class") for each in bars] == ["share fresh", "share skipped", "share missing", "share failed"]


@pytest.mark.parametrize(
    "counts", [{"fresh": 1}, {"fresh": 1_000_000, "failed": 1}, {"failed": 1, "stale": 1, "missing": 1, "running": 1}]
)
def test_a_bar_is_filled_and_shows_every_status(counts):
    pieces = list(share_bar(counts, 5.0, 100.0))
    assert {status for status, _, _ in pieces} == set(counts)
    assert sum(width for _, _, width in pieces) == pytest.approx(100)
    assert min(width for _, _, width in pieces) >= 2
    assert pieces[0][1] == 5.0


@pytest.mark.parametrize(
    ("counts", "materialized", "words"),
    [
        ({"fresh": 31}, 31, "31/31"),
        ({"fresh": 27, "skipped": 1, "failed": 2, "stale": 1}, 30, "30/31, 2 failed, 1 stale, 1 skipped"),
        ({"missing": 3, "running": 1}, 0, "0/4, 1 running, 3 missing"),
        ({"fresh": 9_999, "missing": 1}, 9_999, "9,999/10k, 1 missing"),
        ({"fresh": 999_999, "failed": 1}, 999_999, "999k/1.0M, 1 failed"),
        ({"fresh": 999_500_000, "failed": 500_000}, 999_500_000, "999M/1000M, 500k failed"),
    ],
)
def test_shares_are_few_words_and_what_is_left_is_never_rounded_away(counts, materialized, words):
    assert shares_text(counts, materialized) == words
