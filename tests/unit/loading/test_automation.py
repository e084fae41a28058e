"""Jobs, schedules, sensors, notifications, limits and retention in the configuration, and beside notebooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nbpipe.core.automation.definitions import JobDef, ScheduleDef, SensorDef
from nbpipe.core.automation.queue import QueueLimits
from nbpipe.core.definitions import Definitions
from nbpipe.errors import ConfigError
from nbpipe.loading.automation_tables import Keep, Notify, Texts
from nbpipe.loading.config import Config, load_config
from nbpipe.loading.project import load_project
from tests.notebooks import parameters, write_notebook

TABLES = """
[jobs.nightly]
selection = "group:shop"
parameters = { n = 20, name = "20", days = [1, 2] }
partitions = "daily:2024-01-01"
tags = { team = "data" }
retries = 2
retry_delay = 1
backoff = "linear"
timeout = 60
memory = "8 GB"
priority = -1
[jobs.report]
notebook = "reports/day.ipynb"
[schedules.daily]
cron = ["0 6 * * 1-5", "0 9 * * 6"]
job = "nightly"
tz = "Europe/Berlin"
exclude = [2024-12-24, "12-25"]
catchup = 3
stopped = true
[schedules.once]
at = [2024-12-31T18:00:00, "2025-01-01T06:00+01:00"]
selection = "orders"
[sensors.fresh]
assets = "orders"
job = "nightly"
every = 5
[sensors.failures]
on = ["failure", "canceled"]
jobs = "nightly"
notify = ["ops", "chat"]
[notify.ops]
host = "smtp.example.org"
user = "reports"
password = "${SMTP_PASSWORD}"
from = "reports@example.org"
to = "ops@example.org"
[notify.chat]
url = "https://example.org/${TOKEN}"
kind = "slack"
"""

JOB = "[jobs.j]\nselection = 'a'\n"
MAIL = "[notify.ops]\nhost = 'h'\nfrom = 'a@b'\nto = 'c@d'\n"


def configured(folder: Path, text: str, env: str = "default") -> Config:
    (folder / "nbpipe.toml").write_text(text, encoding="utf-8")
    return load_config(folder, env)


def declared(config: Config) -> dict[str, object]:
    found = config.configured()
    assert found is not None
    return {each.label: each.definition for each in found.declared}


def test_a_project_is_loaded_with_limits_of_memory(project):
    write_notebook(project / "a.ipynb", ["%%asset a\n1"])
    (project / "nbpipe.toml").write_text(f"[executor]\nmemory = '1 GB'\n{JOB}memory = '8 GB'", encoding="utf-8")
    loaded = load_project(project)
    assert (loaded.config.executor.memory, loaded.definitions.jobs["j"].memory) == (10**9, 8 * 10**9)
    assert load_project(project).definitions == loaded.definitions


def test_every_table_has_the_fields_of_its_magic(tmp_path):
    config = configured(tmp_path, TABLES)
    assert declared(config) == {
        "jobs.nightly": JobDef(
            name="nightly",
            selection="group:shop",
            parameters=(("days", "[1, 2]"), ("n", "20"), ("name", "'20'")),
            partitions="daily:2024-01-01",
            tags=(("team", "data"),),
            retries=2,
            retry_delay=1.0,
            backoff="linear",
            timeout=60.0,
            memory=8_000_000_000,
            priority=-1,
        ),
        "jobs.report": JobDef(name="report", notebook="reports/day.ipynb"),
        "schedules.daily": ScheduleDef(
            name="daily",
            job="nightly",
            crons=("0 6 * * 1-5", "0 9 * * 6"),
            zone="Europe/Berlin",
            exclude=("2024-12-24", "12-25"),
            catchup=3,
            stopped=True,
        ),
        "schedules.once": ScheduleDef(
            name="once", selection="orders", at=("2024-12-31T18:00:00", "2025-01-01T06:00+01:00")
        ),
        "sensors.fresh": SensorDef(name="fresh", kind="asset", job="nightly", every=5.0, assets=("orders",)),
        "sensors.failures": SensorDef(
            name="failures", kind="run", statuses=("failure", "canceled"), jobs=("nightly",), notify=("ops", "chat")
        ),
    }
    assert config.notify["ops"] == Notify(
        host="smtp.example.org",
        user="reports",
        password="${SMTP_PASSWORD}",
        sender="reports@example.org",
        to=Texts(["ops@example.org"]),
    )
    assert config.notify["chat"] == Notify(url="https://example.org/${TOKEN}", kind="slack")


def test_an_environment_overrides_single_fields(tmp_path):
    text = TABLES + "[env.dev.schedules.daily]\nstopped = false\n[env.dev.jobs.nightly]\nretries = 5"
    there = declared(configured(tmp_path, text, "dev"))
    here = declared(configured(tmp_path, text))
    assert (there["schedules.daily"].stopped, here["schedules.daily"].stopped) == (False, True)
    assert (there["jobs.nightly"].retries, here["jobs.nightly"].retries) == (5, 2)
    assert there["jobs.nightly"].selection == "group:shop"


def test_what_the_queue_may_do(tmp_path):
    assert configured(tmp_path, "").limits.queue == QueueLimits(runs=10)
    text = '[limits]\nruns = 4\n[limits.tags]\n"team=data" = 2\n"team=*" = 1\n[limits.pools]\nwarehouse = 2'
    assert configured(tmp_path, text).limits.queue == QueueLimits(
        runs=4, tags={"team=data": 2, "team=*": 1}, pools={"warehouse": 2}
    )


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("500", Keep(number=500)),
        ('"90d"', Keep(seconds=90 * 86_400.0)),
        ('"12h"', Keep(seconds=43_200.0)),
        ('"forever"', Keep()),
    ],
)
@pytest.mark.parametrize("what", ["runs", "records", "ticks"])
def test_how_long_history_is_kept(tmp_path, what, written, kept):
    assert getattr(configured(tmp_path, f"[retention]\n{what} = {written}").retention, what) == kept


def test_history_is_kept_for_a_while_unless_said_otherwise(tmp_path):
    retention = configured(tmp_path, "").retention
    assert [each.seconds for each in (retention.runs, retention.records, retention.ticks)] == [
        365 * 86_400,
        90 * 86_400,
        30 * 86_400,
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[jobs.j]\nselecton = 'a'", "jobs.j.selecton: unknown key: did you mean 'selection'?"),
        ("[jobs.j]", "jobs.j: a job needs something to run"),
        (f"{JOB}notebook = 'b.ipynb'", "jobs.j: a job runs a selection of assets or a notebook, not both"),
        ("[jobs.'a b']\nselection = 'a'", "jobs.a b: 'a b' can't be the name of a job"),
        ("[jobs.j]\nselection = 'a and'", "jobs.j.selection: column 6: the selection ends"),
        (f"{JOB}partitions = 'dialy:2024-01-01'", "jobs.j.partitions: column 1: there is no kind of partitions"),
        (f"{JOB}retries = -1", "jobs.j.retries: Expected int >= 0"),
        (f"{JOB}retries = 'x'", "jobs.j.retries: Expected int, got str"),
        (f"{JOB}backoff = 'linear'", "jobs.j: a delay and a backoff do nothing without retries"),
        (f"{JOB}timeout = 0", "jobs.j.timeout: Expected float > 0"),
        (f"{JOB}memory = 'much'", "jobs.j.memory: expected a size such as '4 GB', at least 256 MB, got 'much'"),
        (f"{JOB}tags = {{ k = 1 }}", "jobs.j.tags.k: Expected str, got int"),
        (f"{JOB}parameters = {{ d = 2024-01-01 }}", "jobs.j.parameters.d: datetime.date(2024, 1, 1) can't be a param"),
        (f"{JOB}parameters = {{ list = 1 }}", "jobs.j.parameters.list: parameter can't be called 'list'"),
        ("[schedules.s]\njob = 'j'", "schedules.s: a schedule needs times"),
        ("[schedules.s]\ncron = '0 6 * * *'", "schedules.s: a schedule needs something to run"),
        ("[schedules.s]\ncron = '0 6 * * 9'", "schedules.s.cron: column 9: cron expression '0 6 * * 9': bad day-of"),
        ("[schedules.s]\ncron = 3", "schedules.s.cron: expected text, or a list of texts, got 3"),
        ("[schedules.s]\ntz = 'Europe/Berln'", "schedules.s.tz: there is no time zone 'Europe/Berln': did you mean"),
        ("[schedules.s]\nat = 'noon'", "schedules.s.at: 'noon' is no moment"),
        ("[schedules.s]\nexclude = '13-01'", "schedules.s.exclude: '13-01' is no date"),
        (
            "[schedules.s]\ncatchup = 'some'",
            "schedules.s.catchup: Expected 'none' or 'last' or 'all' or a whole number, got 'some'",
        ),
        ("[schedules.s]\ncatchup = 0", "schedules.s.catchup: Expected int >= 1"),
        ("[sensors.s]\njob = 'j'", "sensors.s: a sensor without a cell of its own needs something to wait for"),
        ("[sensors.s]\non = 'failed'\njob = 'j'", "sensors.s.on: expected success, failure, canceled, got 'failed'"),
        ("[sensors.s]\non = 'failure'", "sensors.s: a sensor that waits for runs needs a job to run, or somebody"),
        ("[notify.ops]", "notify.ops: expected host, from and to for an e-mail, or the url to call"),
        ("[notify.ops]\nhost = 'h'\nfrom = 'a@b'", "notify.ops.to: is missing: an e-mail needs it"),
        (f"{MAIL}user = 'u'", "notify.ops.password: is missing: they belong together"),
        (f"{MAIL}user = 'u'\npassword = 'p'", "notify.ops.password: is a secret: write it as ${NAME}"),
        (f"{MAIL}kind = 'slack'", "notify.ops.kind: does not belong to what has a host"),
        (f"{MAIL}url = 'https://x'", "notify.ops.host: does not belong to what has a url"),
        (f"{MAIL}port = 99999", "notify.ops.port: Expected int <= 65535"),
        ("[notify.ops]\nurl = 'https://x/y'\nkind = 'slack'", "notify.ops.url: is a secret: write it as ${NAME}"),
        ("[notify.ops]\nurl = '${U}'\nkind = 'teams'", "notify.ops.kind: Expected 'json' or 'slack', got 'teams'"),
        ("[limits]\nruns = 0", "limits.runs: Expected int >= 1"),
        ("[limits.tags]\nteam = 1", "limits.tags.team: write it as KEY=VALUE, or KEY=*"),
        ("[limits.pools]\nw = 'x'", "limits.pools.w: Expected int, got str"),
        (
            "[retention]\nticks = '30 days'",
            "retention.ticks: expected a number, a duration such as '90d', or 'forever'",
        ),
        ("[retention]\nruns = 99999999999999999999", "retention.runs: expected a number"),
        ("[jobs.j]\nselection = 'a'\ntimeout = 1e300", "jobs.j.timeout: Expected float <= 1000000000.0"),
        ("[jobs.j]\nselection = 'a'\npriority = 99999999999", "jobs.j: a priority is a whole number from"),
        ("[retention]\nruns = 0", "retention.runs: expected a number"),
        ("[env.dev.schedules.s]\ncron = 'x'", "env.dev.schedules.s.cron: cron expression 'x'"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, text)
    assert f"nbpipe.toml: {message}" in str(caught.value)


@pytest.fixture
def shop(project: Path) -> Path:
    """A project with jobs in a notebook and in the configuration."""
    write_notebook(
        project / "shop.ipynb",
        [
            parameters("n = 1"),
            "%%asset orders\norders = [n]",
            "%job nightly orders --param n=2\n%schedule daily 0 6 * * * --job weekly",
            "%%sensor inbox --job nightly\nTrue",
        ],
    )
    (project / "nbpipe.toml").write_text(
        "[jobs.weekly]\nselection = 'orders'\n[schedules.weekly]\ncron = '0 6 * * 1'\njob = 'nightly'\n"
    )
    return project


def names(definitions: Definitions) -> list[list[str]]:
    return [list(each) for each in definitions.automation]


def test_notebooks_and_the_configuration_are_joined_and_remembered(shop):
    first = load_project(shop).definitions
    assert names(first) == [["nightly", "weekly"], ["daily", "weekly"], ["inbox"], []]
    assert (first.jobs["weekly"].cell, str(first.jobs["nightly"].cell)) == (None, "shop.ipynb, cell 3")
    assert first.diagnostics == ()
    assert load_project(shop).definitions == first


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("[jobs.nightly]\nselection = 'orders'", "duplicate-job", "declared in nbpipe.toml, and again in shop.ipynb,"),
        ("[jobs.weekly]\nselection = 'ordres'", "selection", "jobs.weekly: there is no asset 'ordres': did you mean"),
        ("[jobs.weekly]\nnotebook = 'shp.ipynb'", "unknown-notebook", "jobs.weekly: there is no notebook 'shp.ipynb'"),
        (
            "[jobs.weekly]\nselection = 'orders'\nparameters = { m = 1 }",
            "unknown-parameter",
            "jobs.weekly: there is no parameter 'm'",
        ),
        (
            "[sensors.s]\non = 'failure'\nnotify = 'x'",
            "unknown-notification",
            "sensors.s: there is no notification 'x'",
        ),
    ],
)
def test_what_the_configuration_names_is_looked_up(shop, text, code, message):
    (shop / "nbpipe.toml").write_text(text)
    definitions = load_project(shop).definitions
    found = [each for each in definitions.diagnostics if each.code == code]
    assert [message in each.message for each in found] == [True]
    assert found[0].notebook in ("nbpipe.toml", "shop.ipynb")


def test_a_change_of_the_configuration_shows_at_once(shop):
    loaded = load_project(shop)
    (shop / "nbpipe.toml").write_text("[jobs.weekly]\nselection = 'orders'\npriority = 3\n")
    again = loaded.reload()
    assert again is not loaded
    assert again.definitions.jobs["weekly"].priority == 3
    assert again.definitions.hash != loaded.definitions.hash
    assert again.reload() is again


def test_an_unreadable_line_of_one_job_leaves_the_others(shop):
    write_notebook(shop / "more.ipynb", ["%job other orders", "%job broken orders --retrys 3"])
    definitions = load_project(shop).definitions
    assert names(definitions)[0] == ["nightly", "other", "weekly"]
    assert list(definitions.unusable) == ["job broken"]


def test_a_notebook_of_jobs_alone_makes_a_project(project):
    write_notebook(project / "report.ipynb", ["print(1)"])
    write_notebook(project / "jobs.ipynb", ["%job day --notebook report.ipynb\n%schedule day 0 6 * * * --job day"])
    definitions = load_project(project).definitions
    assert definitions.diagnostics == ()
    assert (definitions.assets, names(definitions)[:2]) == ({}, [["day"], ["day"]])
    assert (project / ".nbpipe/index.msgpack").exists()


@pytest.mark.parametrize("cells", [["%%asset a\na = 1"], ["%%asset a\na = 1", "!ls\n%matplotlib inline"]])
def test_a_project_without_any_loads_nothing_of_it(project, cells):
    write_notebook(project / "a.ipynb", cells)
    code = (
        "import sys; from pathlib import Path; from nbpipe.loading.project import load_project\n"
        "for _ in range(2): load_project(Path('.'))\n"
        "print([name for name in sys.modules if name in ('cronsim', 'pyroaring') or 'core.automation' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
