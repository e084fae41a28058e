"""papermill is imported without a grammar that nobody here needs, and jsonschema knows as much as ever."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_OURS = "from nbpipe.execution.papermill_import import papermill_engines; papermill_engines()"

_VERDICTS = """
import json, sys
{first}
built = [name for name in sys.modules if name.startswith(("rfc3987_syntax", "lark"))]
import jsonschema
checker = jsonschema.FormatChecker()
verdicts = [
    checker.conforms(text, kind)
    for kind in ("iri", "iri-reference", "uri", "date")
    for text in ("http://ä.example/ü?x=1#y", "a b", "//x", "2024-05-01", "http://[")
]
print(json.dumps([built, sorted(checker.checkers), verdicts]))
"""


def verdicts(first: str) -> tuple[list[str], list[str], list[bool]]:
    words = [sys.executable, "-W", "ignore", "-c", _VERDICTS.format(first=first)]
    return tuple(json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout))


def test_importing_papermill_builds_no_grammar():
    assert verdicts(_OURS)[0] == []


def test_jsonschema_checks_addresses_as_if_it_had_been_imported_plainly():
    assert verdicts(_OURS)[1:] == verdicts("import jsonschema")[1:]


@pytest.mark.parametrize("before", ["import jsonschema", "import papermill"])
def test_what_is_imported_already_stays_as_it_is(before):
    assert verdicts(f"{before}; {_OURS}") == verdicts(before)
