"""A run whose disk fills up: old values stay current and readable, and the run ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.disks import on_small_disk
from tests.notebooks import outputs_text, write_notebook

pytestmark = pytest.mark.faults

CELLS = [
    "from pathlib import Path",
    "%%asset a\nprint('hello')\na = b'old'",
    "%%asset b\nb = len(a)",
    "%%asset c\nc = 7",
]

#: Materializes all, edits asset `a` with `EDIT`, tries again and says what is left; then once more with room.
PROGRAM = """
import json, sys
from pathlib import Path
from tests.notebooks import edit_cell
from tests.terminal import nbpipe

disk = Path(sys.argv[1])
project = disk.parent
assert nbpipe(project, "materialize", "*").status == 0
edit_cell(project / "n.ipynb", 1, {edit!r})
failed = nbpipe(project, "materialize", "*")

def look():
    states = nbpipe(project, "status", "--json")
    path = nbpipe(project, "load", "a", "--path").out.strip()
    return {{
        "status": {{row["asset"]: [row["status"], row["version"]] for row in states.data}},
        "value": Path(path).read_text(),
        "runs": [run["status"] for run in nbpipe(project, "runs", "--json").data],
        "files": sorted(file.name[-4:] for file in (disk / "values").rglob("*") if file.is_file()),
    }}

full = look()
(disk / "ballast").unlink(missing_ok=True)
room = look()
edit_cell(project / "n.ipynb", 1, "%%asset a\\na = b'new'")
again = nbpipe(project, "materialize", "*")
print(json.dumps([failed.status, failed.out + failed.err, full, room, again.status, look()]))
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A project whose state and values are in a folder of their own; a disk is to be mounted there."""
    folder = tmp_path / "disk"
    folder.mkdir()
    (tmp_path / "nbpipe.toml").write_text('state = "sqlite:///disk/state.db"\nstorage = "disk/values"\n')
    write_notebook(tmp_path / "n.ipynb", CELLS)
    return folder


def carried_out(disk: Path, edit: str):
    return json.loads(on_small_disk(disk, PROGRAM.format(edit=edit), megabytes=2))


def failed_record(project: Path):
    return json.loads(sorted(project.glob(".nbpipe/runs/*/*.ipynb"))[1].read_text())


def test_a_value_that_does_not_fit_fails_its_asset_alone_and_leaves_nothing_behind(disk: Path) -> None:
    status, said, full, room, again, after = carried_out(disk, "%%asset a\nprint('hello')\na = b'x' * 5_000_000")
    assert status == 1
    assert "No space left on device" in said
    assert "`nbpipe gc` removes old values" in said
    assert room == full
    assert full == {
        "status": {"a": ["failed", 1], "b": ["stale", 1], "c": ["fresh", 2]},
        "value": "old",
        "runs": ["failure", "success"],
        "files": [".bin", "json", "json", "json"],
    }
    assert outputs_text(failed_record(disk.parent)["cells"][1]).startswith("hello\n")
    assert (again, after["value"]) == (0, "new")


def test_where_not_even_the_state_can_be_written_the_run_ends_as_soon_as_it_can(disk: Path) -> None:
    ballast = (
        "%%asset a\nprint('hello')\na = b'new'\nwith Path('disk/ballast').open('wb', buffering=0) as file:\n"
        "    try:\n        while True:\n            file.write(bytes(4096))\n    except OSError:\n        pass"
    )
    status, said, full, room, again, after = carried_out(disk, ballast)
    assert status != 0
    assert "the disk is full" in said
    assert full["value"] == "old"
    assert {asset: version for asset, (_, version) in full["status"].items()} == {"a": 1, "b": 1, "c": 1}
    assert full["runs"] == ["running", "success"]
    assert room["runs"] == ["failure", "success"]
    assert room["status"] == {"a": ["failed", 1], "b": ["stale", 1], "c": ["fresh", 1]}
    assert room["value"] == "old"
    assert outputs_text(failed_record(disk.parent)["cells"][1]).startswith("hello\n")
    assert (again, after["value"]) == (0, "new")
