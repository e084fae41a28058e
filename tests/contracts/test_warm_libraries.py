"""What notebooks do works in a kernel that was forked from a warm process as it does in a fresh one."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator

import nbformat
import pytest

from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.execution.cells import CellClient
from nbpipe.execution.kernels.plain import PlainKernels
from nbpipe.execution.requests import NewKernel, stable_hashes
from nbpipe.execution.warm.kernels import ForkedKernels
from nbpipe.execution.warm.preloading import LIBRARIES
from tests.warm import hello, warm

MARKS = {**stable_hashes(), "NBPIPE_RUN_ID": f"warm-{uuid.uuid4()}", "NBPIPE_STEP": "0"}


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[object]:
    with warm(tmp_path_factory.mktemp("warm"), *LIBRARIES) as found:
        yield found


class Notebook:
    """A notebook in a kernel of its own."""

    def __init__(self, provider, folder, **environ) -> None:
        self.kernel = provider.start(NewKernel(cwd=str(folder), environ={**MARKS, **environ}))
        self.client = CellClient(nbformat.v4.new_notebook(), self.kernel, limits=OutputLimits())
        self.client.wait_until_ready()

    def outputs(self, source: str) -> list[dict]:
        self.client.nb.cells.append(nbformat.v4.new_code_cell(source))
        self.client.run_cell(len(self.client.nb.cells) - 1)
        return self.client.nb.cells[-1].outputs

    def shown(self, source: str) -> str:
        return "".join(each.get("text", "") or "".join(each.get("traceback", "")) for each in self.outputs(source))

    def close(self) -> None:
        self.client.close()
        self.kernel.shutdown(0)


@pytest.fixture
def notebooks(processes, tmp_path) -> Iterator[object]:
    """Start notebooks in pairs: in a fresh kernel, and in a forked one."""
    started = []

    def pair(**environ) -> tuple[Notebook, Notebook]:
        forked = ForkedKernels()
        started.extend([Notebook(provider, tmp_path, **environ) for provider in (PlainKernels(), forked)])
        assert forked.why_plain is None, forked.why_plain
        return started[-2], started[-1]

    yield pair
    for each in started:
        each.close()


#: What differs between any two kernels.
_OWN = re.compile(
    r"0x[0-9a-f]+|ipykernel_\d+|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[\d.]+ ?(it/s|s/it)|\d\d:\d\d"
)

SAME = {
    "its names": "print(__name__, sorted(name for name in globals() if not name.startswith('_')))",
    "its program": "import sys; print(sys.executable, sys.flags, sys.argv[0].rsplit('/', 1)[-1], sys.orig_argv[:3])",
    "its path": "import sys; print(sys.path)",
    "its folder and modules": "import os, sys; print(os.getcwd(), sys.modules['__main__'].__dict__ is globals())",
    "its variables": ("import os; print(sorted(set(os.environ) - {'KMP_DUPLICATE_LIB_OK', 'KMP_INIT_AT_FORK'}))"),
    "its limits": "import resource as r; print([r.getrlimit(n) for n in range(10)]); import os; print(os.umask(0o22))",
    "its priority and processors": "import os; print(os.getpriority(0, 0), os.sched_getaffinity(0))",
    "its signals": (
        "import signal; print([signal.getsignal(n) for n in (1, 2, 13, 15, 17)], signal.pthread_sigmask(0, []))"
    ),
    "its standard files": "import os; print([os.readlink(f'/proc/self/fd/{n}')[-10:] for n in range(3)])",
    "the children it starts": (
        "import subprocess, sys\n"
        "print(subprocess.run([sys.executable, '-c', 'import os, sys; print(sys.path, sys.flags, "
        'os.environ.get("OPENBLAS_NUM_THREADS"))\'], capture_output=True, text=True, check=True).stdout)'
    ),
    "a shell command": "!echo hello; exit 3\nprint(_exit_code)",
    "hashes": "print(hash('text'), list({'a', 'b', 'c', 'd'}))",
    "a class of the notebook": (
        "import pickle\nclass Point:\n    x = 1\nprint(pickle.loads(pickle.dumps(Point())).x, Point.__module__, Point)"
    ),
    "threads": (
        "import threading\nfound = []\neach = [threading.Thread(target=found.append, args=(n,)) for n in range(4)]\n"
        "[thread.start() for thread in each]; [thread.join() for thread in each]\nprint(sorted(found))\n"
        "print(threading.main_thread().name, threading.current_thread() is threading.main_thread())"
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool: print(list(pool.map(abs, range(-9, 0))))"
    ),
    "forked workers": (
        "import multiprocessing, os\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(abs, range(-9, 0)))"
    ),
    "spawned workers": (
        "import multiprocessing\n"
        "with multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.map(abs, range(-9, 0)))"
    ),
    "an await": "import asyncio\nawait asyncio.sleep(0.01)\nprint(type(asyncio.get_running_loop()).__name__)",
    "a question": "input('name?')",
    "a mistake": "1 / 0",
    "captured output": (
        "from IPython.utils.capture import capture_output\n"
        "with capture_output() as found: print('kept')\nprint(found.stdout)"
    ),
    "history": "%history -l 1",
    "an interrupt of itself": (
        "import os, signal, time\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\nexcept KeyboardInterrupt: print('interrupted')"
    ),
    "a file for a moment": (
        "import tempfile\nwith tempfile.NamedTemporaryFile() as file: print(file.name.rsplit('/', 1)[0])"
    ),
    "logging": "import logging; logging.warning('careful'); print(logging.getLogger().handlers)",
    "a warning": "import warnings; warnings.warn('careful', stacklevel=1)",
    "exit functions": "import atexit; print(atexit.register(print) is print)",
    "a table": "import pandas; pandas.DataFrame({'a': [1, 2]}, index=['x', 'y'])",
    "a styled table": ("import pandas; pandas.DataFrame({'a': [1]}).style.set_uuid('fixed').format('{:.2f}')"),
    "a parquet file": (
        "import pandas\npandas.DataFrame({'a': range(1000)}).to_parquet('a.parquet')\n"
        "print(pandas.read_parquet('a.parquet').a.sum())"
    ),
    "a data set": (
        "import pyarrow as pa, pyarrow.dataset as ds, pyarrow.compute as pc\n"
        "ds.write_dataset(pa.table({'a': list(range(1000))}), 'd', format='parquet', "
        "existing_data_behavior='overwrite_or_ignore')\n"
        "print(pc.sum(ds.dataset('d').to_table().column('a')), pa.cpu_count())"
    ),
    "a seeded generator": (
        "import numpy, random; random.seed(1); numpy.random.seed(1); print(random.random(), numpy.random.rand(2), "
        "numpy.random.default_rng(1).random())"
    ),
    "linear algebra": (
        "import numpy, scipy.linalg\na = numpy.arange(250_000.0).reshape(500, 500) % 7 + numpy.eye(500)\n"
        "print(round(numpy.linalg.slogdet(a)[1], 6), round(float(scipy.linalg.lu(a)[2].trace()), 6))"
    ),
    "the threads of native libraries": (
        "import numpy, scipy.linalg, sklearn.linear_model\nfrom threadpoolctl import threadpool_info\n"
        "print(sorted((pool['user_api'], pool['num_threads']) for pool in threadpool_info()))"
    ),
    "statistics": "import scipy.stats; print(round(scipy.stats.norm.cdf(1), 6))",
    "a fitted model": (
        "from sklearn.ensemble import RandomForestClassifier\nfrom sklearn.datasets import load_iris\n"
        "x, y = load_iris(return_X_y=True)\n"
        "print(RandomForestClassifier(20, random_state=1, n_jobs=2).fit(x, y).score(x, y))"
    ),
    "models on several processors": (
        "from sklearn.model_selection import cross_val_score\nfrom sklearn.linear_model import LogisticRegression\n"
        "from sklearn.datasets import load_iris\n"
        "print(cross_val_score(LogisticRegression(max_iter=1000), *load_iris(return_X_y=True), n_jobs=2).round(3))"
    ),
    "a frame of polars": "import polars; print(polars.DataFrame({'a': [1, 2]}).lazy().sum().collect())",
    "a graph": "import networkx; print(networkx.shortest_path(networkx.path_graph(4), 0, 3))",
    "a picture": "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);\nprint(plt.get_backend())",
    "a picture of pandas": "import pandas; pandas.Series([1, 2]).plot(); print(1)",
    "pictures as vectors": (
        "%config InlineBackend.figure_formats = ['svg']\nimport matplotlib.pyplot as plt; plt.figure(figsize=(1, 1));"
        "plt.plot([1]); fig = plt.gcf(); print(plt.get_fignums())"
    ),
    "a library that draws in the browser": (
        "import plotly.io, plotly.graph_objects as go\nprint(plotly.io.renderers.default)\ngo.Figure(go.Bar(y=[1, 2]))"
    ),
}


def plain(outputs: list[dict]) -> list[object]:
    """Return outputs without what differs between any two kernels, and without what a picture or page holds."""
    found = []
    for each in outputs:
        if each["output_type"] == "error":
            found.append((each["ename"], each["evalue"]))
        elif each["output_type"] == "stream":
            found.append((each["name"], _OWN.sub("~", each["text"])))
        else:
            kinds = {kind for kind in each["data"] if not kind.startswith("text/plain")}
            found.append((each["output_type"], sorted(kinds), _OWN.sub("~", each["data"].get("text/plain", ""))))
    return found


@pytest.fixture(scope="module")
def both(processes, tmp_path_factory) -> Iterator[tuple[Notebook, Notebook]]:
    """Two kernels for all the cells that leave nothing behind."""
    forked = ForkedKernels()
    folder = tmp_path_factory.mktemp("both")
    pair = Notebook(PlainKernels(), folder), Notebook(forked, folder)
    assert forked.why_plain is None, forked.why_plain
    yield pair
    for each in pair:
        each.close()


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_it_is_the_same(both, source: str):
    fresh, forked = both
    for each in both:
        each.outputs("%reset -f")
    expected = plain(fresh.outputs(source))
    assert expected
    assert plain(forked.outputs(source)) == expected


def test_everything_that_may_be_imported_beforehand_was(processes):
    said = hello(processes)
    assert said.denied == {}
    assert {module for each in LIBRARIES.values() for module in each} <= set(said.modules)


WIDGET = """
import ipywidgets
slider = ipywidgets.IntSlider(3, description='n')
box = ipywidgets.VBox([slider, ipywidgets.Output()])
with box.children[1]: print('captured')
box
"""


def test_widgets_are_shown_and_their_state_is_kept(notebooks):
    shapes = []
    for each in notebooks():
        each.outputs("import ipywidgets")
        shown = each.outputs(WIDGET)
        each.client.set_widgets_metadata()
        states = each.client.nb.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
        names = sorted(state["model_name"] for state in states)
        outputs = [state["state"]["outputs"] for state in states if state["model_name"] == "OutputModel"]
        shapes.append(([sorted(output["data"]) for output in shown], names, outputs))
    assert shapes[0] == shapes[1]
    assert "IntSliderModel" in shapes[1][1]
    assert "captured" in json.dumps(shapes[1][2])


def test_a_message_from_the_browser_reaches_a_widget(notebooks):
    for each in notebooks():
        each.outputs("import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider")
        comm = each.shown("print(slider.comm.comm_id)").strip()
        content = {"comm_id": comm, "data": {"method": "update", "state": {"value": 8}, "buffer_paths": []}}
        each.client.kc.shell_channel.send(each.client.kc.session.msg("comm_msg", content))
        assert each.shown("print(slider.value)") == "8\n"


def test_a_widget_opened_by_the_browser_is_known(notebooks):
    """The targets of widgets were registered though they were imported before there was a shell."""
    targets = "from comm import get_comm_manager; print(sorted(get_comm_manager().targets))"
    fresh, forked = notebooks()
    for each in (fresh, forked):
        each.outputs("import ipywidgets")
    assert fresh.shown(targets) == forked.shown(targets)


def test_progress_is_a_widget(notebooks):
    source = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass"
    fresh, forked = (each.outputs(source) for each in notebooks())
    assert [sorted(each["data"]) for each in forked] == [sorted(each["data"]) for each in fresh]
    assert any("application/vnd.jupyter.widget-view+json" in each["data"] for each in forked)


def test_papermill_in_a_cell_shows_its_progress_as_a_widget_too(notebooks):
    source = "import papermill.iorw, papermill.execute, tqdm.auto, tqdm.notebook\nprint(papermill.engines.tqdm)"
    fresh, forked = (each.shown(source) for each in notebooks())
    assert forked == fresh
    assert "notebook" in forked


def test_no_two_forks_have_the_same_random_numbers(notebooks):
    source = (
        "import random, uuid, secrets, numpy, numpy.random, tempfile, os, multiprocessing\n"
        "print(random.random(), uuid.uuid4(), uuid.uuid1(), secrets.token_hex(8), numpy.random.rand(), "
        "numpy.random.default_rng().random(), tempfile.mktemp(), os.urandom(4), "
        "bytes(multiprocessing.current_process().authkey))"
    )
    first, second = notebooks()[1].shown(source).split(), notebooks()[1].shown(source).split()
    assert len(first) > 8
    assert not set(first) & set(second)


@pytest.mark.parametrize("chosen", [{"OMP_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "3"}])
def test_threads_that_a_person_chose_are_another_environment(processes, tmp_path, chosen):
    forked = ForkedKernels()
    notebook = Notebook(forked, tmp_path, **chosen)
    try:
        assert forked.why_plain == "there is no warm process"
    finally:
        notebook.close()


def test_a_module_beside_the_notebook_hides_the_installed_one(processes, tmp_path):
    (tmp_path / "scipy.py").write_text("x = 'mine'")
    forked = ForkedKernels()
    notebook = Notebook(forked, tmp_path)
    try:
        assert "hides" in str(forked.why_plain)
    finally:
        notebook.close()


def test_a_matplotlib_backend_that_a_person_chose_is_theirs(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    with warm(tmp_path_factory.mktemp("agg"), "matplotlib"):
        forked = ForkedKernels()
        notebook = Notebook(forked, tmp_path)
        try:
            assert forked.why_plain is None
            assert notebook.shown("import matplotlib.pyplot as plt; print(plt.get_backend())") == "agg\n"
        finally:
            notebook.close()
