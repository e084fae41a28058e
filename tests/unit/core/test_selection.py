import pytest

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.selection import And, Down, Has, Name, Not, Or, Roots, Sinks, Up, resolve
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.errors import SelectionError, UnknownNameError
from tests.unit.core.assets import spec

A, B, C = Name("a"), Name("b"), Name("c")


def same(selection):
    """Forget the columns, so that tables need not count."""
    match selection:
        case Name(pattern):
            return Name(pattern)
        case Has(attribute, value):
            return Has(attribute, value)
        case And(parts) | Or(parts):
            return type(selection)(tuple(map(same, parts)))
        case Up(part, depth) | Down(part, depth):
            return type(selection)(same(part), depth)
        case Not(part):
            return Not(same(part))
    return type(selection)(same(selection.part) if selection.part else None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("  a  ", A),
        ("*", Name("*")),
        ("raw_*", Name("raw_*")),
        ("a b", Or((A, B))),
        ("a or b", Or((A, B))),
        ("a or b c", Or((A, B, C))),
        ("a and b", And((A, B))),
        ("a and b and c", And((A, B, C))),
        ("a and b c", Or((And((A, B)), C))),
        ("a b and c", Or((A, And((B, C))))),
        ("not a", Not(A)),
        ("not not a", Not(Not(A))),
        ("not a b", Or((Not(A), B))),
        ("a and not b", And((A, Not(B)))),
        ("a not b", Or((A, Not(B)))),
        ("(a b) and c", And((Or((A, B)), C))),
        ("(a)(b)", Or((A, B))),
        ("+a", Up(A)),
        ("a+", Down(A)),
        ("+a+", Up(Down(A))),
        ("2+a", Up(A, 2)),
        ("a+1", Down(A, 1)),
        ("2+a+1", Up(Down(A, 1), 2)),
        ("0+a+0", Up(Down(A, 0), 0)),
        ("a+ b", Or((Down(A), B))),
        ("a +b", Or((A, Up(B)))),
        ("a+1 2+b", Or((Down(A, 1), Up(B, 2)))),
        ("+(a b)+", Up(Down(Or((A, B))))),
        ("+group:g", Up(Has("group", "g"))),
        ("not +a", Not(Up(A))),
        ("roots()", Roots()),
        ("sinks()", Sinks()),
        ("roots(a b)", Roots(Or((A, B)))),
        ("sinks(+a)+", Down(Sinks(Up(A)))),
        ("roots", Name("roots")),
        ("roots (a)", Or((Name("roots"), A))),
        ("group:g", Has("group", "g")),
        ("tag:k=v", Has("tag", "k=v")),
        ("tag:k", Has("tag", "k")),
        ("kind:csv owner:me", Or((Has("kind", "csv"), Has("owner", "me")))),
        ("notebook:a/b.ipynb", Has("notebook", "a/b.ipynb")),
        ("notebook:'my work.ipynb'", Has("notebook", "my work.ipynb")),
        ("owner:\"Jane 'J' Doe\"", Has("owner", "Jane 'J' Doe")),
        ('tag:team="R+D (old)"', Has("tag", "team=R+D (old)")),
        ("status:stale", Has("status", "stale")),
        ("'and'", Name("and")),
        ("'group:g'", Name("group:g")),
        ("dbt/orders", Name("dbt/orders")),
        ("größe", Name("größe")),
        ("android orders notes", Or((Name("android"), Name("orders"), Name("notes")))),
    ],
)
def test_reads(text, expected):
    assert same(parse_selection(text)) == expected


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 0, "nothing is selected"),
        ("   ", 3, "nothing is selected"),
        ("a and", 5, "the selection ends"),
        ("and a", 0, "'and' stands"),
        ("a or or b", 5, "'or' stands"),
        ("not", 3, "the selection ends"),
        ("(a", 0, "never closed"),
        ("a (b and (c)", 2, "never closed"),
        ("a)", 1, "closes nothing"),
        ("()", 1, "empty"),
        ("a+b", 1, "belong"),
        ("a+2+b", 3, "one + is enough"),
        ("a++", 2, "one + is enough"),
        ("++a", 1, "one + is enough"),
        ("a + b", 2, "touches no word"),
        ("+", 0, "touches no word"),
        ("(+)", 1, "touches no word"),
        ("a b 'c", 4, "never closed"),
        ('owner:"x', 6, "never closed"),
        ("a,b", 1, "','"),
        ("a && b", 2, "'&'"),
        ("grop:g", 0, "did you mean group:"),
        ("a colour:red", 2, "choose one of group"),
        ("group:", 6, "needs a value"),
        ("a status:stall", 9, "did you mean 'stale'"),
        ("status:5", 7, "choose one of missing"),
        ("(" * 60 + "a" + ")" * 60, 50, "more than 50"),
        ("not " * 60 + "a", 200, "more than 50"),
    ],
)
def test_refuses_with_the_column(text, column, words):
    with pytest.raises(SelectionError) as caught:
        parse_selection(text)
    assert caught.value.column == column
    assert words in str(caught.value)
    assert f"column {column + 1}" in str(caught.value)


def test_the_mark_stands_below_the_trouble():
    with pytest.raises(SelectionError) as caught:
        parse_selection("a grop:g")
    assert str(caught.value).splitlines()[1:] == ["  a grop:g", "    ^"]


def test_many_words_are_read_without_recursion():
    names = [f"n{index}" for index in range(5_000)]
    assert len(parse_selection(" ".join(names)).parts) == 5_000
    assert len(parse_selection(" and ".join(names)).parts) == 5_000


def options(group=None, tags=(), kinds=(), owners=()):
    return AssetOptions(group=group, tags=tags, kinds=kinds, owners=owners)


ASSETS = {
    one.key: one
    for one in [
        spec("raw_orders", options=options("sales", kinds=("csv",)), notebook="in/load.ipynb"),
        spec("raw_users", options=options("people", kinds=("csv",)), notebook="in/load.ipynb"),
        spec(
            "orders", "raw_orders raw_users", options=options("sales", tags=(("tier", "gold"),)), notebook="b b.ipynb"
        ),
        spec("report", "orders", options=options(owners=("Jane Doe",)), notebook="b b.ipynb"),
        spec("lonely", options=options(tags=(("tier", "tin"),)), notebook="c.ipynb"),
    ]
}
GRAPH = AssetGraph.of(ASSETS.values())
STATUSES = {"raw_orders": "fresh", "raw_users": "stale", "orders": "stale", "report": "missing", "gone": "stale"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders", "orders"),
        ("report orders", "orders report"),
        ("*", "lonely raw_orders raw_users orders report"),
        ("raw_*", "raw_orders raw_users"),
        ("?rders", "orders"),
        ("*orders", "raw_orders orders"),
        ("+report", "raw_orders raw_users orders report"),
        ("1+report", "orders report"),
        ("0+report", "report"),
        ("raw_users+", "raw_users orders report"),
        ("raw_users+1", "raw_users orders"),
        ("1+orders+1", "raw_orders raw_users orders report"),
        ("+orders and not orders", "raw_orders raw_users"),
        ("group:sales", "raw_orders orders"),
        ("group:*", "raw_orders raw_users orders"),
        ("not group:*", "lonely report"),
        ("tag:tier", "lonely orders"),
        ("tag:tier=gold", "orders"),
        ("tag:tier=*", "lonely orders"),
        ("kind:csv", "raw_orders raw_users"),
        ("owner:'Jane Doe'", "report"),
        ("owner:Jane*", "report"),
        ("notebook:'b b.ipynb'", "orders report"),
        ("notebook:in/*", "raw_orders raw_users"),
        ("roots()", "lonely raw_orders raw_users"),
        ("sinks()", "lonely report"),
        ("roots(group:sales)", "raw_orders"),
        ("sinks(+orders)", "orders"),
        ("roots(report)", "report"),
        ("status:stale", "raw_users orders"),
        ("status:running", ""),
        ("status:stale and group:people", "raw_users"),
        ("orders and lonely", ""),
    ],
)
def test_chooses_in_topological_order(text, expected):
    assert resolve(parse_selection(text), GRAPH, ASSETS, STATUSES) == tuple(expected.split())


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("ordes", UnknownNameError, "did you mean 'orders'"),
        ("zzz", UnknownNameError, "no asset 'zzz'"),
        ("orders@2024-01-01", UnknownNameError, "--partition"),
        ("zz_*", SelectionError, "no asset has a name like 'zz_*'"),
        ("a group:sale", SelectionError, "group:sale: did you mean group:sales?"),
        ("zz", UnknownNameError, "there is no asset 'zz': `nbpipe list` shows all"),
        ("group:zz*", SelectionError, "no asset has group:zz*"),
        ("owner:nobody", SelectionError, "no asset has owner:nobody"),
        ("notebook:c", SelectionError, "no asset has notebook:c"),
        ("tag:tier=silver", SelectionError, "tier="),
        ("kind:parquet", SelectionError, "no asset has kind:parquet"),
    ],
)
def test_what_fits_nothing_is_an_error_with_the_nearest(text, error, words):
    with pytest.raises(error) as caught:
        resolve(parse_selection(text.removeprefix("a ")), GRAPH, ASSETS, STATUSES)
    assert words in str(caught.value)


def test_everything_of_an_empty_project_is_nothing():
    assert resolve(Name("*"), AssetGraph({}), {}) == ()


def test_statuses_are_asked_for_once_and_only_if_needed():
    asked = []

    def statuses():
        asked.append(1)
        return STATUSES

    resolve(parse_selection("orders"), GRAPH, ASSETS, statuses)
    assert not asked
    resolve(parse_selection("status:stale or status:missing"), GRAPH, ASSETS, statuses)
    assert len(asked) == 1


def test_a_status_where_no_state_is_known_is_refused():
    with pytest.raises(SelectionError, match="no state"):
        resolve(parse_selection("status:stale"), GRAPH, ASSETS)
