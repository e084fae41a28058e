from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from nbpipe.core.reading.fingerprints import (
    ALGORITHM,
    combine,
    fingerprint,
    fingerprint_sequence,
    text_hash,
)
from nbpipe.core.reading.names import analyze

transform = TransformerManager().transform_cell


def code_version(source: str) -> str:
    return analyze(source, transform=transform).fingerprint


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "x=1  # comment"),
        ("x = 1", "# comment\n\n\nx = 1\n\n"),
        ("x = 1\ny = 2", "x = 1; y = 2;"),
        ("x = (a + b)", "x = a + b"),
        ("x = f(a, b)", "x = f(\n    a,\n    b,\n)"),
        ("x = 'a'", 'x = "a"'),
        ("x = 'a'", "x = u'a'"),
        ("x = 'ab'", "x = 'a' 'b'"),
        ("x = 'a\\n'", "x = '''a\n'''"),
        ("x = '\\x41'", "x = 'A'"),
        ("x = r'\\d'", "x = '\\\\d'"),
        ("x = 16", "x = 0x10"),
        ("x = 1000", "x = 1_000"),
        ("x = 1.0", "x = 1e0"),
        ("x = f'{a}b'", 'x = f"{a}" "b"'),
        ("x = f'{a:}'", "x = f'{a}'"),
        ("x = f'{a:>{w}}'", "x = f'''{a:>{w}}'''"),
        ("if a:\n    b\nelse:\n    if c:\n        d", "if a:\n  b\nelif c:\n  d"),
        ("if a:\n\tb", "if a:\n    b"),
        ("x: int = 1  # type: ignore", "x: int = 1"),
        ("for i in n:  # type: int\n  i", "for i in n:\n  i"),
        ("def f(a, b): return a", "def f(\n  a,\n  b,\n):\n  return a"),
        ("a \\\n + b", "a + b"),
        ("x = 1\r\ny = 2\r\n", "x = 1\ny = 2\n"),
        ("x = ﬁ", "x = fi"),
        ("x = 1, 2", "x = (1, 2)"),
        ("    x = 1", "x = 1"),
        ("%time x = f(a)", "x = f(a)"),
        ("%%time\nx = f(a)", "x = f(a)"),
        ("if a:\n    %time x = f(a)", "if a:\n    x = f(a)"),
        ("!ls\nx = 1", "!ls\nx = 1  # comment"),
        ("%matplotlib inline\nx=1", "%matplotlib inline\n\nx = 1"),
    ],
)
def test_code_that_means_the_same_has_the_same_version(before, after):
    assert code_version(before) == code_version(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "y = 1"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 0", "x = False"),
        ("x = 1", "x = '1'"),
        ("x = 1", "x = -1"),
        ("x = 1", "x = 1j"),
        ("x = 0.0", "x = -0.0"),
        ("x = 'a'", "x = b'a'"),
        ("x = 'a'", "x = a"),
        ("x = None", "x = 'None'"),
        ("x = None", "x = ..."),
        ("x = 'a'", "x = 'a '"),
        ("x = 'a'", "x = 'A'"),
        ("x = 'a'", "x = f'a'"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x = f'{a}'", "x = f'{a:>3}'"),
        ("x = f'{a}b'", "x = f'b{a}'"),
        ("x = a + b", "x = a - b"),
        ("x = a + b", "x = b + a"),
        ("x = (a + b) * c", "x = a + b * c"),
        ("x = a < b", "x = a <= b"),
        ("x = a and b", "x = a or b"),
        ("x = a.b", "x = a.c"),
        ("x = a[1]", "x = a[1:]"),
        ("x = a[1:]", "x = a[:1]"),
        ("x = f(a)", "x = f(*a)"),
        ("x = f(a)", "x = f(a=a)"),
        ("x = f(*a)", "x = f(**a)"),
        ("x = f(a, b)", "x = f((a, b))"),
        ("x = [a]", "x = (a,)"),
        ("x = {a}", "x = {a: a}"),
        ("x = {**a}", "x = {None: a}"),
        ("x = [i for i in a]", "x = (i for i in a)"),
        ("[i for i in a if b if c]", "[i for i in a if b and c]"),
        ("x = 1\ny = 2", "y = 2\nx = 1"),
        ("x = 1", "x = 1\nx"),
        ("x = 1", "x: int = 1"),
        ("(x): int = 1", "x: int = 1"),
        ("x += 1", "x = x + 1"),
        ("import a", "import a as b"),
        ("import a.b", "import a, b"),
        ("from a import b", "from .a import b"),
        ("from . import b", "from .. import b"),
        ("def f(a, b=1): ...", "def f(a=1, b=1): ..."),
        ("def f(a, /): ...", "def f(a): ..."),
        ("def f(a, *, b): ...", "def f(a, b): ..."),
        ("def f(*, a, b=1): ...", "def f(*, a=1, b): ..."),
        ("def f(): ...", "async def f(): ..."),
        ("def f(): 'a'", "def f(): 'b'"),
        ("def f(): pass", "@d\ndef f(): pass"),
        ("def f(): return", "def f(): return None"),
        ("def f():\n  global a, b", "def f():\n  global b, a"),
        ("class A(B): ...", "class A(m=B): ..."),
        ("for i in a: b", "for i in a: b\nelse: c"),
        ("if a:\n  b\n  c", "if a:\n  b\nc"),
        ("try: a\nexcept: b", "try: a\nexcept E: b"),
        ("try: a\nexcept E: b", "try: a\nexcept* E: b"),
        ("try: a\nexcept E: b\nelse: c", "try: a\nexcept E: b\nfinally: c"),
        ("match a:\n  case 1: b", "match a:\n  case '1': b"),
        ("match a:\n  case None: b", "match a:\n  case False: b"),
        ("match a:\n  case {**r}: b", "match a:\n  case {**s}: b"),
        ("match a:\n  case C(b=1): b", "match a:\n  case C(c=1): b"),
        ("!ls", "!ls -l"),
        ("%run a.py", "%run b.py"),
        ("x = %asset a", "x = %asset b"),
        ("x = = 1", "x = = 2"),
        ("%%bash\nls", "%%bash\nls -l"),
        ("%%bash\nls", "%%sh\nls"),
    ],
)
def test_code_that_means_something_else_has_another_version(before, after):
    assert code_version(before) != code_version(after)


# the longest cases stay on one line: a source with all that one piece of the grammar can hold
EXPECTED = [
    ("", "1:99aa06d3014798d86001c324468d497f"),
    ("x = 1", "1:75cdda4bc6a62a80b430ac677f516f3e"),
    ("x = y.dropna()  # comment", "1:40ec5c46d435d449ee4cf1ea43cc3910"),
    (
        "x = [1, -2.5, 1e400, 3j, True, None, ..., b'\\x00a', 'é\\n', 0xffffffffffffffffffffffff]",
        "1:8e15602fbd2eb95b20824fb640cca592",
    ),
    ("x = 'a' \"b\" '''c''' f'd{e!r:>{w}.{p}}f' f'{g=}' f'{h:}' f'{{}}'", "1:436256b6bd6cf995a0125a6927dbb34d"),
    ("f'{a + b:%Y-%m-%d} {c[\"d\"]} {e!s} { f = !r:>3}'", "1:473467cd64d3fe3bf46c1d9797122f2c"),
    ("f'{x:{y}}' 'tail' f'' f'plain'", "1:f46fcd042633274f1027b0a1f3e0f4ba"),
    (
        "f(a, *b, c=d, **e)[1:2, ::3, ...](lambda x, /, y=1, *z, k, l=2, **m: (yield))",
        "1:efe2530481e8a13ad9119f4adfa7f976",
    ),
    (
        "{**a, 'b': c}, {d, e}, [*f], (g,), {h: i for h, i in j if k if l}, {m for m in n}, (o async for o in p)",
        "1:b41af744bc71538a003b8acd0a991214",
    ),
    ("not a and b or c if d < e <= f is not g not in h else ~i ** j @ k // l", "1:43c4dd09c70b3c1cf664ba8d2c57c4c7"),
    (
        "a, (b, *c) = d.e = f[0] = g\nx: int\n(y): 'T' = 1\nz.w: list[int] = []\nv |= 1",
        "1:49fe14f1c21591df930688cb415103cc",
    ),
    (
        "import a, b.c as d\nfrom . import e\nfrom ..f import g as h, i\nfrom j import *",
        "1:2340300e5d5a207d32dc79762f4e20d3",
    ),
    (
        "@d\n@e.f(1)\ndef f(a: int, /, b=1, *c, d: str = '', e, **g) -> None:\n  '''Doc\n     string.'''\n  global x\n  return",  # noqa: E501
        "1:798be726cc1e474074241c5bb1e720ac",
    ),
    (
        "@d\nclass A(B, metaclass=C):\n  'Doc'\n  x = 1\n  async def f(self):\n    async with a as b, c: await d\n    async for e in f: yield e\n    else: pass",  # noqa: E501
        "1:e79d101d7d00d80e3c538146e84d252e",
    ),
    (
        "def f():\n  x = 1\n  def g():\n    nonlocal x\n    del x, y[0], z.w\n    raise A from b\n  assert x, 'no'\n  yield from g",  # noqa: E501
        "1:1241a14c958acfc870e5e834650c8804",
    ),
    (
        "for i in n:\n  if i: continue\n  elif j: break\nelse:\n  while True: pass\nwith (a as b, c): ...",
        "1:a48d6d801eaf739b1217bdc3a133570c",
    ),
    (
        "try: a\nexcept (E, F) as e: b\nexcept: c\nelse: d\nfinally: f\ntry: a\nexcept* G: b",
        "1:e23075ac57f1fa19c3edb4ae976a1be9",
    ),
    (
        "match p:\n  case 1 | -2.0 | 'a' | None: a\n  case [x, *_] if x: b\n  case {'k': v, **r}: c\n  case C(a, b=D.e) as f: d\n  case _: e",  # noqa: E501
        "1:4ce7468f728931e681f70a53db2da04c",
    ),
    ("if (n := len(a)) > 1: print(n)", "1:a3458781c0ed3a7643a971027f03ee6d"),
    ("x = a[b, *c]\nx = a[*b]\nx = a[()]", "1:434b56e08e9c9acc7bc916d3a710b5c9"),
    ('def f():\n    """First.\n\n    Second, \'quoted\'.\n    """', "1:c4e5f095c3f113d55635a2c8df20c030"),
    ("x = = 1", "1:833f37267a9ea495ed946abd6a12dc38"),
]


@pytest.mark.parametrize(("source", "expected"), EXPECTED)
def test_hashes_are_the_same_on_every_python_for_ever(source, expected):
    assert analyze(source).fingerprint == expected


def test_hashes_of_texts_and_combinations_are_the_same_for_ever():
    assert text_hash("") == "1:f0d6aabe14cf225370c5c5ff345dafaa"
    assert text_hash("é\udc80\n") == "1:e2f1bb237a56a6d0cb241a2554f8f438"
    assert combine([("body", "1:a"), ("helper clean", "1:b")]) == "1:91c8de77e1066b1f1e6db811c30ce677"


def test_a_hash_names_its_algorithm():
    for found in (analyze("x").fingerprint, text_hash("x"), combine([])):
        number, _, digest = found.partition(":")
        assert (number, len(digest)) == (str(ALGORITHM), 32)


def test_the_facts_of_a_cell_agree_with_the_source_and_its_tree():
    source = "import a\nx = a.b()\nx"
    found = analyze(source)

    assert found.fingerprint == fingerprint(ast.parse(source))
    assert [each.fingerprint for each in found.statements] == [fingerprint(each) for each in ast.parse(source).body]
    assert found.fingerprint == fingerprint_sequence(each.fingerprint for each in found.statements)


def test_fields_that_a_later_python_adds_leave_no_trace_while_empty():
    old, new = ast.parse("def f(): ...").body[0], ast.parse("def f(): ...").body[0]
    old.__dict__.pop("type_params", None)
    new.type_params = []

    assert fingerprint(old) == fingerprint(new)


def test_neighbouring_texts_of_an_f_string_are_one():
    whole, cut = ast.parse("f'ab{c}'").body[0], ast.parse("f'ab{c}'").body[0]
    cut.value.values[0:1] = [ast.Constant("a"), ast.Constant(""), ast.Constant("b")]

    assert fingerprint(whole) == fingerprint(cut)


def test_special_numbers_differ():
    nodes = [ast.Constant(value) for value in (float("nan"), float("inf"), 0.0, -0.0, 10**5000, 10**5000 + 1)]

    assert len({fingerprint(node) for node in nodes}) == len(nodes)


def test_a_tree_of_any_depth_has_a_hash():
    node: ast.expr = ast.Name("a", ast.Load())
    for _ in range(100_000):
        node = ast.UnaryOp(ast.USub(), node)

    deeper = ast.UnaryOp(ast.USub(), node)
    assert fingerprint(node) != fingerprint(deeper)
    while isinstance(deeper, ast.UnaryOp):  # taken apart by hand: freeing it at once would recurse
        inner, deeper.operand = deeper.operand, None
        deeper = inner


def test_source_that_is_not_python_is_hashed_as_text():
    assert analyze("x = = 1").fingerprint == text_hash("x = = 1")
    assert analyze("\0").fingerprint == text_hash("\0")


def test_components_combine_in_any_order():
    pairs = [("body", "1:a"), ("helper", "1:b"), ("constant", "1:c")]

    assert combine(pairs) == combine(reversed(pairs))


@pytest.mark.parametrize(
    "other",
    [
        [("body", "1:a")],
        [("body", "1:b"), ("helper", "1:a")],
        [("body1", ":a"), ("helper", "1:b")],
        [("body", "1:a6"), ("helper", "1:b")],
        [("body", "1:a"), ("helper", "1:b"), ("helper", "1:b")],
    ],
)
def test_other_components_combine_to_another_hash(other):
    assert combine([("body", "1:a"), ("helper", "1:b")]) != combine(other)


@given(st.text(), st.text())
def test_different_texts_have_different_hashes(one, other):
    assert (text_hash(one) == text_hash(other)) == (one == other)
