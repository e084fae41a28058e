"""Real kernels, spoken to as frontends do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbpipe.commands.workspace import Workspace
from tests.kernels import opened
from tests.notebooks import code, outputs_text, read_notebook, write_notebook

_LONG = 60

CELLS = [
    code("%load_ext nbpipe", id="load"),
    code("import time, asyncio\nK = 2", id="setup"),
    code("%%asset a\nprint('computing')\na = K\na", id="a"),
    code("%%asset b\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);\nawait asyncio.sleep(0)\nb = a + 1", id="b"),
    code("a + b", id="view"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A kernel as JupyterLab starts it for a notebook whose folder has a blank and an accent."""
    root = tmp_path_factory.mktemp("lab") / "my projét"
    notebook = write_notebook(root / "übung 1.ipynb", CELLS)
    with opened(notebook) as found:
        shown = {}
        for cell in CELLS:
            shown[cell["id"]] = found.run(cell["source"], cell["id"])
        yield found, notebook, shown


def test_cells_run_as_in_any_notebook(lab):
    _, notebook, shown = lab
    assert shown["a"][0] == "computing\na: materialized (never materialized)\n"
    assert shown["a"][1] == [{"text/plain": "2"}]
    assert shown["b"][0] == "b: materialized (never materialized)\n"
    assert ["image/png" in bundle for bundle in shown["b"][1]] == [True]
    assert shown["view"][1] == [{"text/plain": "5"}]
    with Workspace.open(notebook) as workspace:
        found = workspace.states()
        assert found["a"].current.notebook == "übung 1.ipynb"
        assert found["a"].current.cell_id == "a"
        assert all(each.status == "fresh" for each in workspace.assess().values())


def test_a_second_run_loads_and_shows_again_what_was_shown(lab):
    found, _, shown = lab
    text, bundles, reply = found.run(CELLS[3]["source"], "b")
    assert (text, reply["status"]) == ("b: up to date, loaded; %force b runs it again\n", "ok")
    assert bundles == shown["b"][1]


def test_completion_in_a_kernel(lab):
    found, _, _ = lab
    for text, offered in (("%%asset x --gro", "--group"), ("%%asset x --use ", "b"), ("df = %asset ", "a")):
        msg_id = found.client.complete(text, len(text))
        reply = found.client.get_shell_msg(timeout=_LONG)
        assert reply["parent_header"]["msg_id"] == msg_id
        content = reply["content"]
        completed = [text[: content["cursor_start"]] + match for match in content["matches"]]
        assert any(each.split()[-1] == offered for each in completed), content


@pytest.mark.parametrize(
    "body",
    [
        "print('go', flush=True)\ntime.sleep(60)",
        "print('go', flush=True)\nfor _ in range(600):\n    await asyncio.sleep(0.1)",
    ],
    ids=["plain", "await"],
)
def test_an_interrupt_stops_a_body_and_the_kernel_goes_on(lab, body):
    found, notebook, _ = lab
    msg_id = found.start(f"%%asset slow\n{body}\nslow = 1", "slow")
    while True:
        message = found.client.get_iopub_msg(timeout=_LONG)
        if message["msg_type"] == "stream" and "go" in message["content"]["text"]:
            break
    found.manager.interrupt_kernel()
    text, _, reply = found.finish(msg_id)
    assert reply["status"] == "error"
    assert reply["ename"] in ("KeyboardInterrupt", "CancelledError")
    assert "nbpipe" not in text
    assert found.run("1 + 1", "view")[1] == [{"text/plain": "2"}]
    with Workspace.open(notebook) as workspace:
        states = workspace.states(["slow"])
        assert "slow" not in states or states["slow"].failed_at is None


def test_errors_of_the_magics_are_errors_of_the_cell(lab):
    found, _, _ = lab
    text, _, reply = found.run("%asset nothing_such", "view")
    assert (reply["status"], reply["ename"]) == ("error", "UsageError")
    assert "there is no asset 'nothing_such'" in text
    text, _, reply = found.run("%%asset c\nc = 1\nx = = 2", "c")
    assert reply["ename"] == "SyntaxError"
    assert "line 3" in text
    assert "nbpipe" not in text


def test_two_kernels_that_materialize_one_asset_at_once_lose_nothing(tmp_path):
    (tmp_path / "nbpipe.toml").touch()
    source = (
        "%%asset a\nimport os, pathlib, time\nme = pathlib.Path(f'here-{os.getpid()}')\nme.touch()\n"
        "end = time.monotonic() + 30\n"
        "while len(list(pathlib.Path().glob('here-*'))) < 2 and time.monotonic() < end:\n    pass\n"
        "a = {'pid': os.getpid()}"
    )
    notebook = write_notebook(tmp_path / "work.ipynb", [code(source, id="a")])
    with opened(notebook) as one, opened(notebook) as two:
        for each in (one, two):
            each.run("%load_ext nbpipe", "load")
        started = [(each, each.start(source, "a")) for each in (one, two)]
        results = [each.finish(msg_id) for each, msg_id in started]
        assert [reply["status"] for _, _, reply in results] == ["ok", "ok"], results
        with Workspace.open(notebook) as workspace:
            versions = [workspace.store.materialization("default", "a", version=version) for version in (1, 2)]
            values = [workspace.io.manager(each.stored.io).load(each.stored)["pid"] for each in versions]
            assert len(set(values)) == 2
            current = workspace.states(["a"])["a"].current
            assert current.version == 2
        for each in (one, two):
            _, bundles, _ = each.run("v = %asset a\nv['pid']", "v")
            assert bundles == [{"text/plain": str(values[1])}]


def test_plain_papermill_executes_a_notebook_with_the_meaning_of_a_live_kernel(tmp_path):
    (tmp_path / "nbpipe.toml").touch()
    notebook = write_notebook(
        tmp_path / "work.ipynb",
        [
            code("n = 1", tags=["parameters"]),
            "%load_ext nbpipe\nimport math",
            "%%asset a\na = math.floor(n * 10)",
            "%%asset b\nb = a + 1",
            "print('shown', a, b)",
        ],
    )

    def papermill(*words):
        done = subprocess.run(
            [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", ".", notebook.name, *words],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        cells = read_notebook(tmp_path / words[0])["cells"]
        return "".join(outputs_text(cell) for cell in cells)

    assert "shown 20 21" in papermill("out1.ipynb", "-p", "n", "2")
    text = papermill("out2.ipynb", "-p", "n", "2")
    assert "a: up to date, loaded" in text or "nbpipe sees nothing that it reads" in text
    assert "materialized" not in text
    assert "shown 30 31" in papermill("out3.ipynb", "-p", "n", "3")


def test_the_ipython_command_runs_asset_cells(tmp_path):
    script = "%load_ext nbpipe\nK = 4\n%%asset a\na = K\n\n\nprint('a is', a)\n%unload_ext nbpipe\n"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"],
        cwd=tmp_path, input=script, capture_output=True, text=True, check=False, timeout=_LONG,
    )  # fmt: skip
    assert "a: materialized (never materialized)" in done.stdout, done.stdout + done.stderr
    assert "a is 4" in done.stdout
    assert Path(tmp_path / ".nbpipe").is_dir()


#: Runs a program in a mount namespace of its own, where it may mount; as any user.
NAMESPACE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]

READ_ONLY = """
import sys
from pathlib import Path
from tests.live import Person
me = Person(Path(sys.argv[1]))
print(me.type("1 + 1").ok().out)
shown = me.type("%%asset a\\na = 1", "cell-0")
assert shown.error is not None
print("SAID", shown.said)
me.stop()
"""


def test_a_folder_that_can_t_be_written_says_so(tmp_path):
    notebook = write_notebook(tmp_path / "project" / "work.ipynb", ["%%asset a\na = 1"])
    root, repository = notebook.parent, Path(__file__).parents[2]
    commands = f'mount --bind "{root}" "{root}" && mount -o remount,ro,bind "{root}" && exec "$0" "$@"'
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", commands, sys.executable, "-c", READ_ONLY, str(notebook)],
        cwd=repository, capture_output=True, text=True, check=False, timeout=_LONG,
    )  # fmt: skip
    assert "SAID" in done.stdout, done.stdout + done.stderr
    said = done.stdout.partition("SAID")[2]
    assert "can't be written" in said or "read-only" in said.lower()
    assert "Traceback" not in said, said
