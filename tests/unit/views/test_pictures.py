import base64
from xml.etree import ElementTree as ET

import pytest

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.staleness import Assessment
from nbpipe.views.html import html_page
from nbpipe.views.lineage import LineageNode, LineageView, lineage
from nbpipe.views.mermaid import mermaid
from nbpipe.views.palette import LOOKS, PARTITION_URGENCY, URGENCY
from nbpipe.views.svg import svg, svg_data_uri_img
from nbpipe.views.text import lineage_text
from tests.unit.core.assets import project, spec

SVG = "{http://www.w3.org/2000/svg}"
NASTY = "<script>alert('1')</script>\"]; & \x00\x1b[31m --> ``` %%"


@pytest.fixture(name="view")
def _view():
    specs = [
        spec("raw", options=AssetOptions(group="sales")),
        spec("orders", "raw", index=1, options=AssetOptions(group="sales")),
        spec("report", "orders raw", index=2),
    ]
    definitions = project(*specs)
    assessments = {
        "raw": Assessment(asset="raw", status="fresh"),
        "orders": Assessment(asset="orders", status="stale", reasons=("code changed",)),
    }
    return lineage(definitions, AssetGraph.of(definitions), assessments)


@pytest.fixture(name="nasty")
def _nasty():
    texts = dict.fromkeys(("id", "label", "group", "notebook", "description"), NASTY)
    node = LineageNode(kind="asset", status="failed", reasons=(NASTY,), notes=(NASTY,), **texts)
    return LineageView(nodes=(node,), assets=1, counts={"failed": 1}, note=NASTY)


def words(document):
    return [text for element in ET.fromstring(document).iter() for text in (element.text or "",) if text.strip()]


def test_the_picture_shows_names_statuses_and_reasons(view):
    found = words(svg(view))
    assert {"raw", "orders", "report", "stale", "fresh", "missing", "code changed"} <= set(found)
    assert any(text.startswith("orders: stale\ncode changed") for text in found)
    assert {"1 fresh", "1 stale", "1 missing"} <= set(found)


def test_every_status_differs_in_colour_and_shape_and_word_and_sign():
    assert {*URGENCY, *PARTITION_URGENCY} == set(LOOKS)
    for field in ("word", "sign", "shape", "ink", "dark_ink"):
        assert len({getattr(look, field) for look in LOOKS.values()}) == len(LOOKS)


def contrast(one, other):
    """Return the contrast of two colours (WCAG 2.1, relative luminance)."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_words_are_readable_on_light_and_on_dark(look):
    assert contrast(look.ink, look.fill) >= 4.5
    assert contrast(look.dark_ink, look.dark_fill) >= 4.5


def test_everything_stays_inside_the_picture(view):
    root = ET.fromstring(svg(view))
    width, height = float(root.get("width")), float(root.get("height"))
    group = root.find(f"{SVG}g")
    dx, dy = map(float, group.get("transform")[len("translate(") : -1].split(","))
    for rect in group.iter(f"{SVG}rect"):
        if rect.get("class") == "box":
            x, y = float(rect.get("x")) + dx, float(rect.get("y")) + dy
            assert 0 <= x <= width - float(rect.get("width"))
            assert 0 <= y <= height - float(rect.get("height"))


def test_the_picture_is_an_image_without_scripts(view):
    html = svg_data_uri_img(view)
    data = html.partition("base64,")[2].partition('"')[0]
    assert base64.b64decode(data).decode() == svg(view)
    assert "Lineage: 3 assets, 1 stale, 1 missing, 1 fresh" in html


def test_a_wide_picture_is_scrolled_and_not_shrunk():
    nodes = [LineageNode(id=f"n{i}", label=f"n{i}", kind="asset", status="fresh", x=i * 250.0) for i in range(20)]
    assert "overflow-x" in svg_data_uri_img(LineageView(nodes=tuple(nodes), assets=20, counts={"fresh": 20}))


def test_all_text_is_escaped_in_the_picture(nasty):
    document = svg(nasty, title=NASTY)
    assert not list(ET.fromstring(document).iter(f"{SVG}script"))
    assert "<script" not in document
    assert any("alert('1')" in text for text in words(document))


def test_all_text_is_escaped_in_the_page(nasty):
    page = html_page(nasty, title=NASTY)
    assert "<script" not in page
    assert "\x1b" not in page
    assert "default-src 'none'" in page


def test_all_text_is_escaped_in_the_image(nasty):
    html = svg_data_uri_img(nasty, title=NASTY)
    assert html.count("<") == 1
    assert "<script" not in html


def test_all_text_is_escaped_in_mermaid(nasty):
    text = mermaid(nasty)
    assert not set("`%") & set(text)
    assert "script>" not in text
    assert text.count('"') == 4


def test_a_terminal_gets_no_control_characters(nasty):
    assert all(char.isprintable() or char == "\n" for char in lineage_text(nasty))


def test_mermaid_has_groups_shapes_and_words(view):
    assert mermaid(view).splitlines() == [
        "flowchart LR",
        '  n2["report<br/>missing"]:::missing',
        '  subgraph g1["sales"]',
        '    n0(["raw<br/>fresh"]):::fresh',
        '    n1[/"orders<br/>stale"\\]:::stale',
        "  end",
        "  n0 --> n1",
        "  n0 --> n2",
        "  n1 --> n2",
        "  classDef fresh fill:#eaf7ee,stroke:#1a7f37,color:#1f2328",
        "  classDef stale fill:#fff6df,stroke:#8a5a00,color:#1f2328",
        "  classDef missing fill:#f4f5f7,stroke:#5c6570,color:#1f2328",
    ]


def test_text_has_a_line_for_each_asset(view):
    assert lineage_text(view).splitlines() == [
        "● raw     fresh",
        "▲ orders  stale: code changed  <- raw",
        "□ report  missing  <- orders, raw",
    ]


def test_the_page_has_the_picture_and_a_table(view):
    page = html_page(view, title="Sales")
    assert page.count("<svg") == 1
    assert page.count('<td class="status">') == 3
    assert "<td>code changed</td><td>raw</td><td>sales</td><td>a.ipynb</td>" in page


def test_bundles_are_drawn_in_every_form():
    specs = [spec(f"n{i}", f"n{i - 1}" if i else "", options=AssetOptions(group="ab"[i % 2])) for i in range(8)]
    definitions = project(*specs)
    view = lineage(definitions, AssetGraph.of(definitions), {}, limit=3)
    assert "group:a -&gt; group:b (4 links)" in svg(view)
    assert "8 assets, drawn as 2 nodes" in svg(view)
    assert "n0 -->|4| n1" in mermaid(view)
    assert lineage_text(view).splitlines()[0] == "□ a  4 missing  <- b"
    assert "4 missing" in html_page(view)


def test_an_empty_view_is_drawn_too():
    view = LineageView()
    assert ET.fromstring(svg(view)).tag == f"{SVG}svg"
    assert lineage_text(view) == "no assets\n"
    assert mermaid(view) == "flowchart LR\n"
    assert "0 assets: none" in html_page(view)
