"""Jobs, schedules and sensors of notebooks: what counts, what they name, and what is wrong with them."""

from __future__ import annotations

import pytest

from tests.resolving import PARAMETERS, codes, define, found, kinds

ORDERS = "%%asset orders --group shop\norders = [1]"
JOB = "%job nightly orders"
SCHEDULE = "%schedule daily 0 6 * * * --job nightly"
SENSOR = "%%sensor inbox --job nightly\nTrue"


def test_every_kind_is_found_with_its_place():
    definitions = define(ORDERS, f"import os\n{JOB}\n{SCHEDULE}", SENSOR, "%sensor after --asset orders --job nightly")
    assert codes(definitions) == []
    assert (list(definitions.jobs), list(definitions.schedules)) == (["nightly"], ["daily"])
    assert list(definitions.sensors) == ["after", "inbox"]
    assert str(definitions.schedules["daily"].cell) == "nb.ipynb, cell 2"
    assert str(definitions.sensors["inbox"].cell) == "nb.ipynb, cell 3"
    assert definitions.unusable == {}


def test_what_starts_runs_is_part_of_the_hash():
    plain, other = define(ORDERS, "x = 1"), define(ORDERS, f"x = 1\n{JOB}")
    assert plain.hash != other.hash
    assert other.hash != define(ORDERS, f"x = 1\n{JOB} --priority 1").hash
    assert other.hash == define(ORDERS, f"x = 1\n{JOB}").hash


KINDS = {
    "alone": ([JOB], ["setup"]),
    "beside imports": (["import os\n" + JOB], ["setup"]),
    "in a view cell": ([ORDERS, f"print(orders)\n{JOB}"], ["asset", "view"]),
    "in an asset's cell": ([f"{ORDERS}\n{JOB}"], ["asset"]),
    "a sensor": ([SENSOR], ["other"]),
    "a sensor that can't be read": (["%%sensor s --job j\nx = ("], ["other"]),
}


@pytest.mark.parametrize(("cells", "expected"), KINDS.values(), ids=KINDS)
def test_a_declaring_line_leaves_the_kind_of_its_cell(cells: list[str], expected: list[str]):
    assert kinds(define(*cells)) == expected


NOTHING = {
    "in a text": 'text = """\n%job nightly orders\n"""',
    "in a text beside a magic": 'text = """\n%job nightly orders\n"""\n%matplotlib inline',
    "in a comment": "# %job nightly orders",
    "indented": "if True:\n    %job nightly orders",
    "a question": "%job?",
    "help": "%job nightly --help",
    "help of a sensor": "%%sensor s --help",
    "a cell that is skipped": ("nbpipe:skip", JOB),
    "a sensor that is skipped": ("nbpipe:skip", SENSOR),
    "below another cell magic": f"%%bash\n{JOB}",
}


@pytest.mark.parametrize("cell", NOTHING.values(), ids=NOTHING)
def test_what_declares_nothing(cell: str | tuple[str, str]):
    definitions = define(ORDERS, cell)
    assert not any(definitions.automation)
    assert codes(definitions) == []


WRONG = {
    "an option": ([f"{JOB} --retrys 3"], ("declaration", 2, 1), "%job nightly: column 21: there is no option --retrys"),
    "a cron": (
        [JOB, "x = 1\n%schedule daily 0 6 * * 9 --job nightly"],
        ("declaration", 3, 2),
        "%schedule daily: column 25: cron expression '0 6 * * 9': bad day-of-week",
    ),
    "a cron of several": (
        [JOB, "%schedule daily '0 6 * * *' '0 26 * * *' --job nightly"],
        ("declaration", 3, 1),
        "%schedule daily: column 32: cron expression '0 26 * * *': bad hour",
    ),
    "a time zone": ([JOB, f"{SCHEDULE} --tz Europe/Berln"], ("declaration", 3, 1), "did you mean 'Europe/Berlin'?"),
    "a moment": ([JOB, f"{SCHEDULE} --at noon"], ("declaration", 3, 1), "'noon' is no moment"),
    "a date": ([JOB, f"{SCHEDULE} --exclude 13-01"], ("declaration", 3, 1), "'13-01' is no date"),
    "partitions": ([f"{JOB} --partitions dialy:2024-01-01"], ("declaration", 2, 1), "did you mean 'daily'?"),
    "a selection that can't be read": (["%job nightly orders and"], ("declaration", 2, 1), "the selection ends where"),
    "an asset that does not exist": (["%job nightly ordres"], ("selection", 2, 1), "did you mean 'orders'?"),
    "a group that does not exist": (["%job nightly group:shp"], ("selection", 2, 1), "did you mean group:shop?"),
    "a selection of nothing": (["%job nightly orders and not orders"], ("selection", 2, 1), "selects nothing"),
    "a notebook that does not exist": (
        ["%job nightly --notebook nbb.ipynb"],
        ("unknown-notebook", 2, 1),
        "there is no notebook 'nbb.ipynb': did you mean 'nb.ipynb'?",
    ),
    "a parameter": ([f"{JOB} --param n=2"], ("unknown-parameter", 2, 1), "'n' can't be given: nb.ipynb has no param"),
    "an unknown job": ([JOB, "%schedule d 0 6 * * * --job nihgtly"], ("unknown-job", 3, 1), "did you mean 'nightly'?"),
    "a selection of a schedule": (
        ["%schedule d 0 6 * * * --select nope"],
        ("selection", 2, 1),
        "%schedule d: there is no asset 'nope'",
    ),
    "an unknown asset": (
        [JOB, "%sensor s --asset ordres --job nightly"],
        ("unknown-asset", 3, 1),
        "did you mean 'orders'?",
    ),
    "an unknown job to watch": (
        [JOB, "%sensor s --on failure --jobs x --job nightly"],
        ("unknown-job", 3, 1),
        "there is no job 'x'",
    ),
    "nobody to notify": (["%sensor s --on failure --notify ops"], ("unknown-notification", 2, 1), "[notify.ops]"),
    "a sensor's line": (["\n%%sensor s\nTrue"], ("declaration", 2, 2), "%%sensor s: a sensor needs a job to run"),
    "a sensor's code": ([JOB, "%%sensor s --job nightly\nx = ("], ("syntax-error", 3, 2), "never closed"),
    "a sensor's magic": ([JOB, "%%sensor s --job nightly\n%%bash\nls"], ("inner-magic", 3, 2), "a sensor can't start"),
}


@pytest.mark.parametrize(("cells", "place", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_place(cells: list[str], place: tuple[str, int, int], message: str):
    definitions = define(ORDERS, *cells)
    code, cell, line = place
    only = found(definitions, code)
    assert (only.severity, only.cell, only.line, only.notebook) == ("error", cell, line, "nb.ipynb")
    assert message in only.message
    assert len(definitions.unusable) == 1
    (label,) = definitions.unusable
    kind, _, name = label.partition(" ")
    assert name not in getattr(definitions, f"{kind}s")


def test_what_follows_from_a_job_with_an_error_is_no_good_either():
    definitions = define(ORDERS, "%job nightly ordres", SCHEDULE)
    assert codes(definitions) == ["selection", "broken-job"]
    assert (definitions.jobs, definitions.schedules) == ({}, {})
    assert list(definitions.unusable) == ["job nightly", "schedule daily"]


def test_a_cell_that_cant_be_read_declares_nothing_but_is_not_forgotten():
    definitions = define(ORDERS, f"{JOB}\nx = (")
    assert codes(definitions) == ["syntax-error"]
    assert definitions.unusable == {"job nightly": "cell 2 can't be read: '(' was never closed"}


def test_of_two_with_one_name_neither_counts_and_both_places_are_named():
    definitions = define(ORDERS, JOB, others={"other.ipynb": [f"import os\n{JOB}"]})
    only = found(definitions, "duplicate-job")
    assert only.message == (
        "job 'nightly' is declared in nb.ipynb, cell 2, and again in other.ipynb, cell 1: rename one of them; until "
        "then, neither counts"
    )
    assert (only.notebook, only.cell, only.line) == ("other.ipynb", 1, 2)
    assert not definitions.jobs
    assert list(definitions.unusable) == ["job nightly"]


def test_names_are_unique_within_a_kind_only():
    definitions = define(ORDERS, "%job x orders\n%schedule x 0 6 * * * --job x\n%sensor x --asset orders --job x")
    assert codes(definitions) == []
    assert [list(each) for each in definitions.automation[:3]] == [["x"]] * 3


@pytest.mark.parametrize("selection", ["status:stale", "orders and status:failed", "not status:fresh"])
def test_a_selection_by_status_may_select_nothing_today(selection: str):
    assert codes(define(ORDERS, f"%job nightly {selection}")) == []


@pytest.mark.parametrize(
    ("written", "path"),
    [("day.ipynb", "reports/day.ipynb"), ("../nb.ipynb", "nb.ipynb"), ("nb.ipynb", "nb.ipynb")],
)
def test_the_path_of_a_notebook_starts_from_the_declaring_one_or_from_the_root(written: str, path: str):
    others = {"reports/jobs.ipynb": [f"%job nightly --notebook {written}"], "reports/day.ipynb": ["print(1)"]}
    definitions = define(ORDERS, others=others)
    assert codes(definitions) == []
    assert definitions.jobs["nightly"].notebook == path


@pytest.mark.parametrize("what", ["orders", "--notebook nb.ipynb", "status:stale"])
def test_parameters_are_those_of_the_notebooks(what: str):
    cells = [(PARAMETERS, "n = 1"), ORDERS]
    assert codes(define(*cells, f"%job j {what} --param n=2")) == []
    assert codes(define(*cells, f"%job j {what} --param n=two")) == ["unknown-parameter"]
    assert "did you mean 'n'" in found(define(*cells, f"%job j {what} --param nn=2"), "unknown-parameter").message


FOLDER = "folder = '/in'\ndef new():\n    return folder"

BODIES = {
    "nothing": ("True", ()),
    "the cursor, read and bound": ("seen = cursor or 0\ncursor = seen + 1\nTrue", ()),
    "the context": ("context", ()),
    "setup names, and what they need": ("new()", ("folder", "new")),
    "a parameter": ("n", ("n",)),
    "names of Python": ("import os\nlen(os.listdir('.'))", ()),
    "measured": ("%%time\nnew()", ("folder", "new")),
    "a value by its name": ("s = True", ()),
}


@pytest.mark.parametrize(("body", "names"), BODIES.values(), ids=BODIES)
def test_the_names_of_a_sensor(body: str, names: tuple[str, ...]):
    definitions = define((PARAMETERS, "n = 1"), ORDERS, FOLDER, JOB, f"%%sensor s --job nightly\n{body}")
    assert codes(definitions) == []
    sensor = definitions.sensors["s"]
    assert sensor.setup_names == names
    assert sensor.source_hash == definitions.notebooks["nb.ipynb"].cells[4].source_hash


WRONG_BODIES = {
    "an asset": ("orders", "sensor-reads-asset", "error", "load it with nbpipe.load('orders')"),
    "an asset of another notebook": ("far", "sensor-reads-asset", "error", "load it with nbpipe.load('far')"),
    "an asset behind a function": ("total()", "asset-as-global", "error", "pass it as an argument"),
    "a partition": ("partition.key", "no-partitions", "error", "put its key into a RunRequest"),
    "nothing of that name": ("fodler", "unknown-name", "error", "did you mean 'folder'?"),
    "a name bound below": ("below", "bound-below", "error", "move that cell above"),
    "a temporary": ("part", "temporary", "error", "invisible to sensors"),
    "a name of a view cell": ("shown", "view-name", "error", "a sensor can't see it"),
    "no value": ("x = 1", "no-value", "warning", "end with an expression"),
}


@pytest.mark.parametrize(("body", "code", "severity", "message"), WRONG_BODIES.values(), ids=WRONG_BODIES)
def test_what_is_wrong_in_a_sensor(body: str, code: str, severity: str, message: str):
    definitions = define(
        "%%asset orders\npart = 1\norders = [part]",
        f"{FOLDER}\ndef total():\n    return sum(orders)",
        "shown = len(orders)",
        JOB,
        f"%%sensor s --job nightly\n{body}",
        "below = 1",
        others={"other.ipynb": ["%%asset far\n1"]},
    )
    only = found(definitions, code)
    assert (only.severity, only.cell) == (severity, 5)
    assert message in only.message
    assert ("s" in definitions.sensors) == (severity == "warning")
