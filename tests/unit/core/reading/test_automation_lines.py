"""The lines of %job, %schedule, %sensor and %%sensor."""

from __future__ import annotations

import pytest

from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef
from nbpipe.core.reading.automation_lines import declared_name, parse_automation
from nbpipe.core.reading.automation_options import AUTOMATION_TABLES
from nbpipe.errors import DeclarationError

ONE = ("0 6 * * *",)

JOBS = [
    ("nightly group:reports", {"selection": "group:reports"}),
    ("nightly.2-b  +a and tag:team=data  ", {"selection": "+a and tag:team=data"}),
    ("nightly 'a or b'", {"selection": "a or b"}),
    ("nightly '*'", {"selection": "*"}),
    ('nightly notebook:"my work.ipynb" or b', {"selection": 'notebook:"my work.ipynb" or b'}),
    ("nightly --tag k=v a --priority 3 or b", {"selection": "a or b", "tags": (("k", "v"),), "priority": 3}),
    ("nightly --notebook reports/day.ipynb", {"notebook": "reports/day.ipynb"}),
    ("nightly --notebook 'my day.ipynb'", {"notebook": "my day.ipynb"}),
    (
        "nightly a --param n=2 --param day='the first'",
        {"selection": "a", "parameters": (("day", "the first"), ("n", "2"))},
    ),
    ("nightly a --partitions daily:2024-01-01 --retries 1", {"partitions": "daily:2024-01-01", "retries": 1}),
    (
        "nightly a --retries 3 --retry-delay 1.5 --backoff exponential",
        {"retries": 3, "retry_delay": 1.5, "backoff": "exponential"},
    ),
    ("nightly a --timeout 60 --priority -1", {"timeout": 60.0, "priority": -1}),
    ("nightly a --memory 4GB", {"memory": 4_000_000_000}),
    ("nightly a --memory '1.5 GiB'", {"memory": 3 << 29}),
]


@pytest.mark.parametrize(("line", "fields"), JOBS)
def test_a_job_is_read(line: str, fields: dict[str, object]):
    found = parse_automation("%job", line)
    name = line.split(maxsplit=1)[0]
    given = {"selection": "a", **fields} if "notebook" not in fields else fields
    assert found == JobDef(name=name, **given)


SCHEDULES = [
    ("s 0 6 * * * --job j", {"job": "j", "crons": ONE}),
    ("s --job j 0 6 * * *", {"job": "j", "crons": ONE}),
    ("s '0 6 * * *' --job j", {"job": "j", "crons": ONE}),
    ("s 30 0 6 * * * --job j", {"job": "j", "crons": ("30 0 6 * * *",)}),
    ("s */5 9-17 * * MON-FRI --job j", {"job": "j", "crons": ("*/5 9-17 * * MON-FRI",)}),
    ("s '0 6 * * *' \"0 18 * * 5\" --job j", {"job": "j", "crons": ("0 6 * * *", "0 18 * * 5")}),
    ("s '0 6 * * *' '0 6 * * *' --job j", {"job": "j", "crons": ONE}),
    ("s 0 6 * * * --select group:a or +b --stopped", {"selection": "group:a or +b", "crons": ONE, "stopped": True}),
    ("s 0 6 * * * --select 'a or b' --tz Asia/Tokyo", {"selection": "a or b", "crons": ONE, "zone": "Asia/Tokyo"}),
    (
        "s --at 2024-12-31T18:00 --at '2025-01-01 06:00+01:00' --job j",
        {"job": "j", "at": ("2024-12-31T18:00", "2025-01-01 06:00+01:00")},
    ),
    (
        "s 0 6 * * * --job j --exclude 2024-12-24,12-25 --exclude 12-26, 12-25",
        {"job": "j", "crons": ONE, "exclude": ("2024-12-24", "12-25", "12-26")},
    ),
    ("s 0 6 * * * --job j --catchup all", {"job": "j", "crons": ONE, "catchup": "all"}),
    ("s 0 6 * * * --job j --catchup 3", {"job": "j", "crons": ONE, "catchup": 3}),
]


@pytest.mark.parametrize(("line", "fields"), SCHEDULES)
def test_a_schedule_is_read(line: str, fields: dict[str, object]):
    assert parse_automation("%schedule", line) == ScheduleDef(name="s", **fields)


SENSORS = [
    ("%%sensor", "s --job j", {"job": "j"}),
    ("%%sensor", "s --job j --every 5 --timeout 2.5 --stopped", {"every": 5.0, "timeout": 2.5, "stopped": True}),
    ("%sensor", "s --asset a b --asset c --job j", {"kind": "asset", "assets": ("a", "b", "c")}),
    ("%sensor", "s --on failure --notify ops chat", {"kind": "run", "job": None, "notify": ("ops", "chat")}),
    ("%sensor", "s --on failure success --jobs x y --job j", {"kind": "run", "jobs": ("x", "y")}),
]


@pytest.mark.parametrize(("magic", "line", "fields"), SENSORS)
def test_a_sensor_is_read(magic: str, line: str, fields: dict[str, object]):
    found = parse_automation(magic, line)
    assert isinstance(found, SensorDef)
    expected = {"kind": "cell", "job": "j", **fields}
    assert {name: getattr(found, name) for name in expected} == expected


WRONG = [
    ("%job", "", "the job needs a name", 0),
    ("%job", "--retries 3", "the job needs a name", 0),
    ("%job", "a/b x", "'a/b' can't be the name of a job: use letters, digits and _ . - only", 0),
    ("%job", "n", "a job needs something to run", None),
    ("%job", "n a --notebook b.ipynb", "not both: this has 'a' and 'b.ipynb'", None),
    ("%job", "n --notebook my b.ipynb", "a path with blanks needs quotes", None),
    ("%job", "n a and and b", "column 7: 'and' stands where an asset", 8),
    ("%job", "n a --tag k=v and", "selection ends where an asset", 17),
    ("%job", "n gruop:a", "there is no attribute 'gruop': did you mean group:?", 2),
    ("%job", "n a --retrys 3", "there is no option --retrys: did you mean --retries?", 4),
    ("%job", "n a --xyzzy", "there is no option --xyzzy; %job --help lists them", 4),
    ("%job", "n a --retries x", "--retries takes a whole number from 0, not 'x'", 14),
    ("%job", "n a --priority high", "--priority takes a whole number, not 'high'", 15),
    ("%job", "n a --priority 99999999999", "a priority is a whole number from -1,000,000 to 1,000,000", None),
    ("%job", "n a --timeout 1e300", "--timeout takes seconds, a number above 0", 14),
    ("%job", "n a --param 1=2", "parameter name '1' is not a Python name", 12),
    ("%job", "n a --param k=1 --param k=2", "--param k=... is given twice", 24),
    ("%job", "n a --backoff linear", "do nothing without retries", None),
    ("%job", "n a --partitions dialy:2024-01-01", "did you mean 'daily'?", 17),
    ("%job", "n 'a", "the quote ' is never closed", 2),
    ("%schedule", "s 0 6 * * *", "a schedule needs something to run", None),
    ("%schedule", "s --job j", "a schedule needs times", None),
    ("%job", "j a --memory much", "--memory takes a size such as '4 GB', at least 256 MB, not 'much'", 13),
    ("%job", "j a --memory 4", "--memory takes a size such as '4 GB', at least 256 MB, not '4'", 13),
    (
        "%job",
        "j a --memory 9999999999GB",
        "--memory takes a size such as '4 GB', at least 256 MB, not '9999999999GB'",
        13,
    ),
    ("%schedule", "s 0 6 * * * --job j --select a", "not both: this has 'j' and 'a'", None),
    ("%schedule", "s 0 6 * * --job j", "'0 6 * *': wrong number of fields", 2),
    ("%schedule", "s 61 6 * * * --job j", "bad minute", 2),
    ("%schedule", "s 0 25 * * * --job j", "bad hour", 4),
    ("%schedule", "s 0 6 * * 9 --job j", "bad day-of-week", 10),
    ("%schedule", "s '0 6 * * *' '99 0 6 * * *' --job j", "bad second", 15),
    ("%schedule", "s 0 0 30 2 * --job j", "bad day-of-month", 6),
    ("%schedule", "s '0 6 * * *' 5 --job j", "of several cron expressions, each stands in quotes", 14),
    ("%schedule", "s 0 6 * * * --job j --tz Europe/Berln", "did you mean 'Europe/Berlin'?", 25),
    ("%schedule", "s --job j --at tomorrow", "'tomorrow' is no moment", 15),
    ("%schedule", "s 0 6 * * * --job j --exclude 12-24,13-01", "'13-01' is no date", 30),
    ("%schedule", "s 0 6 * * * --job j --catchup 0", "--catchup takes none, last, all, or a whole number from 1", 30),
    ("%schedule", "s 0 6 * * * --job j --stopped=yes", "--stopped takes no value", 29),
    ("%%sensor", "s", "a sensor needs a job to run", None),
    ("%%sensor", "s --job j --every 0", "--every takes seconds, a number above 0", 18),
    ("%%sensor", "s x --job j", "unexpected word 'x'", 2),
    ("%%sensor", "s --asset a --job j", "--asset is for %sensor only", 2),
    ("%sensor", "s --job j --timeout 3", "--timeout is for %%sensor only", 10),
    ("%sensor", "s --job j", "needs something to wait for", None),
    ("%sensor", "s --asset a", "a sensor needs a job to run", None),
    ("%sensor", "s --asset a --on failure --job j", "make two of it", None),
    ("%sensor", "s --asset a --notify ops --job j", "is for sensors that wait for runs", None),
    ("%sensor", "s --on failure", "needs a job to run, or somebody to notify", None),
    ("%sensor", "s --on failed --job j", "--on takes success or failure or canceled, not 'failed'", 7),
]


@pytest.mark.parametrize(("magic", "line", "message", "column"), WRONG)
def test_a_wrong_line_is_refused_with_its_place(magic: str, line: str, message: str, column: int | None):
    with pytest.raises(DeclarationError) as error:
        parse_automation(magic, line)
    assert message in str(error.value)
    assert error.value.column == column


@pytest.mark.parametrize("magic", AUTOMATION_TABLES)
def test_the_help_names_every_option(magic: str):
    table = AUTOMATION_TABLES[magic]
    assert parse_automation(magic, "n --help") is None
    text = table.help()
    assert text.startswith(f"{magic} NAME")
    assert all(option.usage in text and option.help in text for option in table.options)
    assert max(map(len, text.splitlines())) < 140


@pytest.mark.parametrize(
    ("magic", "line", "found"),
    [
        ("%job", "n a --ret", ("--retries", "--retry-delay")),
        ("%job", "n a --retries 3 --ret", ("--retry-delay",)),
        ("%job", "n a --tag k=v --ta", ("--tag",)),
        ("%job", "n a --partitions d", ("daily:", "dynamic:")),
        ("%schedule", "n 0 6 * * * --stopped --s", ("--select",)),
        ("%schedule", "n 0 6 * * * --catchup ", ("none", "last", "all")),
        ("%schedule", "n 0 6 * * * --stopped ", ()),
        ("%sensor", "n --on success f", ("failure",)),
        ("%sensor", "n --asset a ", ("b",)),
        ("%%sensor", "n --a", ()),
    ],
)
def test_completion(magic: str, line: str, found: tuple[str, ...]):
    assert AUTOMATION_TABLES[magic].complete(line, {"assets": ("a", "b")}) == found


@pytest.mark.parametrize(
    ("line", "name"), [("n x", "n"), ("  n", "n"), ("'a b", "a"), ("", ""), ("--job j", ""), ("n 'open", "n")]
)
def test_the_name_is_known_though_the_line_has_an_error(line: str, name: str):
    assert declared_name(line) == name
