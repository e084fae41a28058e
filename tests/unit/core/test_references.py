"""Naming stored values."""

from __future__ import annotations

import pytest

from nbpipe.core.references import Reference, parse_reference, reference_text
from nbpipe.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders", ("orders", "", None)),
        (" orders ", ("orders", "", None)),
        ("dbt/orders", ("dbt/orders", "", None)),
        ("orders#3", ("orders", "", 3)),
        ("daily@2024-01-01", ("daily", "2024-01-01", None)),
        ("daily@2024-01-01#2", ("daily", "2024-01-01", 2)),
        ("hourly@2024-10-27T02+01:00#12", ("hourly", "2024-10-27T02+01:00", 12)),
        ("sales@2024-01-01|eu", ("sales", "2024-01-01|eu", None)),
        ('sales@2024-01-01|"New | York"#2', ("sales", '2024-01-01|"New | York"', 2)),
        ('sales@"New York"|"a#3"', ("sales", '"New York"|"a#3"', None)),
        ("city@New York", ("city", "New York", None)),
        ("city@ New York #2", ("city", "New York", 2)),
        ("city@Zürich/Altstadt", ("city", "Zürich/Altstadt", None)),
        ("city@東京#1", ("city", "東京", 1)),
        ("mail@ann@example.org", ("mail", "ann@example.org", None)),
        ("lang@C#", ("lang", "C#", None)),
        ("lang@C##2", ("lang", "C#", 2)),
        ("lang@a#b", ("lang", "a#b", None)),
        ("lang@a#3#2", ("lang", "a#3", 2)),
        ("lang@#²", ("lang", "#²", None)),
        ('lang@"a#3"', ("lang", "a#3", None)),
        ("lang@'a#3'#2", ("lang", "a#3", 2)),
        (r'lang@"say \"x\" \\"', ("lang", 'say "x" \\', None)),
        ('lang@"a', ("lang", '"a', None)),
        ("daily@2024-01-01..2024-01-31", ("daily", "2024-01-01..2024-01-31", None)),
    ],
)
def test_a_reference_is_read(text, expected):
    assert parse_reference(text) == Reference(*expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no asset"),
        ("@2024-01-01", "names no asset"),
        ("#2", "names no asset"),
        ("two words", "names no asset"),
        ("orders #2", "names no asset"),
        ("orders#", "number from 1, for example orders#1"),
        ("orders#0", "number from 1"),
        ("orders#x", "number from 1"),
        ("orders#²", "number from 1"),
        ("orders#" + "9" * 5000, "number from 1"),
        ("orders#2@2024-01-01", "number from 1"),
        ("daily@2024-01-01#0", "for example daily@KEY#1"),
        ("daily@", "names no partition"),
        ("daily@#2", "names no partition"),
        ('daily@""', "names no partition"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_form(text, message):
    with pytest.raises(UsageError, match=message):
        parse_reference(text)


@pytest.mark.parametrize("version", [None, 7])
@pytest.mark.parametrize(
    "key",
    ["", "2024-01-01", "a#3", "a#", '"a"', "'a'", "'a#3'", 'a"b#3', '2024|"New York"', '"x"|"y"', "a\\#3", "@", "é"],
)
def test_a_reference_is_written_so_that_it_is_read_again(key, version):
    text = reference_text("orders", key, version)
    assert parse_reference(text) == Reference("orders", key, version)
