"""Which kernels can come from a warm process, and what is not imported into one."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading

import pytest

from nbpipe.errors import NbpipeError
from nbpipe.execution.kernels.connections import KernelCommand
from nbpipe.execution.kernels.plain import PlainKernels
from nbpipe.execution.requests import NewKernel, stable_hashes
from nbpipe.execution.warm import kernel_provider, owned, warmth
from nbpipe.execution.warm.environments import NotWarmError, WarmEnvironment, home, kernel_environment
from nbpipe.execution.warm.kernels import ForkedKernels
from nbpipe.execution.warm.messages import Fork, Refused, receive_answer, send
from nbpipe.execution.warm.owning import WarmProcesses
from nbpipe.execution.warm.preloading import LIBRARIES, Preloaded, imported, needed
from nbpipe.execution.warm.process import Server
from nbpipe.execution.warm.starting import Settings
from tests.warm import hello, warm

ENVIRON = {"PATH": "/bin", "PYTHONHASHSEED": "0"}


def spec(*argv: str, language: str = "python") -> KernelCommand:
    return KernelCommand(name="k", argv=argv, language=language, environ={}, resources="/k")


@pytest.mark.parametrize(
    ("argv", "interpreter", "options"),
    [
        (("python", "-m", "ipykernel_launcher", "-f", "{connection_file}"), sys.executable, ()),
        (("/e/bin/python3.12", "-m", "ipykernel", "-f", "{connection_file}"), "/e/bin/python3.12", ()),
        (
            ("/e/bin/python", "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"),
            "/e/bin/python",
            ("-Xfrozen_modules=off",),
        ),
    ],
)
def test_a_kernel_of_ipykernel_can_be_forked(argv, interpreter, options):
    environment, module = kernel_environment(spec(*argv), ENVIRON)
    assert (environment.interpreter, environment.options) == (interpreter, options)
    assert module == argv[-3]


@pytest.mark.parametrize(
    ("argv", "language", "reason"),
    [
        (("ark", "--connection_file", "{connection_file}"), "R", "not started by Python"),
        (("bash", "-c", "python -m ipykernel_launcher -f {connection_file}"), "python", "not started by Python"),
        (("python", "-m", "sage.repl.ipython_kernel", "-f", "{connection_file}"), "python", "by ipykernel alone"),
        (("python", "kernel.py", "{connection_file}"), "python", "by ipykernel alone"),
        (("python", "-m", "ipykernel_launcher", "-f", "{connection_file}", "--debug"), "python", "options of its own"),
    ],
)
def test_other_kernels_are_started_afresh(argv, language, reason):
    with pytest.raises(NotWarmError, match=reason):
        kernel_environment(spec(*argv, language=language), ENVIRON)


@pytest.mark.parametrize(
    ("environ", "same"),
    [
        ({}, True),
        ({"GREETING": "hi", "NBPIPE_RUN_ID": "1", "JPY_PARENT_PID": "3", "TZ": "UTC"}, True),
        ({"MPLBACKEND": "module://matplotlib_inline.backend_inline"}, True),
        ({"JUPYTER_TOKEN": "secret"}, True),
        ({"MPLBACKEND": "agg"}, False),
        ({"OMP_NUM_THREADS": "1"}, False),
        ({"PYTHONPATH": "/lib"}, False),
        ({"PYTHONHASHSEED": "1"}, False),
        ({"LD_PRELOAD": "/lib.so"}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
    ],
)
def test_what_is_read_early_makes_another_environment(environ, same):
    first, second = (WarmEnvironment.of("/python", (), each) for each in (ENVIRON, {**ENVIRON, **environ}))
    assert (first.key == second.key) is same


def test_a_warm_process_does_not_inherit_for_whom_it_was_started():
    around = WarmEnvironment.of("/python", (), ENVIRON).around({"NBPIPE_RUN_ID": "1", "HOME": "/x", "GREETING": "hi"})
    assert around["GREETING"] == "hi"
    assert not {"NBPIPE_RUN_ID", "HOME"} & set(around)


def test_a_folder_that_others_can_enter_is_not_used(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("warm")  # its path is short enough for a socket
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    environment = WarmEnvironment.of("/python", (), ENVIRON)
    home(environment, create=True)
    (folder / f"nbpipe-warm-{os.getuid()}").chmod(0o777)
    with pytest.raises(NotWarmError, match="open to others"):
        home(environment)


def test_looking_for_a_warm_process_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert warmth("python3") == "kernels are started afresh: there is no warm process"
    assert "nope" in warmth("nope")
    assert list(tmp_path.iterdir()) == []


def test_plain_kernels_are_a_choice():
    assert isinstance(kernel_provider(warm=False), PlainKernels)
    with owned(warm=False) as processes:
        assert processes is None


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ((), ()),
        (("import pandas as pd, numpy\nimport os", "from sklearn.svm import SVC"), ("numpy", "pandas", "sklearn")),
        (("    import scipy.stats", "# import networkx\nimportant = 1; x = 'import tqdm'"), ("scipy",)),
        (("%%asset a\nfrom matplotlib import pyplot as plt", "import mine, polars"), ("matplotlib",)),
    ],
)
def test_what_notebooks_import_is_found(sources, found):
    assert imported(sources) == found
    assert set(found) <= set(LIBRARIES)


SPOILING = {
    "threads": ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "threads"),
    "an open file": ("keep = open(__file__)", "left files open"),
    "a context of sockets": ("import zmq; keep = zmq.Context(); sock = keep.socket(zmq.PUB)", "started threads"),
    "an event loop": ("import asyncio; keep = asyncio.new_event_loop()", "left files open"),
    "a database": (
        "import sqlite3; keep = sqlite3.connect(__file__ + '.db'); keep.execute('create table t (a)')",
        "open",
    ),
    "a shell": ("from IPython.core.interactiveshell import InteractiveShell as S; S.instance()", "shell|open|threads"),
    "an error": ("1 / 0", "ZeroDivisionError"),
}


@pytest.mark.parametrize(("source", "reason"), SPOILING.values(), ids=SPOILING)
def test_a_module_that_does_not_survive_a_fork_is_left_out(source, reason, tmp_path, tmp_path_factory, monkeypatch):
    (tmp_path / "networkx.py").write_text(source)
    (tmp_path / "cwd").mkdir()
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    with warm(tmp_path_factory.mktemp("warm"), "networkx", "tqdm") as processes:
        said = hello(processes)
        assert set(said.denied) == {"networkx"}
        assert any(word in said.denied["networkx"] for word in reason.split("|"))
        assert "tqdm" in said.modules
        provider = ForkedKernels()
        provider.start(NewKernel(cwd=str(tmp_path / "cwd"), environ=stable_hashes())).shutdown(0)
        assert provider.why_plain is None


def test_an_environment_without_nbpipe_has_none_and_says_why(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("warm")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    processes = WarmProcesses()
    try:
        processes.prepare(WarmEnvironment.of(sys.executable, ("-I", "-S"), dict(os.environ)))
        (reason,) = processes.wait().values()
        assert "No module named" in str(reason)
        assert list(folder.glob("*/*")) == []
    finally:
        processes.close()


def test_not_warm_is_one_of_our_errors():
    assert issubclass(NotWarmError, NbpipeError)


def test_what_is_still_starting_is_given_up(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("warm")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    processes = WarmProcesses()
    assert processes.prepare_kernel("python3") is None
    processes.close()
    assert processes.wait() == {}
    assert list(folder.glob("*/*")) == []


@pytest.mark.parametrize(
    ("roots", "libraries"),
    [
        ((), ()),
        (("json", "polars"), ()),
        (("sklearn", "numpy", "shop"), ("numpy", "sklearn")),
        (("pandas",), ("pandas", "pyarrow")),
        (("seaborn",), ("pandas", "pyarrow", "matplotlib", "scipy")),
    ],
)
def test_what_notebooks_need_is_imported_beforehand(roots, libraries):
    assert needed(roots) == libraries


def test_a_warm_process_that_can_not_be_forked_now_refuses_and_stays(tmp_path, monkeypatch):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    folder = tempfile.mkdtemp(prefix="nbpipe-")  # a socket's path is short; the warm process removes it
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    about = Settings(folder=folder, owner=theirs.detach(), lock=lock)
    server = Server(about, Preloaded(modules=(), forgotten=(), variables={}), {}, ())

    def fork():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    server.open()
    thread = threading.Thread(target=server.serve)
    thread.start()
    request = Fork(module="nbpipe", arguments=(), cwd="/", environ={}, umask=0o022, tied=False)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client, (tmp_path / "log").open("wb") as log:
            client.settimeout(60)
            client.connect(f"{folder}/socket")
            send(client, request, [log.fileno()])
            answer, _ = receive_answer(client)
            assert isinstance(answer, Refused)
            assert "it can't be forked: [Errno 11]" in answer.reason
    ours.close()
    thread.join(60)
    assert not thread.is_alive()
    assert not os.path.exists(folder)  # noqa: PTH110 - a name
