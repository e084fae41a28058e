"""A notebook in a folder that nobody made part of a project."""

from __future__ import annotations

import pytest

from tests.live import person
from tests.notebooks import write_notebook


@pytest.mark.parametrize("cell", ["%%asset b\nb = orders", "%%asset b --use orders\nb = 1"])
def test_an_asset_of_another_folder_is_not_found_and_the_remedy_is_told(tmp_path, cell):
    write_notebook(tmp_path / "load.ipynb", ["%%asset orders\norders = 1"])
    (tmp_path / "reports").mkdir()
    with person(tmp_path / "reports", [cell]) as me:
        said = me.run(0).said
    assert f"Assets are looked for in {tmp_path / 'reports'} alone" in said
    assert "run `nbpipe init` in the folder above both" in said


def test_a_typing_error_in_a_project_of_its_own_is_just_that(tmp_path):
    (tmp_path / "reports").mkdir()
    with person(tmp_path / "reports", ["%%asset b\nb = lenght"]) as me:
        assert "alone" not in me.run(0).said
    write_notebook(tmp_path / "load.ipynb", ["%%asset orders\norders = 1"])
    (tmp_path / "reports" / "nbpipe.toml").touch()
    with person(tmp_path / "reports", ["%%asset b\nb = lenght"]) as me:
        assert "alone" not in me.run(0).said
