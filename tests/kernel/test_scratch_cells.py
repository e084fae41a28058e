"""What a person tries out in a console or a scratch cell, beside the cells of the notebook."""

from __future__ import annotations

from tests.live import person


def test_a_name_bound_in_passing_does_not_keep_the_asset_of_that_name_from_running_again(project):
    with person(project, ["%%asset orders\norders = [1, 2]", "%%asset count\ncount = len(orders)"]) as me:
        me.run_all()
        assert "orders is an asset" in me.type("orders = 5").err
        assert me.run(1).ok()
        assert me.run(0).ok()
        assert (me.names["orders"], me.names["count"]) == ([1, 2], 2)


def test_what_an_asset_body_binds_for_itself_leaves_the_names_of_a_console_alone(project):
    with person(project) as me:
        me.type("limit = 3").ok()
        me.type("%%asset small\nlimit = 1\nsmall = limit").ok()
        me.type("%%asset big\nbig = limit").ok()
        assert (me.names["small"], me.names["big"]) == (1, 3)
