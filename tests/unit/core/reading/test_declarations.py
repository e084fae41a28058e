import pytest

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.reading.asset_options import ASSET_OPTIONS, asset_help, complete_asset, parse_duration
from nbpipe.core.reading.declarations import declared_names, parse_asset, split_cell
from nbpipe.errors import DeclarationError


@pytest.mark.parametrize(
    ("line", "names", "options"),
    [
        ("", (), {}),
        ("orders", ("orders",), {}),
        ("  orders  ", ("orders",), {}),
        ("train test", ("train", "test"), {}),
        ("naïve", ("naïve",), {}),
        ("a --deps x y", ("a",), {"deps": ("x", "y")}),
        ("a --deps x --deps y x", ("a",), {"deps": ("x", "y")}),
        ("a --deps file:data/*.csv x", ("a",), {"deps": ("file:data/*.csv", "x")}),
        ('a --deps "file:my data/*.csv"', ("a",), {"deps": ("file:my data/*.csv",)}),
        ("a --use x y", ("a",), {"use": ("x", "y")}),
        ("a --io warehouse", ("a",), {"io": "warehouse"}),
        ("a --io=warehouse", ("a",), {"io": "warehouse"}),
        ("--group reports", (), {"group": "reports"}),
        ("a --tag k=v --tag team='data science'", ("a",), {"tags": (("k", "v"), ("team", "data science"))}),
        ("a --tag k=a=b", ("a",), {"tags": (("k", "a=b"),)}),
        ("a --tag k=", ("a",), {"tags": (("k", ""),)}),
        ("a --owner ana --owner bo", ("a",), {"owners": ("ana", "bo")}),
        ("a --kind table", ("a",), {"kinds": ("table",)}),
        ('a --description "All the \\"orders\\"."', ("a",), {"description": 'All the "orders".'}),
        ("a --description 'C:\\x'", ("a",), {"description": "C:\\x"}),
        ("a --description='--not an option'", ("a",), {"description": "--not an option"}),
        ("a --description '--help'", ("a",), {"description": "--help"}),
        ("a --metadata source=web", ("a",), {"metadata": (("source", "web"),)}),
        ("a --retries 3 --retry-delay 1.5", ("a",), {"retries": 3, "retry_delay": 1.5}),
        ("a --retries 3 --backoff linear", ("a",), {"retries": 3, "backoff": "linear"}),
        ("a --timeout 90", ("a",), {"timeout": 90.0}),
        ("a --fresh-for 12h", ("a",), {"fresh_for": 43200.0}),
    ],
)
def test_a_declaration_is_read(line, names, options):
    declaration = parse_asset(line)
    assert (declaration.names, declaration.options) == (names, AssetOptions(**options))


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("a --grp x", "there is no option --grp: did you mean --group?", 2),
        ("a --xyzzy", "there is no option --xyzzy; %%asset --help lists them", 2),
        ("a -g x", "there is no option -g", 2),
        ("a --io", "--io needs a value: --io NAME", 2),
        ("a --deps --io x", "--deps needs a value", 2),
        ("a --io ''", "--io takes a text that is not empty", 7),
        ("a --io x --io y", "--io is given twice", 9),
        ('a "b', 'the quote " is never closed', 2),
        ("a --description Don't", "the quote ' is never closed", 19),
        ("a --description My text", "unexpected word 'text': names come before the options", 19),
        ("a, b", "names are separated by blanks", 0),
        ("a # note", "comments belong in the lines below", 2),
        ("a a", "asset 'a' is named twice", 2),
        ("class", "it is a keyword of Python", 0),
        ("list", "it would hide the builtin of that name", 0),
        ("context", "nbpipe binds that name", 0),
        ("a-b", "'a-b' is not a Python name", 0),
        ("a --retries -1", "--retries takes a whole number from 0, not '-1'", 12),
        ("a --retries 1.5", "--retries takes a whole number", 12),
        ("a --retries 1 --retry-delay x", "--retry-delay takes seconds", 28),
        ("a --timeout 0", "--timeout takes seconds, a number above 0", 12),
        ("a --timeout inf", "--timeout takes seconds, a number above 0", 12),
        ("a --timeout nan", "--timeout takes seconds, a number above 0", 12),
        ("a --fresh-for 3", "--fresh-for takes a duration such as 90s", 14),
        ("a --fresh-for 0d", "--fresh-for takes a duration", 14),
        ("a --backoff never", "--backoff takes exponential or linear", 12),
        ("a --backoff linear", "do nothing without --retries", None),
        ("a --tag k", "--tag takes KEY=VALUE, not 'k'", 8),
        ("a --tag k=1 --tag k=2", "--tag k=... is given twice", 18),
        ("a --deps a", "can't depend on itself", None),
        ("a --deps not-a-name", "--deps: upstream asset name 'not-a-name' is not a Python name", 9),
        ("a --deps file:", "--deps takes a pattern after file:", 9),
        ("a --partitions daily:2024-01-01", "--partitions is not available in this version", 2),
        ("a --map x=offset(-1)", "--map is not available in this version", 2),
        ("a --pool p", "--pool is not available in this version", 2),
        ("a --backfill single", "--backfill is not available in this version", 2),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(line, message, column):
    with pytest.raises(DeclarationError) as error:
        parse_asset(line)
    assert message in str(error.value)
    assert error.value.column == column


def test_help_wins_over_everything_else():
    assert parse_asset("a --grp --help x").help


def test_the_usage_tells_every_option():
    text = asset_help()
    assert all(option.usage in text for option in ASSET_OPTIONS)
    assert "--pool P" in text
    assert text.count("not available in this version") == sum(option.later for option in ASSET_OPTIONS)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (" a --d", ("--deps", "--description")),
        ("a --io x --i", ()),
        ("a --part", ()),
        ("a --deps ", ("customers", "orders")),
        ("a --deps orders ", ("customers",)),
        ("a --use cu", ("customers",)),
        ("a --backoff ", ("exponential", "linear")),
        ("a --backoff linear ", ()),
        ("--backoff e", ("exponential",)),
        ("", ()),
        ("--he", ("--help",)),
    ],
)
def test_completion_follows_the_table(line, found):
    assert complete_asset(line, ["orders", "customers"]) == found


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("1d", 86400), ("2w", 1209600), ("0.5h", 1800)]
)
def test_a_duration_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "1", "-1d", "1 y", "infd", "nans"])
def test_a_wrong_duration_is_refused(text):
    with pytest.raises(ValueError, match="a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("source", "split"),
    [
        ("x = 1", (None, "", "x = 1", 1)),
        ("%%asset orders\n1", ("asset", "orders", "1", 2)),
        ("%%asset\n1", ("asset", "", "1", 2)),
        ("%%asset orders", ("asset", "orders", "", 2)),
        ("\n  \n%%asset orders --io x \n1\n2", ("asset", "orders --io x", "1\n2", 4)),
        ("# note\n%%asset orders\n1", (None, "", "# note\n%%asset orders\n1", 1)),
        ("%%asset?", (None, "", "%%asset?", 1)),
        ("%%time\nx", ("time", "", "x", 2)),
        ("x = '%%asset'", (None, "", "x = '%%asset'", 1)),
        ("", (None, "", "", 1)),
    ],
)
def test_a_cell_is_split_as_ipython_does(source, split):
    assert tuple(split_cell(source)) == split


def test_names_are_found_in_spite_of_an_error():
    assert declared_names("train test --grp x") == ("train", "test")
