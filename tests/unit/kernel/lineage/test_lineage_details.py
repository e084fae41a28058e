"""Text of a project is text, wherever the widget writes it."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest

from nbpipe.core.definitions import AssetOptions, AssetSpec, CellRef
from nbpipe.core.records import AssetState, Details, Materialization, Preview, StoredValue
from nbpipe.core.staleness import Assessment
from nbpipe.kernel.lineage import details
from nbpipe.kernel.lineage.curves import control_points
from nbpipe.kernel.lineage.faces import face
from nbpipe.kernel.lineage.model import AssetFacts
from nbpipe.views.lineage import LineageNode, LineageView

HARM = "<img src=x onerror=alert(1)>\"'&\x00"


def facts(preview: Preview) -> AssetFacts:
    stored = StoredValue(
        io=HARM, format=HARM, path=HARM, size=1, data_version=HARM, type=HARM, metadata={HARM: HARM, "rows": 1234567}
    )
    current = Materialization(
        id=1,
        env=HARM,
        asset=HARM,
        partition="",
        version=3,
        stored=stored,
        code=(),
        code_version="",
        parameters={HARM: HARM},
        run_id=HARM,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        metadata={"mine": [HARM]},
    )
    return AssetFacts(
        spec=AssetSpec(
            key=HARM,
            cell=CellRef(HARM, 1, "id"),
            siblings=(),
            options=AssetOptions(group=HARM),
            description=HARM,
        ),
        assessment=Assessment(asset=HARM, status="stale", reasons=(HARM,), notes=(HARM,)),
        state=AssetState(asset=HARM, current=current),
        details=Details(preview=preview),
        upstream=(),
        downstream=(),
    )


@pytest.mark.parametrize(
    "preview",
    [
        Preview(),
        Preview(kind="text", text=HARM),
        Preview(kind="table", columns=(HARM,), dtypes=(HARM,), rows=((HARM,),)),
        Preview(kind="table", columns=(HARM,), rows=((HARM,),)),
        Preview(kind="image", image=b"\x89PNG"),
    ],
    ids=lambda preview: preview.kind,
)
def test_everything_of_an_asset_is_escaped(preview):
    found = facts(preview)
    written = details.heading(found) + details.why(found) + details.stored(found)
    assert "<img src=x" not in written
    assert "&lt;img src=x" in written
    assert "\x00" not in written
    assert "1,234,567" in written


def test_everything_of_a_graph_is_escaped():
    node = LineageNode(id=HARM, label=HARM, kind="bundle", status="fresh", description=HARM, counts={"fresh": 2})
    view = LineageView(nodes=(node,), counts={"fresh": 2}, assets=2, note=HARM)
    pieces = (
        details.legend(view),
        details.overview(view),
        details.bundle(node),
        details.error(HARM),
        details.message(HARM),
    )
    for written in pieces:
        assert "<img" not in written


@pytest.mark.parametrize("status", ["fresh", "stale", "missing", "failed", "running", "queued"])
def test_a_face_shows_its_status_as_word_and_is_well_formed(status):
    node = LineageNode(id="a", label="a", kind="asset", status=status, reasons=(HARM,))
    head, _, data = face(node).partition(",")
    assert head == "data:image/svg+xml;base64"
    picture = ET.fromstring(base64.b64decode(data))
    assert status in "".join(picture.itertext())


@pytest.mark.parametrize(
    ("target", "waypoints", "weights"),
    [
        ((250.0, 0.0), (), [0.452, 0.548]),
        ((250.0, 0.0), ((125.0, 30.0),), [0.452, 0.5, 0.548]),
        ((-250.0, 0.0), (), [-0.66, 1.66]),
    ],
    ids=["straight", "through a waypoint", "back"],
)
def test_arrows_leave_to_the_right_and_arrive_from_the_left(target, waypoints, weights):
    assert control_points((0.0, 0.0), target, waypoints)[0] == pytest.approx(weights, abs=0.001)
