"""What the configuration takes from the environment reaches no table of the state store."""

from __future__ import annotations

import pytest

from tests.live import person

SECRET = 'hunter2 "Ü"'
CONFIG = '[io.lake]\nurl = "memory://lake"\noptions = { extra = ["${LAKE_KEY}"] }\n'
BODIES = {
    "an error": "raise ValueError(os.environ['LAKE_KEY'])\na = 1",
    "an endless error": "raise ValueError('x' * 5_000 + os.environ['LAKE_KEY'])\na = 1",
    "a value": "a = os.environ['LAKE_KEY']",
    "a column": "import pandas as pd\na = pd.DataFrame({os.environ['LAKE_KEY']: [os.environ['LAKE_KEY']]})",
    "a display": "display({'text/plain': os.environ['LAKE_KEY']}, raw=True)\na = 1",
    "metadata": "context.add_output_metadata({'key': [os.environ['LAKE_KEY']]})\na = 1",
    "code": f"a = len({SECRET!r})",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_secret_is_blotted_out_of_all_that_is_recorded(project, monkeypatch, body):
    monkeypatch.setenv("LAKE_KEY", SECRET)
    (project / "nbpipe.toml").write_text(CONFIG, encoding="utf-8")
    with person(project, [f"%%asset a\nimport os\n{body}"]) as me:
        shown = me.run(0)
        assert (shown.error is None) == ("raise" not in body)
        store, state = me.session.workspace.store, me.state("a")
        told = repr((state, store.events(asset="a")))
        if state.current is not None:
            told += repr((store.details(state.current.id), store.sources(dict(state.current.code).values())))
    assert "hunter2" not in told
    assert "***" in told or "(5,0" in told


def test_an_error_that_cannot_describe_itself_is_recorded(project):
    body = "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Odd\na = 1"
    with person(project, [f"%%asset a\n{body}"]) as me:
        assert me.run(0).error is not None
        assert me.state("a").error == "Odd: (it can't be put in words)"


def test_a_secret_is_blotted_out_of_why_a_partition_was_skipped(project, monkeypatch):
    monkeypatch.setenv("LAKE_KEY", SECRET)
    (project / "nbpipe.toml").write_text(CONFIG, encoding="utf-8")
    with person(project, ["%%asset a --partitions static:x\nimport os\ncontext.skip(os.environ['LAKE_KEY'])"]) as me:
        me.run(0).ok()
        store = me.session.workspace.store
        found = store.partitions.detail("default", "a", "x", me.session.workspace.book.of("a").position("x"))
        told = repr((found, store.events(asset="a")))
    assert found.reason == "***"
    assert "hunter2" not in told
