from __future__ import annotations

import pytest

from nbpipe.views.escaping import escaped, printable


@pytest.mark.parametrize(
    ("text", "plain", "markup"),
    [
        ("orders", "orders", "orders"),
        ("Ü … 数", "Ü … 数", "Ü … 数"),
        ("\x1b[31mred\x07", "[31mred", "[31mred"),
        ("a\nb\tc", "abc", "a\nb\tc"),
        ('<b a="1">&\'', '<b a="1">&\'', "&lt;b a=&quot;1&quot;&gt;&amp;&#x27;"),
        ("\u202egnp", "gnp", "gnp"),
        ("\ud800x", "x", "x"),
    ],
)
def test_control_characters_go_and_markup_is_text(text, plain, markup):
    assert printable(text) == plain
    assert escaped(text) == markup
