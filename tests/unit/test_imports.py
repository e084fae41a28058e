"""What `import nbpipe` offers, and what it and the command line load."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import nbpipe
from tests.notebooks import write_notebook

#: Prints, as JSON on the last line of stderr, the modules that a piece of code loads.
_LISTING = """
import sys
before = set(sys.modules)
try:
    {code}
except SystemExit as stop:
    assert not stop.code, stop.code
loaded = sorted(set(sys.modules) - before)
import json
print(json.dumps(loaded), file=sys.stderr)
"""


def modules_loaded_by(code: str, folder: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _LISTING.format(code=code)], cwd=folder, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def foreign(modules: set[str]) -> set[str]:
    """Return the distributions, by their top-level module, that are neither ours nor Python's."""
    tops = {name.partition(".")[0] for name in modules}
    return {name for name in tops if name != "nbpipe" and name not in sys.stdlib_module_names}


def command(*words: str) -> str:
    return f"sys.argv = {['nbpipe', *words]!r}; from nbpipe.cli.main import main; main()"


def test_importing_nbpipe_loads_nothing_but_itself_and_the_standard_library(tmp_path):
    loaded = modules_loaded_by("import nbpipe", tmp_path)
    assert {name for name in loaded if name.startswith("nbpipe")} == {"nbpipe"}
    assert foreign(loaded) == set()


def test_the_doors_for_ipython_are_found_without_loading_the_kernel_package(tmp_path):
    loaded = modules_loaded_by("import nbpipe; nbpipe.load_ipython_extension", tmp_path)
    assert foreign(loaded) == set()


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (("--help",), {"click", "typing_extensions"}),
        (("--version",), {"click", "typing_extensions"}),
        (
            ("list",),
            {
                "click",
                "greenlet",
                "msgspec",
                "rich",
                "markdown_it",
                "mdurl",
                "sqlalchemy",
                "typing_extensions",
                "xxhash",
            },
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_loads_only_what_it_needs(words, allowed, project):
    write_notebook(project / "a.ipynb", ["%%asset raw\nraw = 1", "%%asset clean\nclean = raw + 1"])
    assert foreign(modules_loaded_by(command(*words), project)) <= allowed


def test_all_names_what_can_be_imported():
    assert sorted(nbpipe.__all__) == sorted({*nbpipe._HOMES, "__version__"})
    for name in nbpipe.__all__:
        assert getattr(nbpipe, name) is not None


@pytest.mark.parametrize("name", sorted(nbpipe._HOMES))
def test_a_public_name_is_the_one_of_the_module_where_it_lives(name):
    home = importlib.import_module(nbpipe._HOMES[name])
    assert getattr(nbpipe, name) is getattr(home, name)
    assert name in dir(nbpipe)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        nbpipe.no_such_name  # noqa: B018 - reading it is the test


def test_the_version_is_the_one_of_the_distribution():
    assert nbpipe.__version__ == importlib.metadata.version("jupyterlab-nbpipe")


def test_papermill_finds_our_engine():
    (entry,) = importlib.metadata.entry_points(group="papermill.engine", name="nbpipe")
    assert entry.load().__module__ == "nbpipe.execution.engine"


def test_the_package_says_that_it_is_typed():
    assert Path(nbpipe.__file__).with_name("py.typed").exists()


def test_the_package_can_be_run_as_the_command():
    answer = subprocess.run(
        [sys.executable, "-m", "nbpipe", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout == f"nbpipe {nbpipe.__version__}\n"
