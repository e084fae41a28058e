"""What the extension adds to a shell and takes away again; which notebook a kernel believes to be."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from nbpipe.errors import RefusedError
from nbpipe.kernel import extension
from nbpipe.kernel.sessions import session_of
from tests.live import Person, person
from tests.notebooks import code, edit_cell, markdown, read_notebook, write_notebook


def contents(shell):
    """Return everything of a shell that an extension may add to."""
    return {
        "magics": {kind: dict(found) for kind, found in shell.magics_manager.magics.items()},
        "registry": dict(shell.magics_manager.registry),
        "hooks": {event: list(found) for event, found in shell.events.callbacks.items()},
        "transformers": list(shell.input_transformers_cleanup),
        "later transformers": list(shell.input_transformers_post),
        "matchers": list(shell.Completer.custom_matchers),
        "trees": list(shell.ast_transformers),
        "meta": dict(shell.meta),
        "methods": (set(vars(shell.display_pub)), set(vars(shell.displayhook))),
    }


def test_unloading_restores_everything(project):
    with person(project, ["%%asset a\na = 1"]) as me:
        me.type("%unload_ext nbpipe")  # loads IPython's own magics of extensions
        extension.unload(me.shell)
        me.shell.register_magic_function(lambda *_: "somebody else's", "cell", "asset")
        before = contents(me.shell)
        me.type("%load_ext nbpipe").ok()
        assert contents(me.shell) != before
        me.run(0).ok()
        me.type("%unload_ext nbpipe").ok()
        assert contents(me.shell) == before
        assert me.run(0).result.result == "somebody else's"


def test_loading_twice_keeps_what_this_kernel_knows(project):
    with person(project, ["%load_ext nbpipe", "%%asset a\na = 1"]) as me:
        me.type("%load_ext nbpipe").ok()
        session = me.session
        before = contents(me.shell)
        me.type("%load_ext nbpipe").ok()
        assert me.session is session
        assert contents(me.shell) == before
        assert me.executed() == ["a"]
        me.type("%reload_ext nbpipe").ok()
        assert me.session is not session
        assert me.executed() == []


def test_without_the_extension_the_magics_are_gone(project):
    with person(project, ["%%asset a\na = 1"]) as me:
        me.type("%unload_ext nbpipe")
        extension.unload(me.shell)
        assert session_of(me.shell) is None
        assert "not found" in me.run(0).said


def test_a_broken_configuration_is_one_clear_message_and_can_be_mended(project):
    (project / "nbpipe.toml").write_text("[retentoin]\n")
    write_notebook(project / "work.ipynb", ["%%asset a\na = 1"])
    (project / "nbpipe.toml").write_text("")
    with person(project, ["%%asset a\na = 1"]) as me:
        me.type("%unload_ext nbpipe")
        extension.unload(me.shell)
        (project / "nbpipe.toml").write_text("[retentoin]\n")
        shown = me.type("%load_ext nbpipe")
        assert shown.error is not None
        assert "nbpipe.toml" in shown.said
        assert "retention" in shown.said
        assert "Traceback" not in shown.out
        assert "run %load_ext nbpipe first" in me.run(0).said
        (project / "nbpipe.toml").write_text("")
        me.type("%load_ext nbpipe").ok()
        assert me.run(0).executed
        (project / "nbpipe.toml").write_text("[retentoin]\n")
        assert me.type("1 + 1").ok().err == ""
        assert "retention" in me.run(0).said


def test_a_hook_that_fails_is_no_error_of_the_cell(project, monkeypatch):
    with person(project, ["x = 1"]) as me:
        monkeypatch.setattr(me.session, "before_cell", lambda _: 1 / 0)
        shown = me.run(0).ok()
        assert shown.err == "nbpipe: ZeroDivisionError: division by zero\n"


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("%%asset new --re", {"--retries", "--retry-delay"}),
        ("%%asset new --backoff ", {"exponential", "linear"}),
        ("%%asset new --use or", {"orders"}),
        ("%job nightly orders --re", {"--retries", "--retry-delay"}),
        ("%schedule s 0 6 * * * --catchup ", {"none", "last", "all"}),
        ("%sensor s --asset or", {"orders"}),
        ("%%sensor s --e", {"--every"}),
        ("%asset or", {"orders"}),
        ("df = %asset or", {"orders"}),
        ("x = 1\n%force cus", {"customers"}),
        ("%lineage ", {"orders", "customers"}),
        ("%partitions or", {"orders"}),
        ("%materialize cu", {"customers"}),
    ],
)
def test_completion_offers_options_and_assets(project, text, offered):
    with (
        person(project, ["%%asset orders\norders = 1", "%%asset customers\ncustomers = orders"]) as me,
        provisionalcompleter(),
    ):
        found = {each.text for each in me.shell.Completer.completions(text, len(text))}
        assert offered <= found
        assert "customers" not in found or "customers" in offered or "orders" in offered


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("%%asset new --map or", "%%asset new --map orders="),
        ("%%asset new --map orders=of", "%%asset new --map orders=offset("),
        ("%%asset new --partitions da", "%%asset new --partitions daily:"),
        ("%%asset new --backf", "%%asset new --backfill"),
    ],
)
def test_completion_replaces_the_word_before_the_cursor(project, text, completed):
    with person(project, ["%%asset orders\norders = 1"]) as me, provisionalcompleter():
        (only,) = me.shell.Completer.completions(text, len(text))
        assert text[: only.start] + only.text + text[only.end :] == completed


def test_completion_elsewhere_is_ipythons(project):
    with person(project, ["%%asset orders\norders = 1"]) as me, provisionalcompleter():
        assert {each.text for each in me.shell.Completer.completions("pri", 3)} >= {"print"}


# --- which notebook am I ---


def test_the_notebook_is_told_by_the_jupyter_server(project, monkeypatch):
    path = write_notebook(project / "sub folder" / "été.ipynb", ["%%asset a\na = open_.name", "import os as open_"])
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    me = Person()
    try:
        assert me.session.notebook == path
        assert me.session.live.path == "sub folder/été.ipynb"
    finally:
        me.stop()


@pytest.mark.parametrize("name", ["console-1", "gone.ipynb", "folder.ipynb"])
def test_a_name_that_is_no_notebook_is_left_out_of_account(project, monkeypatch, name):
    (project / "folder.ipynb").mkdir()
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / name))
    me = Person()
    try:
        assert me.session.notebook is None
        assert me.type("%%asset a\na = 1").executed
    finally:
        me.stop()


def test_the_notebook_can_be_told_and_what_was_executed_still_counts(project):
    write_notebook(project / "work.ipynb", [code("n = 1", tags=["parameters"]), "K = 1", "%%asset a\na = n + K"])
    me = Person()
    try:
        me.type("n = 1", "cell-0").ok()
        me.type("K = 2", "cell-1").ok()
        me.type("%project work.ipynb").ok()
        assert me.session.live.path == "work.ipynb"
        me.type("%%asset a\na = n + K", "cell-2").ok()
        assert me.names["a"] == 3
        assert me.current("a").notebook == "work.ipynb"
        assert me.current("a").parameters == {"n": "1"}
        with pytest.raises(RefusedError, match="cell 2 has unsaved edits: save first"):
            me.session.refuse_unsaved()
    finally:
        me.stop()


def test_a_renamed_notebook_is_found_by_its_cells(project):
    cells = ["K = 1", "%%asset a\na = K", "%%asset b\nb = a"]
    with person(project, cells) as me:
        me.run_all()
        me.notebook.rename(project / "renamed.ipynb")
        me.notebook = project / "renamed.ipynb"
        assert me.executed() == []
        me.edit(0, "K = 2")
        assert me.executed() == ["a", "b"]
        assert me.current("a").notebook == "renamed.ipynb"


def test_a_notebook_that_no_frontend_names_is_found_by_its_cells(project):
    write_notebook(project / "other.ipynb", [code("x = 1", id="o1"), code("y = 1", id="o2")])
    write_notebook(
        project / "work.ipynb", [code("n = 1", tags=["parameters"], id="p"), code("%%asset a\na = n", id="a")]
    )
    me = Person()
    try:
        me.type("n = 1", "p").ok()
        me.type("%%asset a\na = n", "a").ok()
        assert me.session.live.path == "work.ipynb"
        assert me.current("a").parameters == {"n": "1"}
    finally:
        me.stop()


# --- what is saved and what was executed ---


def test_unsaved_edits_are_named(project):
    with person(project, [markdown("# title"), "K = 1", "%%asset a\na = K", "%%asset b\nb = K"]) as me:
        me.run_all()
        me.session.refuse_unsaved()
        me.type("K = 2", "cell-1").ok()
        me.type("%%asset b\nb = K + 1", "cell-3").ok()
        with pytest.raises(RefusedError, match="cells 2, 4 have unsaved edits: save first"):
            me.session.refuse_unsaved()
        me.edit(1, "K = 2")
        me.edit(3, "%%asset b\nb = K + 1")
        me.session.refuse_unsaved()


def test_a_cell_that_was_edited_and_saved_after_it_ran_is_to_be_run(project):
    with person(project, ["K = 1", "%%asset a\na = K", "%%asset b\nb = K"]) as me:
        me.run_all()
        me.edit(1, "%%asset a\na = K + 1")
        with pytest.raises(RefusedError, match="cell 2 was edited after this kernel ran it: run it first"):
            me.session.refuse_unsaved()
        me.edit(2, "%%asset b\nb = K + 1")
        with pytest.raises(RefusedError, match="cells 2, 3 were edited after this kernel ran them: run them first"):
            me.session.refuse_unsaved()
        me.run_all()
        me.session.refuse_unsaved()
        me.type("%%asset a\na = K + 2", "cell-1").ok()
        with pytest.raises(RefusedError, match="cell 2 has unsaved edits: save first"):
            me.session.refuse_unsaved()


def test_a_new_cell_counts_before_it_is_saved_wherever_it_stands(project):
    with person(project, ["%%asset a\na = 1", "%%asset b\nb = 2"]) as me:
        me.run_all()
        me.type("EXTRA = 10", "fresh-1").ok()
        shown = me.type("%%asset a\na = 1 + EXTRA", "cell-0").ok()
        assert (me.names["a"], shown.err) == (11, "")
        me.type("%%asset c\nc = a + b", "fresh-2").ok()
        assert me.names["c"] == 13
        with pytest.raises(RefusedError, match="cell 1 has unsaved edits"):
            me.session.refuse_unsaved()
        me.type("%%asset a\na = 1", "cell-0").ok()
        with pytest.raises(RefusedError, match="the saved notebook does not have c yet: save first"):
            me.session.refuse_unsaved()
        cells = read_notebook(me.notebook)["cells"]
        write_notebook(
            me.notebook, [code("EXTRA = 10", id="fresh-1"), *cells, code("%%asset c\nc = a + b", id="fresh-2")]
        )
        me.session.refuse_unsaved()
        assert me.executed() == ["c"]  # a is what it was at first
        assert me.executed() == []


def test_a_deleted_cell_is_forgotten(project):
    with person(project, ["%%asset a\na = 1"]) as me:
        me.run_all()
        me.type("%%asset new\nnew = 1", "fresh").ok()
        cells = read_notebook(me.notebook)["cells"]
        write_notebook(me.notebook, [*cells, code("%%asset new\nnew = 1", id="fresh")])
        me.session.refuse_unsaved()
        write_notebook(me.notebook, cells)
        me.session.refuse_unsaved()
        assert me.session.notebook_assets() == ("a",)


def test_a_renamed_asset_leaves_nothing_behind(project):
    with person(project, ["%%asset old\nold = 1", "%%asset b\nb = 1"]) as me:
        me.run_all()
        me.edit(0, "%%asset new\nnew = 1")
        assert me.run(0).ok().err == ""
        assert me.session.notebook_assets() == ("new", "b")
        me.session.refuse_unsaved()


def foreign(cell):
    return f"vscode-notebook-cell:/work.ipynb#{cell}"


def test_cells_whose_ids_no_file_knows_are_told_apart_by_what_they_say(project):
    with person(project, ["K = 1", "%%asset a\na = K", "%%asset b\nb = a"]) as me:
        for position, cell in enumerate(read_notebook(me.notebook)["cells"]):
            me.type(cell["source"], foreign(position)).ok()
        assert me.current("a").cell_id == "cell-1"
        me.type("K = 2", foreign(0)).ok()
        shown = me.type("%%asset a\na = K", foreign(1)).ok()
        assert (shown.executed, shown.err) == (True, "")
        shown = me.type("%%asset a\na = K + 1", foreign(1)).ok()
        assert (me.names["a"], shown.err) == (3, "")
        with pytest.raises(RefusedError, match="cells 1, 2 have unsaved edits"):
            me.session.refuse_unsaved()
        me.edit(0, "K = 2")
        me.edit(1, "%%asset a\na = K + 1")
        me.session.refuse_unsaved()
        assert me.session.notebook_assets() == ("a", "b")


def test_an_edited_cell_with_a_foreign_id_is_known_again_once_it_is_saved(project):
    with person(project, ["K = 1", "%%asset a\na = K"]) as me:
        me.type("J = 5\nK = 3", foreign(0)).ok()
        me.edit(0, "J = 5\nK = 3")
        me.type("%%asset a\na = K", foreign(1)).ok()
        me.session.refuse_unsaved()
        assert me.current("a").stored.metadata is not None
        assert me.names["a"] == 3


def test_frontends_that_tell_no_ids_are_followed_by_text_and_assets(project):
    with person(project, ["K = 1", "%%asset a\na = K", "%%asset b\nb = a"]) as me:
        for cell in read_notebook(me.notebook)["cells"]:
            me.type(cell["source"]).ok()
        me.type("%%asset a\na = K + 1").ok()
        assert me.names["a"] == 2
        with pytest.raises(RefusedError, match="cell 2 has unsaved edits"):
            me.session.refuse_unsaved()


def test_a_file_that_is_broken_for_a_moment_changes_nothing(project):
    with person(project, ["K = 1", "%%asset a\na = K"]) as me:
        me.run_all()
        text = me.notebook.read_text()
        me.notebook.write_text(text[:50])
        assert not me.type("%%asset a\na = K", "cell-1").ok().executed
        me.notebook.write_text(text)
        assert me.executed() == []


def test_what_a_frontend_asks_for_itself_is_no_cell(project):
    with person(project, ["%%asset a\na = 1"]) as me:
        me.run_all()
        me.shell.run_cell("hidden = 1", store_history=False)
        assert [cell.source for cell in me.session.facts.cells] == ["%%asset a\na = 1"]


# --- without any notebook: a terminal ---


def test_a_terminal_has_no_cells_but_an_order(project):
    me = Person()
    try:
        me.type("LIMIT = 2")
        me.type("def f(x):\n    return x * LIMIT")
        assert me.type("%%asset a\na = f(5)").executed
        assert "(never materialized)" in me.type("%%asset b\nb = a + 1").out
        assert not me.type("%%asset a\na = f(5)").executed
        me.type("LIMIT = 3")
        assert "(constant LIMIT changed)" in me.type("%%asset a\na = f(5)").out
        me.type("LIMIT = 2")
        assert "(constant LIMIT changed)" in me.type("%%asset a\na = f(5)").out
        assert not me.type("%%asset a\na = f(5)").executed
        assert "replaces" not in me.type("%%asset a\na = f(6)").err
        assert me.type("a").out.endswith("12\n")
    finally:
        me.stop()


def test_what_ran_before_the_extension_was_loaded_counts(project):
    me = Person()
    try:
        extension.unload(me.shell)
        me.type("import math").ok()
        me.type("K = 3\n%load_ext nbpipe").ok()
        assert me.type("%%asset a\na = math.floor(K)").executed
    finally:
        me.stop()


def test_paths_of_a_session_start_from_its_folder(project, monkeypatch):
    (project / "sub").mkdir()
    (project / "sub" / "x.txt").write_text("1")
    monkeypatch.chdir(project / "sub")
    me = Person()
    try:
        me.type("from pathlib import Path").ok()
        me.type("%%asset a\na = Path('x.txt').read_text()").ok()
        assert list(me.current("a").files) == ["sub/x.txt"]
    finally:
        me.stop()


def test_skipped_cells_say_so(project):
    with person(project, [code("%%asset a\na = 1", tags=["nbpipe:skip"])]) as me:
        shown = me.run(0)
        assert "a tag of this cell (nbpipe:skip or skip-execution) excludes it" in shown.said


def test_a_notebook_without_kernelspec_in_an_old_format(project):
    path = write_notebook(project / "old one.ipynb", ["K = 1", "%%asset a\na = K"], kernelspec=None, nbformat_minor=2)
    me = Person(path)
    try:
        me.type("K = 1", "random-id-1").ok()
        me.type("%%asset a\na = K", "random-id-2").ok()
        assert me.names["a"] == 1
        me.session.refuse_unsaved()
        me.type("%%asset a\na = K + 1", "random-id-2").ok()
        edit_cell(path, 1, "%%asset a\na = K + 1")
        me.session.refuse_unsaved()
    finally:
        me.stop()
