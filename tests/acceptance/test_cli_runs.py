"""The commands that execute notebooks, from a terminal, with real kernels."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks import edit_cell, parameters, read_notebook, write_notebook
from tests.stored import store_values
from tests.terminal import NBPIPE, Terminal, nbpipe

RESULT_KEYS = ["run_id", "status", "steps"]
STEP_KEYS = ["notebook", "output", "assets", "status", "error"]
RUN_KEYS = [
    "id",
    "job",
    "status",
    "trigger",
    "created_at",
    "started_at",
    "ended_at",
    "assets",
    "partition",
    "notebooks",
    "error",
]
NOTHING = {"run_id": None, "status": "success", "steps": []}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return a project whose assets were materialized once, by a command."""
    root = tmp_path_factory.mktemp("finished") / "my project, été"
    write_notebook(
        root / "shop.ipynb",
        [
            parameters("factor = 2"),
            "%%asset orders\norders = [3, 1]",
            "%%asset doubled\ndoubled = [each * factor for each in orders]",
            "%%asset luck --io files\nimport os\nluck = os.urandom(8).hex()",
            "doubled",
        ],
    )
    (root / "nbpipe.toml").touch()
    answer = nbpipe(root, "materialize", "*", "--json")
    assert answer.status == 0, answer.err
    (root / "answer.json").write_text(answer.out)
    return root


@pytest.fixture
def shop(finished, tmp_path, monkeypatch) -> Path:
    """Return a copy of that project, which is the current folder."""
    root = shutil.copytree(finished, tmp_path / finished.name)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def terminal(capsys) -> Terminal:
    return Terminal(capsys)


def outputs(folder: Path, record: str) -> list[dict[str, Any]]:
    return [output for cell in read_notebook(folder / record)["cells"] for output in cell.get("outputs", ())]


def test_materialize_answers_as_the_contract_says(finished):
    result = json.loads((finished / "answer.json").read_text())
    assert list(result) == RESULT_KEYS
    (step,) = result["steps"]
    assert list(step) == STEP_KEYS
    assert step == {
        "notebook": "shop.ipynb",
        "output": f".nbpipe/runs/{result['run_id']}/0-shop.ipynb",
        "assets": ["orders", "doubled", "luck"],
        "status": "success",
        "error": None,
    }
    assert (finished / step["output"]).exists()


def test_the_run_is_listed_as_the_contract_says(shop, terminal):
    (run,) = terminal.json("runs")
    assert list(run) == RUN_KEYS
    assert (run["status"], run["trigger"], run["partition"], run["error"]) == ("success", "manual", None, None)
    assert sorted(run["assets"]) == ["doubled", "luck", "orders"]
    assert terminal.json("runs", "show", run["id"][:14])["steps"][0]["assets"] == ["orders", "doubled", "luck"]
    assert run["id"] in terminal("runs").out
    assert "doubled" in terminal("runs", "show", run["id"]).out


def test_with_nothing_stale_no_kernel_is_started_and_papermill_not_imported(shop):
    code = (
        "import sys\n"
        "from nbpipe.cli.main import main\n"
        "try:\n    main(['materialize', '*', '--stale'])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "print(sorted({'papermill', 'nbclient', 'jupyter_client', 'pandas', 'nbformat', 'alembic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [NBPIPE.with_name("python"), "-c", code], cwd=shop, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["nothing to do: everything that is selected is fresh", "[]"]
    assert json.loads(nbpipe(shop, "materialize", "*", "--stale", "--json").out) == NOTHING


def test_only_what_is_stale_is_executed(shop, terminal):
    edit_cell(shop / "shop.ipynb", 2, "%%asset doubled\ndoubled = [2 * each for each in orders]")
    answer = terminal("materialize", "*", "--stale")
    assert answer.status == 0
    assert "doubled: success" in answer.err
    assert "orders" not in answer.err
    first, _ = terminal.json("runs")
    assert first["assets"] == ["doubled"]


def test_a_stale_asset_above_the_selection_is_left_alone(shop, terminal):
    edit_cell(shop / "shop.ipynb", 1, "%%asset orders\norders = [3, 1, 4]")
    assert terminal.json("status", "doubled")[0]["status"] == "stale"
    assert terminal.json("materialize", "doubled", "--stale") == NOTHING


def test_parameters_are_given_and_recorded(shop, terminal):
    assert terminal.json("materialize", "doubled", "--param", "factor=5")["status"] == "success"
    assert json.loads(Path(terminal("load", "doubled", "--path").out.strip()).read_text()) == [15, 5]
    (row,) = terminal.json("status", "doubled")
    assert (row["status"], row["notes"]) == ("fresh", ["made with factor=5 (default 2)"])
    run = terminal.json("runs")[0]
    assert terminal.json("runs", "show", run["id"])["parameters"] == {"factor": 5}


def test_a_failure_is_status_1_and_is_retried_from_where_it_failed(shop, terminal):
    edit_cell(shop / "shop.ipynb", 2, "%%asset doubled\ndoubled = 1 / 0")
    answer = terminal("materialize", "orders doubled", "--json")
    assert answer.status == 1
    assert (answer.data["status"], answer.data["steps"][0]["assets"]) == ("failure", ["orders"])
    assert "ZeroDivisionError" in answer.data["steps"][0]["error"]
    assert terminal.json("status", "doubled")[0]["status"] == "failed"
    edit_cell(shop / "shop.ipynb", 2, "%%asset doubled\ndoubled = [0]")
    again = terminal.json("runs", "retry", "--from-failure", answer.data["run_id"])
    assert again["steps"][0]["assets"] == ["doubled"]
    retried = terminal.json("runs", "show", again["run_id"])
    assert (retried["trigger"], retried["parent"]) == ("retry", answer.data["run_id"])
    refused = terminal("runs", "retry", "--from-failure", again["run_id"])
    assert refused.status == 2
    assert "without --from-failure" in refused.err


def test_any_notebook_runs_whole_with_its_parameters(shop, terminal):
    write_notebook(shop / "sub" / "plain.ipynb", [parameters("year = 2000"), "print('year', year)"])
    result = terminal.json("run", "sub/plain.ipynb", "-p", "year", "2024")
    (step,) = result["steps"]
    assert (result["status"], step["assets"]) == ("success", [])
    assert any("year 2024" in "".join(output.get("text", "")) for output in outputs(shop, step["output"]))
    again = terminal.json("runs", "retry", result["run_id"])
    assert any("year 2024" in "".join(each.get("text", "")) for each in outputs(shop, again["steps"][0]["output"]))


def test_a_notebook_that_fails_is_status_1_with_its_record(shop, terminal):
    write_notebook(shop / "plain.ipynb", ["1 / 0"])
    answer = terminal("run", "plain.ipynb")
    assert answer.status == 1
    assert "ZeroDivisionError" in answer.out
    assert ".nbpipe/runs/" in answer.out


def test_verify_compares_and_commits_nothing(shop, terminal):
    before = terminal.json("status")
    found = terminal.json("verify", "doubled")
    assert [(each["asset"], each["result"]) for each in found["assets"]] == [("doubled", "equal")]
    answer = terminal("verify", "luck")
    assert answer.status == 1
    assert "different" in answer.out
    ages = {row["asset"]: {**row, "notes": None} for row in terminal.json("status")}
    assert ages == {row["asset"]: {**row, "notes": None} for row in before}
    assert [path.name for path in (shop / ".nbpipe" / "runs").rglob("*.json")] == []


def test_a_run_that_only_compared_is_not_retried(shop, terminal):
    run_id = terminal.json("verify", "doubled")["run_id"]
    answer = terminal("runs", "retry", run_id)
    assert answer.status == 2
    assert "`nbpipe verify doubled` does it again" in answer.err


def test_verify_uses_the_parameters_of_the_record(shop, terminal):
    terminal.json("materialize", "doubled", "--param", "factor=5")
    assert terminal.json("verify", "doubled")["assets"][0]["result"] == "equal"


def test_verify_of_what_can_only_be_pickled_promises_nothing(shop, terminal):
    body = "class Odd:\n    def __init__(self):\n        self.n = os.urandom(4)\nodd = Odd()"
    write_notebook(shop / "odd.ipynb", ["import os", f"%%asset odd\n{body}"])
    terminal.json("materialize", "odd")
    answer = terminal("verify", "odd")
    assert answer.status == 0
    assert "nothing can be promised" in answer.out


def test_verify_of_what_fails_now_changes_nothing(shop, terminal):
    flag = shop / "broken"
    write_notebook(
        shop / "odd.ipynb", [f"%%asset odd\nfrom pathlib import Path\nassert not Path({str(flag)!r}).exists()\nodd = 1"]
    )
    terminal.json("materialize", "odd")
    (shop / "nbpipe.toml").touch()
    flag.mkdir()
    answer = terminal("verify", "odd")
    assert answer.status == 1
    assert "could not be computed again" in answer.out
    assert terminal.json("status", "odd")[0]["status"] == "fresh"


def test_verify_of_something_stale_is_refused(shop, terminal):
    edit_cell(shop / "shop.ipynb", 2, "%%asset doubled\ndoubled = [2]")
    answer = terminal("verify", "doubled")
    assert answer.status == 2
    assert "code changed" in answer.err


def test_old_values_are_removed_after_a_run(shop, terminal):
    (shop / "nbpipe.toml").write_text("[retention]\nvalues = 1\n")
    first = Path(terminal("load", "orders", "--path").out.strip())
    terminal.json("materialize", "orders")
    assert not first.exists()
    assert Path(terminal("load", "orders", "--path").out.strip()).exists()


def test_a_queued_run_is_carried_out_by_another_process(shop, terminal):
    from nbpipe.commands.materialize import prepare, start
    from nbpipe.commands.workspace import Workspace

    with Workspace.open(shop) as workspace:
        run_id = start(workspace, prepare(workspace, "orders"), trigger="notebook")
    assert terminal.json("runs")[0]["status"] == "queued"
    words = ["-m", "nbpipe.cli", "--project", str(shop), "_run", run_id]
    subprocess.run([NBPIPE.with_name("python"), *words], check=True, capture_output=True, timeout=60)
    newest = terminal.json("runs")[0]
    assert (newest["status"], newest["trigger"]) == ("success", "notebook")


def test_a_queued_run_can_be_canceled(shop, terminal):
    from nbpipe.commands.materialize import prepare, start
    from nbpipe.commands.workspace import Workspace

    with Workspace.open(shop) as workspace:
        run_id = start(workspace, prepare(workspace, "orders"))
    assert terminal.json("runs", "cancel", run_id)["status"] == "canceled"
    answer = terminal("runs", "cancel", run_id)
    assert answer.status == 2
    assert "has ended already" in answer.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run(shop, terminal, number):
    flag = shop / "started"
    cell = f"%%asset slow\nimport time\nopen({str(flag)!r}, 'w').close()\ntime.sleep(100)\nslow = 1"
    write_notebook(shop / "slow.ipynb", [cell])
    process = subprocess.Popen(
        [NBPIPE, "materialize", "slow", "--json"], cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not flag.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        os.sched_yield()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert json.loads(out)["status"] == "canceled"
    assert "Traceback" not in err
    assert terminal.json("runs")[0]["status"] == "canceled"


def test_output_that_nobody_reads_to_its_end_is_no_error(shop):
    cells = [f"%%asset a{n}\na{n} = {n}" for n in range(3000)]
    write_notebook(shop / "many.ipynb", cells)
    command = subprocess.Popen([NBPIPE, "list", "--json"], cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.read(10)
    command.stdout.close()
    assert command.stderr.read() == b""
    command.stderr.close()
    command.wait(60)


def test_a_terminal_gets_colours_and_a_pipe_does_not(shop):
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    store_values(shop, orders=[1])
    command = subprocess.Popen(
        [NBPIPE, "status"], cwd=shop, stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm"}
    )
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 4096):
            shown += chunk
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(leader)
    assert command.wait(60) == 0
    assert b"\x1b[" in shown
    assert "\x1b" not in nbpipe(shop, "status").out


def test_text_that_the_terminal_cant_show_is_escaped(shop):
    environ = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    answer = nbpipe(shop, "lineage", env=environ)
    assert answer.status == 0
    assert "\\u25cf" in answer.out
