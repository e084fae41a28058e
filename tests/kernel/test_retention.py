"""A person who executes a cell again and again fills no disk."""

from __future__ import annotations

from pathlib import Path

from tests.live import person


def test_old_values_are_removed_and_the_newest_stay(project: Path):
    (project / "nbpipe.toml").write_text("[retention]\nvalues = 2\n", encoding="utf-8")
    with person(project, ["%%asset a\na = 1"]) as me:
        for number in range(3):
            me.type(f"%%asset a\na = {number}").ok()
        store, env = me.session.workspace.store, me.session.workspace.env
        assert [each.expired for each in store.history(env, "a")] == [False, False, True]
        assert me.stored("a") == 2
    assert len(list((project / ".nbpipe/values").rglob("*.json"))) == 2
