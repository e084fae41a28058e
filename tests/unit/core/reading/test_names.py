"""What a piece of code takes and gives.

Reads are written `name`, with `~` for deferred and `?` for uncertain.
"""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from nbpipe.core.reading.facts import CodeFacts, LineMagic
from nbpipe.core.reading.names import analyze

transform = TransformerManager().transform_cell


def facts(source: str) -> CodeFacts:
    return analyze(source, transform=transform)


def words(reads) -> set[str]:
    return {("~" if read.deferred else "") + read.name + ("" if read.certain else "?") for read in reads}


SCOPING = [
    # plain statements
    ("", ""),
    ("pass", ""),
    ("x = 1", ""),
    ("x = y", "y"),
    ("x = x.dropna()", "x"),
    ("x = 1\ny = x", ""),
    ("y = x\nx = 1", "x"),
    ("x += 1", "x"),
    ("x = 0\nx += y", "y"),
    ("a.b = 1", "a"),
    ("a[i] = v", "a i v"),
    ("a[i] += v", "a i v"),
    ("a, (b, *c) = d\nprint(a, b, c)", "d print"),
    ("[a, b] = c\na, b", "c"),
    ("a = b = c\na, b", "c"),
    ("a = a2 = a", "a"),
    ("f(*a, **b)", "f a b"),
    ("f(x=y)", "f y"),
    ("a[1:n, ::k]", "a n k"),
    ("a.b.c(d.e)", "a d"),
    ("{**a, b: c}", "a b c"),
    ("a if b else c", "a b c"),
    ("not a and b or c", "a b c"),
    ("a < b < c", "a b c"),
    ("assert a, b", "a b"),
    ("raise A from b", "A b"),
    ("'x y'", ""),
    ("print(True, None, ...)", "print"),
    ("f'{a} {b!r:>{w}} {c=}'", "a b w c"),
    ("f'{a:{b}.{c}}'", "a b c"),
    ("x: int = y", "int y"),
    ("x: int\nx", "int x"),
    ("a.b: T = c", "T a c"),
    ("x: 'T' = 1", ""),
    ("from __future__ import annotations\nx: T = 1", ""),
    ("from __future__ import annotations\ndef f(a: T) -> R: ...", ""),
    # imports
    ("import a\na", ""),
    ("import a.b\na.b.c", ""),
    ("import a.b as c\nc, a", "a"),
    ("from a import b as c\nb, c", "b"),
    ("from a import *\nb", "b"),
    # deleting
    ("del x", "x"),
    ("x = 1\ndel x", ""),
    ("x = 1\ndel x\nx", "x"),
    ("x = 1\ndel x\nx = 2\nx", ""),
    ("del a[i]", "a i"),
    ("del a.b, c", "a c"),
    ("x = 1\nif c: del x\nx", "c x?"),
    ("x = 1\ndef f(): return x\ny = f()\ndel x", ""),
    # functions
    ("def f(a, b=c, *d, e=g, **h): a, b, d, e, h", "c g"),
    ("def f(a, /, b): a, b", ""),
    ("def f(): return x", "~x"),
    ("def f(): return x\nx = 1", ""),
    ("x = 1\ndef f(): return x", ""),
    ("def f(): return f()", ""),
    ("def f():\n  x\n  x = 1", ""),
    ("def f():\n  x = 1\nx", "x"),
    ("def f(a: T, *b: U, **c: V) -> R: ...", "T U V R"),
    ("def f(a: 'T') -> 'R': ...", ""),
    ("def f():\n  x: T = y", "~y"),
    ("def f():\n  x: T\n  return x", ""),
    ("@d(a)\ndef f(): ...", "d a"),
    ("def f(a=a): return a", "a"),
    ("def f():\n  def g(): return x\n  x = 1\n  return g", ""),
    ("def f():\n  def g(): return x\n  return g", "~x"),
    ("def f():\n  def g(): return x + y\n  x = 1\n  return g", "~y"),
    ("def f():\n  x = 1\n  def g():\n    nonlocal x\n    x = 2\n  return x", ""),
    ("def f():\n  global x\n  x = 1\nx", "x?"),
    ("def f():\n  global x\n  return x", "~x"),
    ("def f():\n  x = 1\n  def g():\n    global x\n    return x", "~x"),
    ("def f():\n  import a\n  return a.b", ""),
    ("def f():\n  for i in n: i\n  return i", "~n"),
    ("def f():\n  with a as b: b", "~a"),
    ("def f():\n  try: ...\n  except E as e: e", "~E"),
    ("def f():\n  if a: b = 1\n  return b", "~a"),
    ("def f():\n  del x", ""),
    ("def f():\n  x += 1", ""),
    ("def f():\n  yield x", "~x"),
    ("async def f():\n  await x", "~x"),
    ("async def f():\n  async for a in b: a\n  async with c as d: d", "~b ~c"),
    ("if c:\n  x = 1\ndef f(): return x", "c ~x?"),
    ("def f(): return x\nif c:\n  x = 1", "c ~x?"),
    ("def f(): return x\nx", "x"),
    ("for i in n:\n  fs.append(lambda: i)", "n fs"),
    # lambdas
    ("lambda: x", "~x"),
    ("lambda x, *y, z=w: (x, y, z)", "w"),
    ("f = lambda n: f(n - 1)", ""),
    ("df.apply(lambda r: r * k)", "df ~k"),
    ("lambda: (y := x) + y", "~x"),
    ("lambda: lambda x: x + y", "~y"),
    # comprehensions
    ("[x for x in y]", "y"),
    ("[x for x in x]", "x"),
    ("[x for x in y]\nx", "y x"),
    ("[a + b for a in c for b in a if d]", "c d"),
    ("[b for a in c for b in b]", "c"),
    ("{k: v for k, v in z.items() if k in w}", "z w"),
    ("{a for a, (b, *c) in d if b or c}", "d"),
    ("[[j for j in i] for i in n]", "n"),
    ("[lambda: i for i in n]", "n"),
    ("[lambda: i + k for i in n]", "n ~k"),
    ("g = (x * k for x in xs)", "xs ~k"),
    ("g = (x * k for x in xs)\nk = 1", "xs"),
    ("sum(x * k for x in xs)\nk = 1", "sum xs k"),
    ("g = (y for x in a for y in b)", "a ~b"),
    ("[f(y) for x.a in z]", "f y x z"),
    ("[d[i] for i, d[k] in z]", "d k z"),
    # :=
    ("(y := x)\ny", "x"),
    ("if (n := len(a)) > 1: n", "len a"),
    ("if (n := f()) > 1: pass\nn", "f"),
    ("if a and (n := b): n", "a b"),
    ("if a and (n := b): pass\nelse: n", "a b n?"),
    ("if a or (n := b): n", "a b n?"),
    ("if not (a or (n := b)): n", "a b"),
    ("x = (n := a) if b else c\nn", "b a c n?"),
    ("x = a and (n := b)\nn", "a b n?"),
    ("x = [n := i for i in a]\nn", "a n?"),
    ("x = [n for i in a if (n := i)]", "a"),
    ("any((hit := i) for i in a)\nhit", "any a hit?"),
    ("while (line := f.readline()): line\nline", "f"),
    ("f(y := 1, y)", "f"),
    ("def f():\n  [y := i for i in a]\n  return y", "~a"),
    # classes
    ("class A(B, metaclass=M): ...", "B M"),
    ("@d\nclass A: ...", "d"),
    ("class A:\n  x = 1\n  y = x", ""),
    ("class A:\n  y = x\n  x = 1", "x"),
    ("class A:\n  x = x", "x"),
    ("class A:\n  x = 1\n  def f(self): return x", "~x"),
    ("class A:\n  x = 1\n  y = [x for _ in z]", "x z"),
    ("class A:\n  x = [1]\n  y = [i for i in x]", ""),
    ("class A:\n  x = 1\n  f = lambda self: x", "~x"),
    ("class A:\n  def f(self): return A", ""),
    ("class A:\n  a = A", "A"),
    ("class A:\n  def f(self): return __class__", ""),
    ("class A:\n  def f(self): super().f()", "~super"),
    ("class A:\n  __qualname__, __module__", ""),
    ("class A:\n  x: T = y", "T y"),
    ("class A:\n  def f(self, a: T = d) -> R: ...", "T d R"),
    ("d.query('a > @x and b.dt.year == @y')", "d x? y?"),
    ("d.query(expr='a > @x', engine=e)", "d e x?"),
    ("d.query(f'a > @x + {z}')", "d x? z"),
    ("d.query('a >' '@ü.b')", "d ü?"),
    ("x = 1\nd.eval('b = a + @x')", "d"),
    ("def f(x): return d.query('a > @x + @y')", "~d ~y?"),
    ("d.query('mail == \"a@x\" and @@y')", "d"),
    ("d.send('@x')", "d"),
    ("class A:\n  if c: x = 1\n  y = x", "c x?"),
    ("class A:\n  class B: ...\n  class C(B): ...", ""),
    ("class A:\n  x = 1\nx", "x"),
    ("def f():\n  x = 1\n  class A:\n    y = x\n    def g(self): return x", ""),
    ("def f():\n  class A:\n    y = x", "~x"),
    ("class A:\n  global x\n  x = 1\nx", ""),
    # branches
    ("if c: x = 1\nx", "c x?"),
    ("if c: x = 1\nelse: x = 2\nx", "c"),
    ("if c: x = 1\nelif d: x = 2\nx", "c d x?"),
    ("if c: x = 1\nelif d: x = 2\nelse: x = 3\nx", "c d"),
    ("if c: x = 1\nelse: raise E\nx", "c E"),
    ("if c:\n  if d: x = 1\n  else: x = 2\nelse: x = 3\nx", "c d"),
    ("if True: x = 1\nx", ""),
    ("if __name__ == '__main__': x = 1\nx", "__name__"),
    ("if c: x = 1\nif c: x", "c x?"),
    ("x = 0\nif c: x = 1\nx", "c"),
    ("if c: x = x + 1", "c x"),
    # loops
    ("for i in n: i\ni", "n i?"),
    ("for a, b in n: a, b", "n"),
    ("for a.b in n: pass", "a n"),
    ("for i in n: x = i\nx", "n x?"),
    ("for i in n:\n  print(x)\n  x = i", "n print x"),
    ("x = 0\nfor i in n: x = x + i\nx", "n"),
    ("for i in n:\n  if i: continue\n  x = i\n  x", "n"),
    ("for i in n: pass\nelse: x = 1\nx", "n"),
    ("for i in n:\n  if i: break\nelse: x = 1\nx", "n x?"),
    ("for i in n:\n  if i:\n    x = 1\n    break\nelse: x = 2\nx", "n"),
    ("while c: x = 1\nx", "c x?"),
    ("while True:\n  x = f()\n  if x: break\nx", "f"),
    ("while True:\n  if c: break\n  x = 1\nx", "c x?"),
    ("while 1:\n  try: x = f()\n  except E: continue\n  break\nx", "f E"),
    # with
    ("with a as b: b\nb", "a"),
    ("with a as b, b.c as d: x = d\nx", "a"),
    ("with (a as b, c as d): b, d", "a c"),
    ("with suppress(E): x = 1\nx", "suppress E x?"),
    ("with contextlib.suppress(E): x = 1\nx", "contextlib E x?"),
    ("with open(p) as f: x = f.read()\nx", "open p"),
    # try
    ("try: x = 1\nexcept E: pass\nx", "E x?"),
    ("try: x = 1\nexcept E: x = 2\nx", "E"),
    ("try: x = 1\nexcept E: raise\nx", "E"),
    ("try: x = 1\nexcept E: x", "E x?"),
    ("try: f()\nexcept E as e: e\ne", "f E e"),
    ("e = 1\ntry: f()\nexcept E as e: pass\ne", "f E e?"),
    ("try: f()\nexcept E: pass\nelse: x = 1\nx", "f E x?"),
    ("try: f()\nexcept E: x = 2\nelse: x = 1\nx", "f E"),
    ("try: x = f()\nfinally: x", "f x?"),
    ("try: x = f()\nfinally: g()\nx", "f g"),
    ("try: f()\nfinally: x = 1\nx", "f"),
    ("try: import a\nexcept ImportError: a = None\na", "ImportError"),
    ("try: f()\nexcept* E as e: e", "f E"),
    # match
    ("match p:\n  case 1: x = 1\nx", "p x?"),
    ("match p:\n  case 1: x = 1\n  case _: x = 2\nx", "p"),
    ("match p:\n  case a: a\na", "p"),
    ("match p:\n  case [a, *b]: a, b", "p"),
    ("match p:\n  case {'k': a, **r}: a, r", "p"),
    ("match p:\n  case C(a, k=b) as c: a, b, c", "p C"),
    ("match p:\n  case m.X | m.Y: pass", "p m"),
    ("match p:\n  case a if a > k: a", "p k"),
    ("match p:\n  case [a]: pass\na", "p a?"),
    ("match p:\n  case [a] | (1 | a): pass\n  case _: a = 1\na", "p"),
    # await at the top level
    ("x = await f(a)", "f a"),
    ("async with a as b: b", "a"),
    ("async for i in n: i", "n"),
    ("[i async for i in n]", "n"),
]

IPYTHON = [
    ("%time y = f(x)\ny", "f x"),
    ("%time f(x)", "f x"),
    ("%timeit -n 10 -r3 f(x)", "f x"),
    ("%timeit y = f(x)\ny", "f x y"),
    ("%prun -s cumulative f(x)", "f x"),
    ("y = %time f(x)", "f x"),
    ("if c:\n    %time y = f(x)\n    y", "c f x"),
    ("def g():\n    %time y = f(x)\n    return y", "~f ~x"),
    ("%%time\ny = f(x)", "f x"),
    ("\n%%time\ny = f(x)", "f x"),
    ("%%timeit\ny = f(x)", "f x"),
    ("%%capture out\ny = f(x)", "f x"),
    ("!ls {folder}", "folder"),
    ("!ls {a + b[0]} {{c}}", "a b"),
    ("!ls $folder $HOME", "folder? HOME?"),
    ("!ls ${folder}", "folder?"),
    ("!awk '{print $1}' f.csv", ""),
    ("files = !ls {folder}\nfiles", "folder"),
    ("!!ls {folder}", "folder"),
    ("%cd {folder}", "folder"),
    ("%job nightly {group}", ""),
    ("x = %asset orders", ""),
    ("%matplotlib inline\nx", "x"),
    ("x?", "x?"),
    ("%%bash -s {n}\necho {m}", "n"),
    ("!echo a \\\n  {b}\nc", "b c"),
    ("x = (a\n%b)", "a b"),
    ("get_ipython().system('ls {folder}')", "folder"),
    ("get_ipython().ask()", "get_ipython"),
    ("    x = a\n    y = x", "a"),
    (">>> x = a\n>>> y = x", "a"),
]


@pytest.mark.parametrize(("source", "reads"), SCOPING + IPYTHON)
def test_free_names_follow_the_scoping_rules_of_python(source, reads):
    found = facts(source)

    assert found.problem is None
    assert words(found.reads) == set(reads.split())


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("def f[T: B](a: T, b: U = d) -> R: return T, x", "d ~B U R ~x"),
        ("class A[T](B[T]):\n  x: T\n  def f(self): return T", "B"),
        ("type A[T] = list[T, U]", "~list ~U"),
        ("type A = list[A]", "~list"),
    ],
)
def test_type_parameters_have_a_scope_of_their_own(source, reads):
    found = facts(source)
    if sys.version_info >= (3, 12):
        assert words(found.reads) == set(reads.split())
    else:
        assert found.problem is not None


@pytest.mark.parametrize(
    ("source", "binds", "conditional", "last"),
    [
        ("x = 1", "x", "", "x"),
        ("a, (b, *c) = d", "a b c", "", "c"),
        ("a = b = c", "a b", "", "b"),
        ("b = 1\na = 2\nb = 3", "b a", "", "b"),
        ("x = 1\nimport a\ndef f(): ...\nclass B: ...", "x a f B", "", "x"),
        ("import a.b, c as d\nfrom e import f as g, h\nfrom i import *", "a d g h", "", None),
        ("if c: x = 1", "x", "x", "x"),
        ("if c: x = 1\nelse: x = 2", "x", "", "x"),
        ("if c: x = 1\nelse: y = 2", "x y", "x y", "y"),
        ("for i in n: t = i", "i t", "i t", "t"),
        ("t = 0\nfor i in n: t += i", "t i", "i", "t"),
        ("with a as b: x = b", "b x", "", "x"),
        ("try: x = 1\nexcept E as e: y = e", "x y", "x y", "y"),
        ("x = 1\ny = 2\ndel y", "x", "", "x"),
        ("del x", "", "", None),
        ("x = [i for i in n if (k := i)]", "k x", "k", "x"),
        ("x: int = 1", "x", "", "x"),
        ("x: int", "", "", None),
        ("a.b = 1\nc[0] = 2", "", "", None),
        ("x = 1\n_ = f()", "x _", "", "x"),
        ("def f():\n  global x\n  x = 1", "x f", "x", None),
        ("match p:\n  case [a]: b = a", "a b", "a b", "b"),
        ("x = 1\nx", "x", "", "x"),
        ("def f():\n  y = 1\nx = 2", "f x", "", "x"),
        ("%time x = f()", "x", "", "x"),
        ("%timeit x = f()", "", "", None),
        ("%%timeit\nx = f()", "", "", None),
        ("%%capture out\nx = f()", "out x", "", "x"),
        ("%%bash --out text\nls", "text", "", None),
        ("files = !ls", "files", "", "files"),
        ("while True:\n  x = f()\n  break", "x", "", "x"),
    ],
)
def test_bound_names(source, binds, conditional, last):
    found = facts(source)

    assert found.problem is None
    assert (found.binds, found.conditional) == (tuple(binds.split()), tuple(conditional.split()))
    assert found.last_assigned == last


@pytest.mark.parametrize(
    ("statement", "changed"),
    [
        ("x.append(1)", "x"),
        ("x.a.b.append(1)", "x"),
        ("x['a'].update(b=1)", "x"),
        ("x[0] = 1", "x"),
        ("x.a = 1", "x"),
        ("x.a[0].b = 1", "x"),
        ("x.loc[a, 'b'] = 1", "x"),
        ("del x[0]", "x"),
        ("del x.a", "x"),
        ("x += 1", "x"),
        ("x |= y", "x"),
        ("x[0] += 1", "x"),
        ("a, x[0] = b", "x"),
        ("for x[0] in n: pass", "x"),
        ("with a as x.b: pass", "x"),
        ("y = x.pop()", "x"),
        ("y = x.setdefault(k, [])", "x"),
        ("x.setdefault(k, []).append(1)", "x"),
        ("x.drop(columns='a', inplace=True)", "x"),
        ("x.drop(columns='a', inplace=False)", ""),
        ("np.add(a, b, out=x)", "x"),
        ("random.shuffle(x)", "x"),
        ("rng.shuffle(x)", "x"),
        ("heapq.heappush(x, 1)", "x"),
        ("setattr(x, 'a', 1)", "x"),
        ("np.random.seed(1)", "np"),
        ("random.seed(1)", "random"),
        ("sys.path.insert(0, 'src')", "sys"),
        ("x.fit(a, b)", "x"),
        ("y = x.fit(a, b)", "x"),
        ("Model().fit(a, b)", ""),
        ("Polynomial.fit(a, b)", ""),
        ("if c: x.append(1)", "x"),
        ("for i in n: x.append(i)", "x"),
        ("c and x.append(1)", "x"),
        ("x.append(1) if c else y.append(1)", "x y"),
        ("[x.append(i) for i in n]", "x"),
        ("def f(): x.append(1)", "x"),
        ("def f(x): x.append(1)", ""),
        ("def f():\n  x = []\n  x.append(1)", ""),
        ("def f():\n  global x\n  x = 1", "x"),
        ("lambda: x.pop()", "x"),
        ("class A:\n  def f(self): self.a = 1", ""),
        ("if c:\n  x = []\n  x.append(1)", ""),
        ("y = x.add(1)", ""),
        ("y = np.append(x, 1)", ""),
        ("np.append(x, 1)", ""),
        ("os.remove(x)", ""),
        ("y = rng.normal(size=3)", ""),
        ("x.sort_values('a')", ""),
        ("x = 1", ""),
        ("[].append(x)", ""),
        ("f(x).append(1)", ""),
    ],
)
def test_visible_changes_of_objects(statement, changed):
    (found,) = facts(statement).statements

    assert set(found.mutates) == set(changed.split())


@pytest.mark.parametrize(
    ("statement", "attributes", "dynamic"),
    [
        ("m.f(x)", {("m", "f")}, {"x"}),
        ("m.a.b", {("m", "a")}, set()),
        ("f(m)", set(), {"f", "m"}),
        ("m.f(m)", {("m", "f")}, {"m"}),
        ("m.x = 1", set(), set()),
        ("m['x']", set(), {"m"}),
        ("def f(): return m.g()", {("m", "g")}, set()),
        ("def f(m): return m.g()", set(), set()),
        ("@m.d\nclass A(m.B): ...", {("m", "d"), ("m", "B")}, set()),
        ("[m.f(i) for i in n]", {("m", "f")}, {"n"}),
        ("def f():\n  import m\n  return m.g(m.h)", {("m", "g"), ("m", "h")}, set()),
        ("if c:\n  import m\n  m.g()", {("m", "g")}, {"c"}),
        ("del m", set(), set()),
    ],
)
def test_uses_of_free_names(statement, attributes, dynamic):
    (found,) = facts(statement).statements

    assert (set(found.attributes), set(found.dynamic)) == (attributes, dynamic)


def test_imports_are_found_wherever_they_stand():
    source = "import a.b\nfrom ..c import d as e\nfrom f import *\ndef g():\n  import h as i\n  return i"
    found = [
        (each.module, each.attribute, each.name, each.line) for s in facts(source).statements for each in s.imports
    ]

    assert found == [
        ("a.b", None, "a", 1),
        ("..c", "d", "e", 2),
        ("f", "*", "*", 3),
        ("h", None, "i", 5),
    ]


@pytest.mark.parametrize(
    ("statement", "strings"),
    [
        ("pd.read_csv('data/x.csv', sep=';')", ("data/x.csv", ";")),
        ("x = {'a': ['b', ('c',)]}", ("a", "b", "c")),
        ("x = 'data/' 'x.csv'", ("data/x.csv",)),
        ("f(f'data/{x}.csv')", ()),
        ("f(f'{g(\"a.csv\")}')", ("a.csv",)),
        ("'alone'", ()),
        ("def f():\n  'docstring'\n  return open('a')", ("a",)),
        ("class A:\n  'docstring'\n  a = 'b'", ("b",)),
        ("def f(a: Literal['b'] = 'c'): ...", ("c",)),
        ("f('a', 'a', b'c', '')", ("a",)),
        ("f('''a\nb''')", ()),
        ("x = a['b.csv']", ("b.csv",)),
        ("%time x = f('a.csv')", ("a.csv",)),
    ],
)
def test_texts_that_may_name_files(statement, strings):
    (found,) = facts(statement).statements

    assert found.strings == strings


@pytest.mark.parametrize(
    ("statement", "literal"),
    [
        ("x = 1", "1"),
        ("x = -1.5", "-1.5"),
        ("x: int = 0x10", "0x10"),
        ("x = ['a', {'b': (1, None)}, {2}]", "['a', {'b': (1, None)}, {2}]"),
        ("ä = 'ö'  # why", "'ö'"),
        ("x = [\n  1,\n  'é', 2]", "[\n  1,\n  'é', 2]"),
        ("x = 'a' 'b'", "'a' 'b'"),
        ("x = y", None),
        ("x = f(1)", None),
        ("x = [1, y]", None),
        ("x = {**y}", None),
        ("x = -y", None),
        ("x = -True", None),
        ("x = f'a'", None),
        ("x = y = 1", None),
        ("x, y = 1, 2", None),
        ("x.a = 1", None),
        ("x += 1", None),
    ],
)
def test_source_of_literal_values(statement, literal):
    (found,) = facts(statement).statements

    assert found.literal == literal


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("import a", "import"),
        ("from a import b", "import"),
        ("def f(): ...", "def"),
        ("async def f(): ...", "def"),
        ("class A: ...", "class"),
        ("x = 1", "assign"),
        ("x: int = 1", "assign"),
        ("x += 1", "assign"),
        ("f()", "expression"),
        ("%time f()", "expression"),
        ("%time x = f()", "assign"),
        ("%asset orders", "expression"),
        ("%sql select 1", "expression"),
        ("%matplotlib inline", "other"),
        ("!ls", "other"),
        ("x?", "other"),
        ("for i in n: pass", "other"),
        ("if a: import b", "other"),
        ("del x", "other"),
    ],
)
def test_kinds_of_statements(statement, kind):
    (found,) = facts(statement).statements

    assert found.kind == kind


@pytest.mark.parametrize(
    ("source", "ends"),
    [("x", True), ("x = 1\nx;", True), ("x = 1", False), ("await f()", True), ("!ls", False), ("", False)],
)
def test_code_that_ends_in_a_value(source, ends):
    assert facts(source).ends_in_expression is ends


@pytest.mark.parametrize(
    ("source", "comment"),
    [
        ("# Orders of a day\n# by shop\nx = 1", "Orders of a day\nby shop"),
        ("\n\n#Orders\n\n# not this\nx", "Orders"),
        ("#!/bin/sh\n# %%\n# noqa: F401\n# type: ignore\n#| echo: false\n\n# Orders", "Orders"),
        ("%%time\n# Orders\nx", "Orders"),
        ("x = 1\n# no", ""),
        ("x = 1  # no", ""),
        ("# type of shop", "type of shop"),
        ("", ""),
    ],
)
def test_comment_that_opens_the_code(source, comment):
    assert facts(source).comment == comment


@pytest.mark.parametrize(
    ("source", "awaits"),
    [
        ("x = await f()", True),
        ("async for i in n: pass", True),
        ("async with a: pass", True),
        ("if c:\n  for i in n:\n    await f(i)", True),
        ("[i async for i in n]", True),
        ("[await i for i in n]", True),
        ("g = (i async for i in n)", False),
        ("g = (i for i in await n)", True),
        ("async def f(): await g()", False),
        ("async def f():\n  async with a: pass\n  async for i in n: pass", False),
        ("f()", False),
    ],
)
def test_await_at_the_top_level(source, awaits):
    assert facts(source).awaits is awaits


def test_line_magics_are_found_at_column_0():
    source = (
        "\n%job nightly group:a \\\n  --retries 2\nif c:\n    %matplotlib inline\nx = (a\n%b)\ny = %asset orders\n'''\n"
        "%not_this\n'''\n%run setup.py 1\n%run -i 'my file.py'\n%run -m a.b\n%run {name}.py"
    )
    found = facts(source)

    assert found.magics == (
        LineMagic("job", "nightly group:a    --retries 2", 2),
        LineMagic("run", "setup.py 1", 12),
        LineMagic("run", "-i 'my file.py'", 13),
        LineMagic("run", "-m a.b", 14),
        LineMagic("run", "{name}.py", 15),
    )
    assert found.runs == ("setup.py", "my file.py", "a/b.py")


def test_line_numbers_are_those_of_the_cell():
    source = "\n\n!echo a \\\n  b \\\n  c\n%time x = a\n@d\ndef f(\n  b=c):\n    !ls \\\n      {e}\n    return g\n\nh"
    found = facts(source)

    assert {read.name: read.line for read in found.reads} == {"a": 6, "d": 7, "c": 9, "e": 10, "g": 12, "h": 14}
    assert [(each.line, each.end_line) for each in found.statements] == [(3, 3), (6, 6), (7, 12), (14, 14)]


def test_reads_of_a_statement_are_its_own():
    first, second, third = facts("x = a\ny = x\nif c:\n  z = 1\n  z").statements

    assert (words(first.reads), words(second.reads), words(third.reads)) == ({"a"}, {"x"}, {"c"})
    assert (first.binds, third.binds) == (("x",), ("z",))


def test_a_name_is_listed_once_as_strongly_as_it_is_read():
    found = facts("def f(): return x\nif c:\n  x = 1\nx\nf(x)\ny = x")

    assert [(read.name, read.line, read.deferred, read.certain) for read in found.reads] == [
        ("x", 1, False, False),
        ("c", 2, False, True),
    ]


@pytest.mark.parametrize(
    ("source", "line", "bound"),
    [
        ("x = 1\ny = = 2\nz = 3", 2, ("x",)),
        ("x = 1\ny = (\n  1,\n  = 2)", 4, ("x",)),
        ("x = 1\ndef f():\n  return (", 3, ("x",)),
        ("x = 1\n%job a\ny = = 2", 3, ("x",)),
        ("x = '\udcff'", 1, ()),
        ("x = 1\0", 1, ()),
        ("  x = 1\n y", 1, ()),
        ("%%time\nx = 1\ny = = 2", 3, ("x",)),
    ],
)
def test_bad_source_is_a_problem_and_what_stands_above_counts(source, line, bound):
    found = facts(source)

    assert found.problem is not None
    assert found.problem.message
    assert found.problem.line == line
    assert found.binds == bound
    assert found.fingerprint


def test_magics_without_a_transformer_are_a_problem_but_are_seen():
    found = analyze("x = 1\n%job nightly all\ny = 2")

    assert found.problem is not None
    assert found.problem.line == 2
    assert found.magics == (LineMagic("job", "nightly all", 2),)
    assert found.binds == ("x",)


def test_the_transformer_is_called_only_where_python_fails():
    def refuse(_text):
        raise AssertionError

    assert analyze("x = (a\n%b)\ny = '!ls'", transform=refuse).problem is None


def test_a_transformer_that_raises_is_a_problem():
    def fail(_text):
        raise RuntimeError

    assert analyze("%x", transform=fail).problem is not None


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "a + " * 3000 + "a",
        "x = " + "a + " * 600 + "a",
        "x = df" + ".f()" * 400,
        "x = " + "[" * 90 + "a" + "]" * 90,
        "x = " + "-" * 800 + "a",
        "if a: x = 0\n" + "\n".join(f"elif a == {i}: x = {i}" for i in range(400)),
        "x = " + "lambda: " * 80 + "a",
        "x = " + "(" * 5000 + "a",
        "x = " + " and ".join(["a"] * 5000),
        "x = [\n" + "a,\n" * 20000 + "]",
        "x = " + "a if a else " * 300 + "a",
    ],
)
def test_deep_and_long_code_does_no_harm(source):
    found = facts(source)

    assert found.problem is not None or {"a", "df"} & {read.name for read in found.reads}


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab =\n\t:()[]{}'\"%!?$\\#,;.*@0\0é\udc80") | st.characters(), max_size=60))
def test_any_text_can_be_analysed(text):
    found = facts(text)

    assert set(found.conditional) <= set(found.binds)


KEYWORDS = "if for in x y while def f ( ) : = 1 \n \n\t lambda [ ] try except as with del return global := await yield"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(KEYWORDS.split(" ")), max_size=25).map(" ".join))
def test_any_words_can_be_analysed(text):
    facts(text)
