"""The widget in Python: it follows the store while it is seen, and leaves nothing behind."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from nbpipe.commands.workspace import Workspace
from nbpipe.kernel.lineage import show_lineage
from nbpipe.kernel.lineage.fallback import Picture
from nbpipe.kernel.lineage.panel import LineagePanel
from nbpipe.kernel.lineage.watcher import Watcher
from nbpipe.storage.memory import InMemoryStateStore
from tests.notebooks import write_notebook

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PATIENCE = 30.0


@pytest.fixture
def session(project: Path):
    write_notebook(project / "n.ipynb", ["%%asset a\na = 1", "%%asset b\nb = a"])
    with Workspace.open(project) as workspace:
        yield SimpleNamespace(workspace=workspace, in_step=False, shell=SimpleNamespace(kernel=object()))


@pytest.fixture
def panel(session):
    found = show_lineage(session)
    assert isinstance(found, LineagePanel)
    yield found
    found.close()


def test_a_kernel_with_a_frontend_gets_a_widget_with_a_picture_beside_it(panel):
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    assert bundle["text/plain"].splitlines()[0].startswith("□ a")


@pytest.mark.parametrize(
    "changes",
    [{"in_step": True}, {"shell": SimpleNamespace(kernel=None)}, {"shell": SimpleNamespace()}],
    ids=["step of a job", "terminal", "other shell"],
)
def test_where_nobody_can_click_there_is_only_the_picture(session, changes):
    vars(session).update(changes)
    found = show_lineage(session, selection="a")
    assert isinstance(found, Picture)
    assert set(found._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert repr(found).splitlines() == ["□ a  missing: never materialized"]


def test_only_nodes_that_look_different_are_sent(panel, session):
    view = panel._model.view
    assert panel._drawing.update(view.nodes) == 0
    session.workspace.store.record_failure("default", ["a"], "broken", at=NOW)
    assert panel._drawing.update(panel._model.refresh().nodes) == 1


def test_a_change_of_the_store_reaches_the_widget(panel, session):
    shown = threading.Event()
    panel._controls.legend.observe(lambda event: shown.set() if "failed" in event["new"] else None, "value")
    session.workspace.store.record_failure("default", ["a"], "broken", at=NOW)
    assert shown.wait(PATIENCE)
    assert {node.id: node.status for node in panel._model.view.nodes}["a"] == "failed"


def test_a_closed_widget_leaves_no_thread_and_no_connection_and_is_told_nothing(panel, session):
    panel.close()
    assert not panel._watcher.alive
    assert panel.comm is None
    session.workspace.store.record_failure("default", ["a"], "broken", at=NOW)
    panel._follow()
    panel.close()
    assert {node.status for node in panel._model.view.nodes} == {"missing"}


def test_a_watcher_tells_nothing_while_nobody_looks_and_catches_up_after():
    store, told = InMemoryStateStore(), threading.Event()
    watcher = Watcher(store, told.set, lambda: None)
    try:
        store.record_failure("default", ["a"], "broken", at=NOW)
        assert told.wait(PATIENCE)
        watcher.pause()
        watcher.resume()
        told.clear()
        store.record_failure("default", ["a"], "broken again", at=NOW)
        assert told.wait(PATIENCE)
    finally:
        watcher.end()
    assert not watcher.alive


def test_a_watcher_ends_when_its_store_is_closed_by_others(session):
    workspace = Workspace(session.workspace.project)
    watcher = Watcher(workspace.store, lambda: None, lambda: None)
    workspace.close()
    watcher._thread.join(PATIENCE)
    assert not watcher.alive
    watcher.end()
