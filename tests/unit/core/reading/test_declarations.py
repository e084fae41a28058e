import pytest

from nbpipe.core.definitions import AssetOptions
from nbpipe.core.reading.asset_options import ASSET_OPTIONS, asset_help, complete_asset
from nbpipe.core.reading.declarations import declared_names, parse_asset, split_cell
from nbpipe.core.reading.options import parse_duration
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
        ("a --fresh-for 99999999w", "--fresh-for takes a duration", 14),
        ("a --fresh-for 0d", "--fresh-for takes a duration", 14),
        ("a --backoff never", "--backoff takes exponential or linear", 12),
        ("a --backoff linear", "do nothing without --retries", None),
        ("a --tag k", "--tag takes KEY=VALUE, not 'k'", 8),
        ("a --tag k=1 --tag k=2", "--tag k=... is given twice", 18),
        ("a --deps a", "can't depend on itself", None),
        ("a --deps not-a-name", "--deps: upstream asset name 'not-a-name' is not a Python name", 9),
        ("a --deps file:", "--deps takes a pattern after file:", 9),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(line, message, column):
    with pytest.raises(DeclarationError) as error:
        parse_asset(line)
    assert message in str(error.value)
    assert error.value.column == column


DAILY = "daily:2024-01-01"
CRON = "cron(0 6 * * 1-5):2024-01-01@Europe/Berlin"
TWO = "date=daily:2024-01-01 x region=static:eu,us"

#: What follows the name, and the options that it gives.
PARTITIONED = [
    (f"--partitions {DAILY}", {"partitions": DAILY}),
    (f"--partitions={DAILY}", {"partitions": DAILY}),
    (f"--partitions {TWO}", {"partitions": TWO}),
    (f"--partitions {TWO} --group g", {"partitions": TWO, "group": "g"}),
    (f"--partitions={TWO} --group g", {"partitions": TWO, "group": "g"}),
    (f"--group g --partitions '{TWO}'", {"partitions": TWO, "group": "g"}),
    (f'--partitions="{TWO}"', {"partitions": TWO}),
    ("--partitions date='daily:2024-01-01'", {"partitions": "date=daily:2024-01-01"}),
    (f"--partitions {CRON}", {"partitions": CRON}),
    ("--partitions weekly:2024-01-01..2024-12-30", {"partitions": "weekly:2024-01-01..2024-12-30"}),
    ("--partitions static:a, b", {"partitions": "static:a, b"}),
    ('--partitions static:"New York",b', {"partitions": 'static:"New York",b'}),
    ('--partitions static:b,"New York"', {"partitions": 'static:b,"New York"'}),
    ("""--partitions 'static:"New York",b'""", {"partitions": 'static:"New York",b'}),
    (r'--partitions "static:\"New York\",b"', {"partitions": 'static:"New York",b'}),
    (r'--partitions static:"say \"x\"",b', {"partitions": r'static:"say \"x\"",b'}),
    ('--partitions static:a/b,"a|b",é,東京,C#', {"partitions": 'static:a/b,"a|b",é,東京,C#'}),
    ("--partitions dynamic:customers", {"partitions": "dynamic:customers"}),
    ("--map x=offset(-1)", {"map": (("x", "offset(-1)"),)}),
    ("--map=x=offset(-1)", {"map": (("x", "offset(-1)"),)}),
    ("--map x=offset(-6, -1) --group g", {"map": (("x", "offset(-6, -1)"),), "group": "g"}),
    ("--map x=all --map y=date=window, region=all", {"map": (("x", "all"), ("y", "date=window, region=all"))}),
    ('--map x=keys("New York", b)', {"map": (("x", 'keys("New York", b)'),)}),
    ("""--map x='keys("(", b)' --io y""", {"map": (("x", 'keys("(", b)'),), "io": "y"}),
    ('--map "x=static(a:b, c:d)"', {"map": (("x", "static(a:b, c:d)"),)}),
    ("--concat x --concat y=day", {"concat": (("x", "partition"), ("y", "day"))}),
    ("--concat y='the day'", {"concat": (("y", "the day"),)}),
    (f"--partitions {DAILY} --backfill single", {"partitions": DAILY, "backfill": "single"}),
    (f"--backfill 31 --partitions {DAILY}", {"partitions": DAILY, "backfill": "31"}),
    (f"--backfill 007 --partitions {DAILY}", {"partitions": DAILY, "backfill": "7"}),
]


@pytest.mark.parametrize(("line", "options"), PARTITIONED)
def test_partitions_and_their_mappings_are_read_as_written(line, options):
    declaration = parse_asset(f"a {line}")
    assert (declaration.names, declaration.options) == (("a",), AssetOptions(**options))


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("a --partitions", "--partitions needs a value: --partitions SPEC", 2),
        ("a --partitions=", "--partitions needs a value: --partitions SPEC", 2),
        ("a --partitions ''", "--partitions: column 1: a set of partitions is missing", 16),
        (
            "a --partitions dialy:2024-01-01",
            "column 1: there is no kind of partitions 'dialy': did you mean 'daily'?",
            15,
        ),
        ("a --partitions=dialy:2024-01-01", "column 1: there is no kind of partitions 'dialy'", 15),
        ("a --partitions daily:2024-02-30", "\n  daily:2024-02-30\n        ^", 21),
        (f"a --partitions {TWO} x", "\n  date=daily:2024-01-01 x region=static:eu,us x\n", 58),
        ("a --partitions 'static:a,,b'", "--partitions: column 10: a partition key can't be empty", 25),
        (r'a --partitions "static:\"a\",,b"', "--partitions: column 12: a partition key can't be empty", 29),
        ("a --partitions x=static:a x x=static:b", "two dimensions are called 'x'", 28),
        ("a --partitions static:a,a", "key 'a' is there twice", 24),
        ("a --partitions static:\x00", "characters that can't be seen", 22),
        ("a --partitions static:a\ud800", "characters that can't be seen", 22),
        ("a --partitions static:New York", 'a text with blanks stands in quotes: "New York"', 25),
        ("a --partitions daily:2024-01-02..2024-01-01", "the end 2024-01-01 comes before the start 2024-01-02", 33),
        ("a --partitions daily:2024-01-01@Europe/Berlim", "Europe/Berlim", 32),
        ("a --partitions cron(61 * * * *):2024-01-01", "--partitions: column 6:", 20),
        (f"a --partitions {DAILY} --partitions {DAILY}", "--partitions is given twice", 32),
        ("a --map x", "--map: column 2: UPSTREAM=MAPPING is missing a part", 9),
        ("a --map x=", "--map: column 3: a mapping is missing: write one of", 10),
        ("a --map x=al", "--map: column 3: there is no mapping 'al': did you mean 'all'?\n  x=al\n    ^", 10),
        ("a --map 'x=al'", "--map: column 3: there is no mapping 'al'", 11),
        ("a --map x=offset(0,-1)", "the first offset comes after the last", 17),
        ("a --map x=offset(-1", "brackets with values are missing", 19),
        ("a --map x=all y=all", "unexpected word 'y=all'", 14),
        ("a --map x=all --map x=latest", "--map x=... is given twice", 20),
        ("a --map list=all", "it would hide the builtin of that name", 8),
        ("a --map not-a-name=all", "'not-a-name' is not a Python name", 8),
        ("a --concat", "--concat needs a value: --concat UPSTREAM[=COLUMN]", 2),
        ("a --concat x=", "--concat takes UPSTREAM or UPSTREAM=COLUMN, not 'x='", 11),
        ("a --concat =x", "--concat takes UPSTREAM or UPSTREAM=COLUMN", 11),
        ("a --concat x --concat x=day", "--concat x=... is given twice", 22),
        ("a --concat list", "it would hide the builtin of that name", 11),
        ("a --backfill 5", "--backfill is for assets with partitions: add --partitions SPEC", None),
        (f"a --partitions {DAILY} --backfill 0", "--backfill takes single, or a whole number from 1, not '0'", 43),
        (f"a --partitions {DAILY} --backfill x", "--backfill takes single, or a whole number from 1, not 'x'", 43),
        (f"a --partitions {DAILY} --backfill ٣", "--backfill takes single, or a whole number from 1", 43),
        (f"a --partitions {DAILY} --fresh-for 1d", "--fresh-for is not for assets with partitions", None),
    ],
)
def test_wrong_partitions_are_refused_with_their_place_in_the_line(line, message, column):
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


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (" a --d", ("--deps", "--description")),
        ("a --io x --i", ()),
        ("a --part", ("--partitions",)),
        ("a --pool", ("--pool",)),
        ("a --partitions da", ("daily:",)),
        ("a --partitions s", ("static:",)),
        ("a --map ", ("customers=", "orders=")),
        ("a --map or", ("orders=",)),
        ("a --map orders=of", ("orders=offset(",)),
        ("a --map orders=a --m", ("--map", "--metadata")),
        ("a --concat or", ("orders",)),
        ("a --backfill ", ("single",)),
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
