"""Any notebook can be a job: it runs whole, and leaves a record."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.errors import ParameterError, RefusedError
from tests.notebooks import code, markdown, outputs_text, parameters, read_notebook, write_notebook
from tests.runs import carried_out, leftovers, opened, record, statuses, whole


def test_a_notebook_without_a_magic_runs_and_leaves_a_record(project: Path) -> None:
    path = write_notebook(
        project / "plain.ipynb",
        [
            markdown("# Title"),
            code("print('hello')", outputs=[{"output_type": "stream", "name": "stdout", "text": "old"}]),
        ],
    )
    before = path.read_bytes()
    run = carried_out(project, whole("plain.ipynb"))
    assert (run.status, run.error) == ("success", None)
    kept = record(project, run)
    assert outputs_text(kept["cells"][1]) == "hello\n"
    assert statuses(kept) == ["completed", "completed"]
    assert path.read_bytes() == before
    assert leftovers(run) == []
    with opened(project) as store:
        step = store.steps(run.id)[0]
    assert step.output == f".nbpipe/runs/{run.id}/0-plain.ipynb"
    assert step.record_hash == hashlib.sha256((project / step.output).read_bytes()).hexdigest()
    assert [file.name for file in (project / step.output).parent.iterdir()] == ["0-plain.ipynb"]


def test_parameters_are_injected_below_the_parameters_cell(project: Path) -> None:
    write_notebook(project / "p.ipynb", ["'before'", parameters("year = 2020\nname = 'x'"), "print(year + 1, name)"])
    run = carried_out(project, whole("p.ipynb", year=2024, name="Ü 'quoted' \"too\""))
    kept = record(project, run)
    assert [cell["id"] for cell in kept["cells"]] == ["cell-0", "cell-1", "injected-parameters", "cell-2"]
    assert outputs_text(kept["cells"][3]) == "2025 Ü 'quoted' \"too\"\n"
    assert kept["metadata"]["papermill"]["parameters"] == {"year": 2024, "name": "Ü 'quoted' \"too\""}


@pytest.mark.parametrize("value", [(1, 2), b"x", {1: "a"}, float("nan"), Path("x"), {"a": [(1,)]}])
def test_a_parameter_that_a_notebook_cannot_hold_is_refused_before_anything_starts(
    project: Path, value: object
) -> None:
    write_notebook(project / "p.ipynb", [parameters("n = 1"), "print(n)"])
    with pytest.raises(ParameterError, match="parameter 'n'"):
        carried_out(project, whole("p.ipynb", n=value))


def test_parameters_for_a_notebook_that_takes_none_are_refused(project: Path) -> None:
    write_notebook(project / "p.ipynb", ["n = 1"])
    with pytest.raises(ParameterError, match="tag `parameters`"):
        carried_out(project, whole("p.ipynb", n=2))
    with opened(project) as store:
        assert store.runs() == []


def test_a_failing_cell_stops_the_notebook_and_the_record_says_where(project: Path) -> None:
    write_notebook(project / "bad.ipynb", ["print('one')", "1 / 0", "print('never')"])
    run = carried_out(project, whole("bad.ipynb"))
    assert run.status == "failure"
    assert run.error == "ZeroDivisionError: division by zero (bad.ipynb, cell 2)"
    kept = record(project, run)
    assert statuses(kept) == ["completed", "failed", "pending"]
    assert [cell["id"] for cell in kept["cells"]] == ["cell-0", "cell-1", "cell-2"]
    assert "ZeroDivisionError" in outputs_text(kept["cells"][1])
    assert kept["cells"][2]["outputs"] == []


def test_tags_of_papermill_and_nbclient_count(project: Path) -> None:
    write_notebook(
        project / "tags.ipynb",
        [
            code("raise SystemError('expected')", tags=["raises-exception"]),
            code("raise ValueError('not run')", tags=["skip-execution"]),
            code("raise ValueError('not run')", tags=["nbpipe:skip"]),
            "print('end')",
        ],
    )
    run = carried_out(project, whole("tags.ipynb"))
    assert run.status == "success"
    kept = record(project, run)
    assert [outputs_text(cell) for cell in kept["cells"]] == ["SystemError: expected\n", "", "", "end\n"]


@pytest.mark.parametrize("folder", ["with space", "Übersicht/日本語"])
def test_paths_with_spaces_and_other_alphabets_work(project: Path, folder: str) -> None:
    write_notebook(project / folder / "mein Bericht é.ipynb", ["import helper, os, sys; print(helper.X, os.getcwd())"])
    (project / folder / "helper.py").write_text("X = 'found'\n", encoding="utf-8")
    run = carried_out(project, whole(f"{folder}/mein Bericht é.ipynb"))
    assert run.error is None
    assert outputs_text(record(project, run)["cells"][0]) == f"found {project / folder}\n"


@pytest.mark.parametrize("minor", [2, 5])
def test_a_notebook_without_a_kernelspec_is_python(project: Path, minor: int) -> None:
    write_notebook(project / "bare.ipynb", ["print(6 * 7)"], kernelspec=None, nbformat_minor=minor)
    run = carried_out(project, whole("bare.ipynb"))
    assert outputs_text(record(project, run)["cells"][0]) == "42\n"


def test_an_unknown_kernel_fails_the_step_with_those_installed(project: Path) -> None:
    write_notebook(project / "k.ipynb", ["1"])
    step = whole("k.ipynb")
    run = carried_out(project, type(step)(index=0, notebook="k.ipynb", whole=True, kernel="no-such-kernel"))
    assert run.status == "failure"
    assert "there is no kernel 'no-such-kernel' here (installed: " in str(run.error)


def test_a_file_that_is_no_notebook_is_refused(project: Path) -> None:
    (project / "x.ipynb").write_text("not json", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"x\.ipynb can't be read as a notebook"):
        carried_out(project, whole("x.ipynb"))


def test_the_kernel_knows_its_run_and_hashes_the_same_way_each_time(project: Path) -> None:
    write_notebook(project / "e.ipynb", ["import os; print(os.environ['NBPIPE_RUN_ID'], os.environ['PYTHONHASHSEED'])"])
    run = carried_out(project, whole("e.ipynb"))
    assert outputs_text(record(project, run)["cells"][0]) == f"{run.id} 0\n"


def test_modules_beside_the_notebook_come_first(project: Path) -> None:
    write_notebook(project / "sub" / "m.ipynb", ["import sys, antigravity; print(sys.path[0], antigravity.HERE)"])
    (project / "sub" / "antigravity.py").write_text("HERE = 'mine'", encoding="utf-8")
    run = carried_out(project, whole("sub/m.ipynb"))
    assert outputs_text(record(project, run)["cells"][0]) == f"{project / 'sub'} mine\n"


def test_a_kernel_leaves_properly_although_quickly(project: Path) -> None:
    """Exit functions run, threads are waited for, and files that nobody closed are written out."""
    write_notebook(
        project / "exit.ipynb",
        [
            (
                "import atexit, threading, time\nfrom pathlib import Path\n"
                "file = open('open.txt', 'w'); file.write('kept')\n"
                "atexit.register(lambda: Path('exit.txt').write_text('ran'))\n"
                "threading.Thread(target=lambda: (time.sleep(0.3), Path('thread.txt').write_text('ended'))).start();"
            )
        ],
    )
    run = carried_out(project, whole("exit.ipynb"))
    assert run.status == "success"
    assert [(project / f"{name}.txt").read_text() for name in ("open", "exit", "thread")] == ["kept", "ran", "ended"]


def test_what_a_notebook_started_is_gone_when_its_run_has_ended(project: Path) -> None:
    write_notebook(
        project / "s.ipynb",
        [
            (
                "import subprocess, sys\nsleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
                "subprocess.Popen(sleep); subprocess.Popen(sleep, start_new_session=True);"
            )
        ],
    )
    run = carried_out(project, whole("s.ipynb"))
    assert run.status == "success"
    assert leftovers(run) == []


def test_independent_steps_run_at_the_same_time(project: Path) -> None:
    """Each waits for a file that the other writes."""
    for mine, other in (("a", "b"), ("b", "a")):
        write_notebook(
            project / f"{mine}.ipynb",
            [
                (
                    f"import time\nfrom pathlib import Path\nPath('{mine}.txt').touch()\nend = time.monotonic() + 60\n"
                    f"while not Path('{other}.txt').exists() and time.monotonic() < end: time.sleep(0.01)\n"
                    f"print(Path('{other}.txt').exists())"
                )
            ],
        )
    run = carried_out(project, whole("a.ipynb"), whole("b.ipynb", index=1), parallel=2)
    assert [outputs_text(record(project, run, index)["cells"][0]) for index in (0, 1)] == ["True\n", "True\n"]


def test_a_step_waits_for_those_it_comes_after(project: Path) -> None:
    write_notebook(project / "first.ipynb", ["open('x.txt', 'w').write('1');"])
    write_notebook(project / "second.ipynb", ["print(open('x.txt').read())"])
    run = carried_out(project, whole("first.ipynb"), whole("second.ipynb", index=1, after=(0,)))
    assert outputs_text(record(project, run, 1)["cells"][0]) == "1\n"


def test_quick_displays_and_much_text_are_cut_and_said_not_fatal(project: Path) -> None:
    write_notebook(
        project / "chatty.ipynb",
        [
            "from IPython.display import display\nfor i in range(20_000): display(i)",
            "for i in range(100): print('x' * 1_000_000)",
            "display({'text/html': 'h' * 300_000, 'text/plain': 'small'}, raw=True)",
            "print('still here')",
        ],
    )
    limits = OutputLimits(output=200_000)
    run = carried_out(project, whole("chatty.ipynb"), limits=limits)
    assert run.status == "success"
    kept = record(project, run)
    assert len(kept["cells"][0]["outputs"]) == limits.count + 1
    assert "outputs of this cell were too many" in outputs_text(kept["cells"][0])
    assert len(outputs_text(kept["cells"][1])) < 250_000
    assert "characters of output were cut here" in outputs_text(kept["cells"][1])
    assert "too big to keep" in outputs_text(kept["cells"][2])
    assert outputs_text(kept["cells"][3]) == "still here\n"
    assert [cut["cell"] for cut in kept["metadata"]["nbpipe"]["cut"]] == [0, 1, 2]


def test_displays_update_clear_and_widgets_keep_their_state(project: Path) -> None:
    write_notebook(
        project / "w.ipynb",
        [
            "from IPython.display import display, clear_output\nhandle = display('a', display_id=True)",
            "handle.update('b')",
            "print('gone'); clear_output(); print('kept')",
            (
                "import ipywidgets\nout = ipywidgets.Output()\nslider = ipywidgets.IntSlider(3)\ndisplay(slider)\n"
                "with out: print('captured')"
            ),
        ],
    )
    run = carried_out(project, whole("w.ipynb"))
    kept = record(project, run)
    assert [outputs_text(cell) for cell in kept["cells"][:3]] == ["'b'\n", "", "kept\n"]
    states = kept["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    assert {"IntSliderModel", "OutputModel"} <= {state["model_name"] for state in states}
    assert "captured" not in outputs_text(kept["cells"][3])


@pytest.mark.parametrize(
    "where",
    [{"state": "postgresql://me:${DB_PASSWORD}@host/db"}, {"secrets": ("${DB_PASSWORD}",)}],
    ids=["state", "any"],
)
def test_a_configured_secret_never_gets_into_a_record_or_an_error(
    project: Path, monkeypatch: pytest.MonkeyPatch, where: dict[str, Any]
) -> None:
    monkeypatch.setenv("DB_PASSWORD", 'hunter2 "Ü"')
    write_notebook(
        project / "leak.ipynb",
        ["import os; secret = os.environ['DB_PASSWORD']; print(secret); secret", "raise ValueError(secret)"],
    )
    run = carried_out(project, whole("leak.ipynb"), **where)
    assert run.error == "ValueError: *** (leak.ipynb, cell 2)"
    with opened(project) as store:
        text = (project / store.steps(run.id)[0].output).read_text(encoding="utf-8")
        events = repr(store.events(run_id=run.id)) + repr(store.steps(run.id))
    assert "hunter2" not in text
    assert "***" in text
    assert "hunter2" not in events


def test_papermill_itself_can_use_the_engine(project: Path) -> None:
    write_notebook(project / "in.ipynb", [parameters("n = 1"), "print(n * 2)"])
    command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--engine", "nbpipe", "-p", "n", "21"]
    done = subprocess.run([*command, "--no-progress-bar"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert outputs_text(read_notebook(project / "out.ipynb")["cells"][2]) == "42\n"


def test_progress_is_told_as_it_happens(project: Path) -> None:
    write_notebook(project / "n.ipynb", ["1", "2"])
    seen = []
    run = carried_out(
        project, whole("n.ipynb"), on_event=lambda event: seen.append((event.kind, event.cell, event.status))
    )
    assert seen == [
        ("run_started", None, ""),
        ("step_started", None, ""),
        ("cell_started", 0, ""),
        ("cell_ended", 0, "success"),
        ("cell_started", 1, ""),
        ("cell_ended", 1, "success"),
        ("step_ended", None, "success"),
        ("run_ended", None, "success"),
    ]
    assert json.dumps(run.id)
