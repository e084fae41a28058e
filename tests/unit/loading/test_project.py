from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbpipe.errors import ConfigError
from nbpipe.loading.project import LoadedProject, load_project
from tests.notebooks import code, edit_cell, markdown, parameters, read_notebook, write_notebook

READ = 'import pandas as pd\nfrom helpers import clean\nPATH = "data/x.csv"'
ORDERS = "%%asset orders\norders = clean(pd.read_csv(PATH))"
TOTAL = "%%asset total\ntotal = len(orders) * n"


@pytest.fixture
def two(project: Path) -> Path:
    """A project of two notebooks, a module and a data file."""
    write_notebook(project / "orders.ipynb", [READ, ORDERS])
    write_notebook(project / "reports/total.ipynb", [parameters("n = 1"), TOTAL])
    (project / "helpers.py").write_text("def clean(x):\n    return x\n")
    (project / "data").mkdir()
    (project / "data/x.csv").write_text("a\n1\n")
    return project


def aged(root: Path) -> None:
    """Let all files look old, so that their stamps can be trusted at once."""
    for path in root.rglob("*"):
        if ".nbpipe" not in path.parts:
            os.utime(path, (1_600_000_000, 1_600_000_000))


def codes(project: LoadedProject) -> list[str]:
    return [diagnostic.code for diagnostic in project.definitions.diagnostics]


def test_assets_of_all_notebooks_are_joined(two):
    loaded = load_project(two / "reports")
    assert loaded.root == two.resolve()
    assert list(loaded.definitions.assets) == ["orders", "total"]
    orders, total = loaded.definitions.assets.values()
    assert total.upstream == ("orders",)
    assert total.parameters == ("n",)
    assert orders.files == ("data/x.csv",)
    assert any(component.startswith("module:helpers.clean") for component, _ in orders.code)
    assert codes(loaded) == []
    assert loaded.locations == {"orders.ipynb": "default", "reports/total.ipynb": "default"}


def test_a_second_load_says_the_same(two):
    first, second = load_project(two), load_project(two)
    assert first.definitions == second.definitions
    assert first.facts == second.facts


def test_a_notebook_may_be_the_start(two):
    assert load_project(two / "reports/total.ipynb").root == two.resolve()


def test_an_unchanged_project_is_the_same_object(two):
    loaded = load_project(two)
    assert loaded.reload() is loaded
    aged(two)
    assert loaded.reload() is loaded


def test_new_outputs_change_nothing(two):
    loaded = load_project(two)
    shown = code(ORDERS, id="cell-1", outputs=[{"output_type": "stream", "name": "stdout", "text": "x"}])
    write_notebook(two / "orders.ipynb", [READ, shown])
    assert loaded.reload() is loaded


CHANGES = {
    "a cell": lambda root: edit_cell(root / "orders.ipynb", 1, ORDERS + ".copy()"),
    "a helper": lambda root: (root / "helpers.py").write_text("def clean(x):\n    return 3\n"),
    "the helper's module": lambda root: (root / "helpers.py").unlink(),
    "a nearer module": lambda root: (
        (root / "helpers").mkdir() or (root / "helpers/__init__.py").write_text("clean = len")
    ),
    "the data file": lambda root: (root / "data/x.csv").unlink(),
    "a new notebook": lambda root: write_notebook(root / "more.ipynb", ["%%asset more\nmore = total"]),
    "no notebook": lambda root: (root / "orders.ipynb").unlink(),
    "a renamed notebook": lambda root: (root / "orders.ipynb").rename(root / "new.ipynb"),
    "a broken notebook": lambda root: (root / "orders.ipynb").write_text("{"),
    "locations": lambda root: (root / "nbpipe.toml").write_text("[locations.a]\nnotebooks = ['reports/*.ipynb']"),
    "a kernel": lambda root: (root / "nbpipe.toml").write_text("[locations.a]\nkernel = 'other'"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("old", [True, False])
def test_a_change_is_seen_by_a_reload_and_by_the_next_load(two, change, old):
    if old:
        aged(two)
    loaded = load_project(two)
    CHANGES[change](two)
    again = loaded.reload()
    assert again.definitions.hash != loaded.definitions.hash
    fresh = load_project(two)
    assert fresh.definitions == again.definitions
    assert fresh.facts == again.facts
    (two / ".nbpipe/index.msgpack").unlink()
    assert load_project(two).definitions == fresh.definitions


def test_a_file_that_appears_becomes_an_input(two):
    (two / "data/x.csv").unlink()
    loaded = load_project(two)
    assert loaded.definitions.assets["orders"].files == ()
    (two / "data/x.csv").write_text("a\n")
    assert loaded.reload().definitions.assets["orders"].files == ("data/x.csv",)


def test_a_file_that_nobody_asked_for_changes_nothing(two):
    loaded = load_project(two)
    (two / "data/other.csv").write_text("a\n")
    assert loaded.reload() is loaded


def test_an_edit_of_the_same_size_and_time_is_seen(two):
    aged(two)
    loaded = load_project(two)
    before = (two / "helpers.py").stat()
    (two / "helpers.py").write_text("def clean(y):\n    return y\n")
    os.utime(two / "helpers.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert loaded.reload() is not loaded


def test_many_quick_edits_are_all_seen(two):
    loaded = load_project(two)
    versions = set()
    for number in range(10):
        edit_cell(two / "reports/total.ipynb", 1, f"%%asset total\ntotal = len(orders) * n + {number}")
        loaded = load_project(two) if number % 2 else loaded.reload()
        versions.add(loaded.definitions.assets["total"].code_version)
    assert len(versions) == 10


def test_an_edit_leaves_facts_of_other_cells_alone(two):
    loaded = load_project(two)
    write_notebook(two / "orders.ipynb", [markdown("More"), READ, ORDERS])
    cells = loaded.reload().facts["orders.ipynb"].cells
    assert [cell.index for cell in cells] == [1, 2]
    assert [cell.source for cell in cells] == [READ, ORDERS]
    assert [cell.above for cell in cells] == ["More", ""]


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, b"garbage"])
def test_a_damaged_index_is_rebuilt(two, damage):
    expected = load_project(two).definitions
    (two / ".nbpipe/index.msgpack").write_bytes(damage)
    assert load_project(two).definitions == expected
    assert (two / ".nbpipe/index.msgpack").read_bytes() != damage


def test_an_index_of_another_project_does_no_harm(two, tmp_path):
    write_notebook(two / "orders.ipynb", ["%%asset other\nother = 1"])
    load_project(two)
    kept = (two / ".nbpipe/index.msgpack").read_bytes()
    write_notebook(two / "orders.ipynb", [READ, ORDERS])
    (two / ".nbpipe/index.msgpack").write_bytes(kept)
    assert "orders" in load_project(two).definitions.assets


def test_without_a_place_for_the_index_all_works(two):
    (two / ".nbpipe").write_text("in the way")
    assert load_project(two).definitions == load_project(two).definitions


def test_an_index_is_not_rewritten_without_need(two):
    aged(two)
    load_project(two).reload()
    before = (two / ".nbpipe/index.msgpack").stat()
    load_project(two).reload()
    after = (two / ".nbpipe/index.msgpack").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_looking_at_a_folder_without_assets_leaves_no_trace(tmp_path):
    write_notebook(tmp_path / "plain.ipynb", ["x = 1"])
    assert load_project(tmp_path).definitions.assets == {}
    assert [path.name for path in tmp_path.iterdir()] == ["plain.ipynb"]


def test_a_project_without_configuration_keeps_an_index(tmp_path):
    write_notebook(tmp_path / "a.ipynb", ["%%asset a\na = 1"])
    load_project(tmp_path)
    assert (tmp_path / ".nbpipe/index.msgpack").exists()
    assert (tmp_path / ".nbpipe/.gitignore").read_text() == "*\n"


def test_locations_choose_notebooks_and_kernels(two):
    (two / "nbpipe.toml").write_text("[locations.reports]\nnotebooks = ['reports/*.ipynb']\nkernel = 'special'")
    loaded = load_project(two)
    assert dict(loaded.locations) == {"reports/total.ipynb": "reports"}
    notebook = loaded.definitions.notebooks["reports/total.ipynb"]
    assert (notebook.location, notebook.kernel) == ("reports", "special")


def test_an_environment_is_chosen(two):
    (two / "nbpipe.toml").write_text("[env.prod]\nstorage = 's3://x'")
    loaded = load_project(two, env="prod")
    assert (loaded.env, loaded.config.storage, loaded.reload().env) == ("prod", "s3://x", "prod")
    with pytest.raises(ConfigError, match="no environment 'prd'"):
        load_project(two, env="prd")


def test_a_configuration_that_breaks_is_reported_at_the_next_reload(two):
    loaded = load_project(two)
    (two / "nbpipe.toml").write_text("stat = 3")
    with pytest.raises(ConfigError, match="did you mean 'state'"):
        loaded.reload()


def test_sources_are_found_by_the_hashes_of_code(two):
    loaded = load_project(two)
    sources = loaded.sources(["orders.ipynb"])
    by_component = {component: sources.get(found) for component, found in loaded.definitions.assets["orders"].code}
    assert by_component["body"] is not None
    assert "pd.read_csv" in by_component["body"]
    assert any(text and "def clean" in text for text in by_component.values())


def test_surroundings_know_what_other_notebooks_define(two):
    surroundings = load_project(two).surroundings("reports/total.ipynb")
    assert surroundings.outside.places("orders", "reports/total.ipynb")
    assert not surroundings.outside.places("total", "reports/total.ipynb")
    assert surroundings.find_file is not None
    assert surroundings.find_file("reports/total.ipynb", "data/x.csv") == "data/x.csv"
    assert surroundings.modules.facts("helpers", "reports/total.ipynb") is not None


BAD = {
    "not JSON": (b"{", "not-json"),
    "JSON but no notebook": (b'{"a": 1}', "not-a-notebook"),
    "not UTF-8": (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "\xff"}]}', None),
    "a newer format": (b'{"nbformat": 5, "cells": []}', "unsupported-format"),
    "a text": (b"hello", "not-json"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", ["bad.ipynb", "with space/ä.ipynb"])
def test_a_bad_notebook_leaves_the_others_usable(two, kind, name):
    data, expected = BAD[kind]
    (two / name).parent.mkdir(exist_ok=True)
    (two / name).write_bytes(data)
    for loaded in (load_project(two), load_project(two)):
        found = [each for each in loaded.definitions.diagnostics if each.notebook == name]
        assert len(found) == 1
        assert found[0].severity == "error"
        assert expected in (found[0].code, None)
        assert set(loaded.definitions.assets) == {"orders", "total"}


def test_a_repaired_notebook_is_no_longer_reported(two):
    (two / "bad.ipynb").write_text("{")
    loaded = load_project(two)
    assert codes(loaded) == ["not-json"]
    write_notebook(two / "bad.ipynb", [])
    assert codes(loaded.reload()) == []


def test_a_cell_with_a_syntax_error_is_reported_with_its_place(two):
    write_notebook(two / "more.ipynb", ["%%asset good\ngood = 1", "%%asset bad\nx = (\ny = 2"])
    loaded = load_project(two)
    found = next(each for each in loaded.definitions.diagnostics if each.code == "syntax-error")
    assert (found.notebook, found.cell) == ("more.ipynb", 2)
    assert "good" in loaded.definitions.assets
    assert loaded.definitions.blocked("good") is None


@pytest.mark.parametrize(
    "source",
    [
        "%%asset odd\nodd = '\\ud800.csv'",
        "%%asset odd\nget_ipython().run_line_magic('ls', '\\ud800')\nodd = 1",
        "%%asset odd\nodd = b'\\xff' + b'\\x00'",
        "%%asset odd\nodd = " + "(" * 500,
        "%%asset odd\nodd = " + "9" * 5_000,
        "%%asset odd\nodd = " + "-" * 20_000 + "1",
        "%%asset odd\nodd = 1\0",
    ],
)
def test_odd_code_leaves_the_others_usable(two, source):
    write_notebook(two / "odd.ipynb", [source])
    for _ in range(2):
        assert {"orders", "total"} <= set(load_project(two).definitions.assets)


def test_a_duplicate_asset_is_reported(two):
    write_notebook(two / "copy.ipynb", ["%%asset total\ntotal = 1"])
    loaded = load_project(two)
    assert loaded.definitions.blocked("total") is not None
    assert loaded.definitions.blocked("orders") is None


def test_a_nested_project_is_left_alone(two):
    write_notebook(two / "nested/inner.ipynb", ["%%asset inner\ninner = 1"])
    (two / "nested/nbpipe.toml").touch()
    assert "inner" not in load_project(two).definitions.assets
    assert list(load_project(two / "nested").definitions.assets) == ["inner"]


def test_an_older_notebook_is_read_without_being_written(two):
    path = write_notebook(two / "old.ipynb", ["%%asset old\nold = 1"], nbformat_minor=2, kernelspec=None)
    before = read_notebook(path)
    assert load_project(two).definitions.assets["old"].cell.cell_id == "cell-0"
    assert read_notebook(path) == before


def test_cells_with_ipython_syntax_are_understood(two):
    write_notebook(two / "magic.ipynb", ["%%asset listing\nfiles = !ls\nlisting = list(files) + [total]"])
    assert load_project(two).definitions.assets["listing"].upstream == ("total",)


def test_what_partitions_are_declared_and_what_does_not_fit_is_remembered(two):
    declared = "date=daily:2024-01-01 x region=static:eu,us"
    path = write_notebook(
        two / "parts.ipynb",
        [
            f"%%asset daily more --partitions {declared} --backfill 7\ndaily = more = partition.keys",
            "%%asset listed --partitions static:x,y\ndaily",
            "%%asset wrong --partitions dialy:2024-01-01\n1",
            "%%asset state --partitions daily:2024-01-01 --map state=offset(-1)\nstate = (state or 0) + 1",
        ],
    )
    first = load_project(two).definitions
    assert load_project(two).definitions == first
    assert first.assets["more"].options.partitions == declared
    assert first.assets["more"].ranged
    assert (first.assets["state"].upstream, first.assets["state"].inputs) == ((), ("state",))
    where = [(each.code, each.cell, each.line) for each in first.diagnostics if each.notebook == "parts.ipynb"]
    assert where == [("mapping", 2, 1), ("declaration", 3, 1)]
    write_notebook(path, [f"%%asset daily --partitions {declared}..2024-12-31\ndaily = partition.key"])
    assert load_project(two).definitions.diagnostics == ()


def test_a_link_fits_again_when_the_other_notebook_has_changed(two):
    write_notebook(two / "up.ipynb", ["%%asset up --partitions daily:2024-01-01\n1"])
    write_notebook(two / "down.ipynb", ["%%asset down --partitions static:x\nup"])
    project = load_project(two)
    assert [(each.code, each.notebook) for each in project.definitions.diagnostics] == [("mapping", "down.ipynb")]
    write_notebook(two / "up.ipynb", ["%%asset up --partitions static:x,y\n1"])
    assert project.reload().definitions.diagnostics == ()


def test_a_loaded_project_imports_neither_ipython_nor_nbformat(two):
    program = (
        "import sys; from pathlib import Path; from nbpipe.loading.project import load_project\n"
        "project = load_project(Path('.')); project.reload(); assert project.definitions.assets\n"
        "dear = {'IPython', 'nbformat', 'pandas', 'sqlalchemy', 'pyroaring', 'nbpipe.core.partitions'}\n"
        "print(sorted(dear & set(sys.modules)))"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], cwd=two, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("", "declare it as [io.lake] in nbpipe.toml"),
        ("[io.lakes]\ntype = 'memory'", "did you mean 'lakes'?"),
        ("[io.lake]\ntype = 'memory'", None),
        ("[env.prod.io.lake]\ntype = 'memory'", "declare it as [io.lake] in nbpipe.toml"),
    ],
)
def test_an_io_manager_that_is_not_configured_is_reported_where_it_is_named(project, tables, message):
    write_notebook(project / "n.ipynb", ["1", "%%asset a --io lake\n1", "%%asset b --io files\n2"])
    load_project(project)
    (project / "nbpipe.toml").write_text(tables)
    found = load_project(project).definitions
    errors = [(each.notebook, each.cell, each.assets, each.message) for each in found.diagnostics]
    expected = f"--io: there is no I/O manager 'lake': {message}"
    assert errors == ([] if message is None else [("n.ipynb", 2, ("a",), expected)])
    assert found.blocked("b") is None


def test_an_io_manager_may_belong_to_one_environment(project):
    write_notebook(project / "n.ipynb", ["%%asset a --io lake\n1"])
    (project / "nbpipe.toml").write_text("[env.prod.io.lake]\ntype = 'memory'")
    assert [codes(load_project(project, env=env)) for env in ("prod", "default", "prod")] == [[], ["unknown-io"], []]


def test_what_notebooks_and_their_modules_import_is_known(project):
    (project / "shop.py").write_text("import scipy.stats\nfrom . import other\n", encoding="utf-8")
    write_notebook(
        project / "a.ipynb", ["import numpy as np, json\ndef f():\n    from pandas import DataFrame", "import shop"]
    )
    write_notebook(
        project / "b.ipynb", ["%%asset b\nimport pyarrow.parquet as pq\nimport shop\nb = shop.x", "import ("]
    )
    loaded = load_project(project)
    assert loaded.imported == {"numpy", "json", "pandas", "shop", "scipy", "pyarrow"}
    write_notebook(project / "a.ipynb", ["import tqdm"])
    assert load_project(project).imported == {"tqdm", "shop", "scipy", "pyarrow"}
    assert loaded.reload().imported == {"tqdm", "shop", "scipy", "pyarrow"}
