from __future__ import annotations

import pytest

from nbpipe.loading.config import Location
from nbpipe.loading.locations import locate


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.ipynb", "a.ipynb", True),
        ("*.ipynb", "a/b.ipynb", False),
        ("./*.ipynb", "a.ipynb", True),
        ("**/*.ipynb", "a.ipynb", True),
        ("**/*.ipynb", "a/b/c.ipynb", True),
        ("a/**/*.ipynb", "a/b.ipynb", True),
        ("a/**/*.ipynb", "a/x/y/b.ipynb", True),
        ("a/**/*.ipynb", "b/x.ipynb", False),
        ("a/**", "a/x/y.ipynb", True),
        ("**", "a/x.ipynb", True),
        ("**/x/**/y.ipynb", "a/x/b/x/y.ipynb", True),
        ("**/x/**/y.ipynb", "a/b/y.ipynb", False),
        ("a?/[bc].ipynb", "a1/c.ipynb", True),
        ("a?/[bc].ipynb", "a1/d.ipynb", False),
        ("a/b.ipynb", "a/b.ipynb", True),
        ("a/b.ipynb", "a", False),
        ("**/**/**/**/**/**/x.ipynb", "/".join("abcdefghijklmnopqrstuvwxyz") + "/y.ipynb", False),
    ],
)
def test_patterns_match_folder_by_folder(pattern, path, matches):
    assert locate({"here": Location(notebooks=(pattern,))}, [path]) == ({path: "here"} if matches else {})


def test_without_locations_there_is_one():
    assert locate({}, ["a.ipynb"]) == {"a.ipynb": "default"}


def test_the_first_location_with_a_pattern_counts():
    locations = {"one": Location(notebooks=("a/*.ipynb",)), "rest": Location()}
    assert locate(locations, ["a/x.ipynb", "b.ipynb"]) == {"a/x.ipynb": "one", "b.ipynb": "rest"}
