from __future__ import annotations

import time
from pathlib import Path

import pytest

from nbpipe.core.resolving.modules import ModuleFacts
from nbpipe.loading.files import FileFinder
from nbpipe.loading.modules import ProjectModules, read_module
from nbpipe.loading.remembered import RememberedFiles
from nbpipe.loading.scan import scan
from tests.notebooks import write_notebook


def modules_of(root: Path) -> ProjectModules:
    files = RememberedFiles(root, {}, read_module, ModuleFacts, now_ns=time.time_ns)
    return ProjectModules(FileFinder(root, scan(root, configured=True)), files)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path.resolve()
    for path in (
        "clean.py",
        "a/near.py",
        "a/clean.py",
        "src/packed/__init__.py",
        "src/packed/inner.py",
        "spread/part.py",
        "random.py",
        "a/json.py",
        "a/sys.py",
        "both/__init__.py",
        "both.py",
        "scripts/run me.py",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"where = {path!r}\n")
    return root


@pytest.mark.parametrize(
    ("module", "notebook", "path"),
    [
        ("clean", "nb.ipynb", "clean.py"),
        ("clean", "a/nb.ipynb", "a/clean.py"),
        ("near", "a/nb.ipynb", "a/near.py"),
        ("near", "nb.ipynb", None),
        ("clean", "b/nb.ipynb", "clean.py"),
        ("packed", "a/nb.ipynb", "src/packed/__init__.py"),
        ("packed.inner", "a/nb.ipynb", "src/packed/inner.py"),
        ("packed.none", "a/nb.ipynb", None),
        ("spread", "nb.ipynb", None),
        ("spread.part", "nb.ipynb", "spread/part.py"),
        ("both", "nb.ipynb", "both/__init__.py"),
        ("json", "a/nb.ipynb", "a/json.py"),
        ("sys", "a/nb.ipynb", None),
        ("random", "a/nb.ipynb", None),
        ("random", "nb.ipynb", "random.py"),
        (".clean", "a/nb.ipynb", "a/clean.py"),
        ("pandas", "nb.ipynb", None),
        ("", "nb.ipynb", None),
        (".", "nb.ipynb", None),
    ],
)
def test_a_module_is_found_as_an_import_would_find_it(root, module, notebook, path):
    found = modules_of(root).facts(module, notebook)
    if path is None:
        assert found is None
    else:
        assert found is not None
        assert found.source == f"where = {path!r}\n"
        assert (found.name, found.package) == (module.lstrip("."), path.endswith("__init__.py"))
        assert found.code.binds == ("where",)


@pytest.mark.parametrize(
    ("target", "notebook", "name"),
    [
        ("clean.py", "nb.ipynb", "clean"),
        ("clean", "nb.ipynb", "clean"),
        ("../clean.py", "a/nb.ipynb", "clean"),
        ("scripts/run me.py", "nb.ipynb", "scripts.run me"),
        ("other.ipynb", "nb.ipynb", "other"),
        ("gone.py", "nb.ipynb", None),
        ("/etc/hosts", "nb.ipynb", None),
        ("", "nb.ipynb", None),
    ],
)
def test_a_script_is_found_from_the_notebooks_folder(root, target, notebook, name):
    write_notebook(root / "other.ipynb", ["%matplotlib inline\nx = 1", "y = x"])
    found = modules_of(root).script(target, notebook)
    assert (found.name if found else None) == name
    if target == "other.ipynb":
        assert found is not None
        assert found.code.binds == ("x", "y")


def test_what_was_used_is_known(root):
    modules = modules_of(root)
    modules.facts("near", "a/nb.ipynb")
    modules.facts("nothing", "a/nb.ipynb")
    modules.script("clean", "nb.ipynb")
    assert modules.used == {"a/near.py", "clean.py"}


@pytest.mark.parametrize(
    "data",
    [
        b"# -*- coding: latin-1 -*-\nname = 'K\xf6ln'\n",
        "name = 'Köln'\r\n".encode(),
        b"\xef\xbb\xbfname = 1\n",
    ],
)
def test_the_encoding_is_the_one_that_python_would_take(root, data):
    (root / "odd.py").write_bytes(data)
    found = modules_of(root).facts("odd", "nb.ipynb")
    assert found is not None
    assert found.code.problem is None
    assert found.code.binds == ("name",)


@pytest.mark.parametrize("data", [b"name = '\xff'\n", b"# coding: nonsense\n", b"x = (", b"x = 1\0"])
def test_a_module_that_cannot_be_read_has_a_problem(root, data):
    (root / "odd.py").write_bytes(data)
    found = modules_of(root).facts("odd", "nb.ipynb")
    assert found is not None
    assert found.code.problem is not None


def test_nothing_is_executed(root):
    (root / "danger.py").write_text("raise SystemExit('executed')\n")
    assert modules_of(root).facts("danger", "nb.ipynb") is not None
