"""`%partitions` and its Python twin, called as a person does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.live import person
from tests.stored import fail_partitions, store_partitions

CELLS = [
    "%load_ext nbpipe",
    "%%asset daily --partitions daily:2024-01-01..2024-01-03\ndaily = partition.key",
    "%%asset plain\nplain = 1",
]


@pytest.fixture
def at_work(project):
    with person(project, CELLS) as found:
        store_partitions(project, "daily", {"2024-01-01": 1})
        fail_partitions(project, "daily", "2024-01-02", error="boom")
        yield found


@pytest.mark.parametrize(
    "call", ["%partitions daily", "%partitions 'daily'", "import nbpipe; nbpipe.partitions('daily')"]
)
def test_it_shows_the_partitions_as_a_picture_and_as_text(at_work, call):
    shown = at_work.type(call).ok()
    assert "✖ 1 failed  □ 1 missing  ● 1 fresh" in shown.out
    assert "●✖□" in shown.out


def test_help_says_how_it_is_used(at_work):
    shown = at_work.type("%partitions --help").ok()
    assert shown.out.startswith("Usage: %partitions")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "of which asset"),
        ("daily plain", "one asset"),
        ("--json daily", "--json"),
        ("plain", "plain has no partitions"),
        ("dayly", "did you mean 'daily'"),
        ("daily@2024-01-01", "leave out @2024-01-01"),
        ("daily#2", "#2"),
        ("'daily", "never closed"),
    ],
)
def test_wrong_use_is_explained(at_work, line, words):
    shown = at_work.type(f"%partitions {line}")
    assert shown.error is not None
    assert words in shown.said


def test_an_asset_that_is_not_saved_yet_is_shown_too(at_work):
    at_work.type("%%asset other --partitions static:x,y\nother = 1", "cell-9")
    assert "□ x" in at_work.type("%partitions other").ok().out


def test_in_a_script_the_twin_returns_what_can_be_printed(at_work, project):
    code = "import nbpipe; print(nbpipe.partitions('daily'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "daily: 3 partitions of daily:2024-01-01..2024-01-03", done.stderr
