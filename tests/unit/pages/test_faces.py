"""Messages name what a person can write where they sit."""

from __future__ import annotations

import pytest

from nbpipe.kernel.answers import Answer
from nbpipe.pages import faces
from nbpipe.pages.faces import in_notebook, on_terminal
from nbpipe.pages.page import Block, Table, line, plain_lines


@pytest.mark.parametrize(
    ("text", "notebook"),
    [
        ("`nbpipe materialize '*'` starts one", "`%materialize '*'` starts one"),
        ('first: nbpipe backfill "a b" --missing', 'first: %backfill "a b" --missing'),
        ("`nbpipe backfill resume 01a` goes on", "`%backfill resume 01a` goes on"),
        ("nbpipe partitions add s KEY, then nbpipe why x", "%partitions add s KEY, then %why x"),
        ("`nbpipe show x`, nbpipe wipe x, nbpipe list", "`nbpipe show x`, nbpipe wipe x, nbpipe list"),
        (
            "nbpipe.backfill('x'), my-nbpipe runs, nbpipe runs.txt",
            "nbpipe.backfill('x'), my-nbpipe runs, nbpipe runs.txt",
        ),
    ],
)
def test_a_notebook_is_told_of_magics(text, notebook):
    assert in_notebook(text) == notebook
    assert in_notebook(notebook) == notebook


@pytest.mark.parametrize(
    ("text", "terminal"),
    [
        ("`%materialize x --partitions a` makes it", "`nbpipe materialize x --partitions a` makes it"),
        ("%force x makes it again", "nbpipe materialize x makes it again"),
        ("%%asset x, %job x, %partition KEY, 5%force, %forced", "%%asset x, %job x, %partition KEY, 5%force, %forced"),
    ],
)
def test_a_terminal_is_told_of_commands(text, terminal):
    assert on_terminal(text) == terminal
    assert on_terminal(terminal) == terminal


def test_all_of_a_page_but_blocks_is_faced():
    page = ["%force a", line("b: ", "%force b", indent=2), Block("%force c"), Table(("d",), [("%force d",)])]
    assert list(plain_lines(faces.faced(page, on_terminal))) == [
        "nbpipe materialize a",
        "  b: nbpipe materialize b",
        "%force c",
        "d",
        "nbpipe materialize d",
    ]


def test_an_answer_in_a_notebook_names_magics():
    shown = Answer("backfill list", [])._repr_mimebundle_()
    assert shown["text/plain"] == "no backfills yet: `%backfill '*' --missing` starts one"
    assert "%backfill" in shown["text/html"]
