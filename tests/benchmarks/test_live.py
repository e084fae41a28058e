"""What an asset cell costs in a person's kernel, beside a plain cell that does the same work by hand."""

from __future__ import annotations

import inspect
import statistics

import pytest

from tests.benchmarks import figures as measuring
from tests.benchmarks.kernels import persons_kernel
from tests.notebooks import cell_source, write_notebook

pytestmark = pytest.mark.benchmarks

CELLS = 25

#: Tells how slow this machine is, beside the cells.
LOOP = inspect.getsource(measuring.loop)

#: What any solution must do: write the value to a new file that is durable, and one durable transaction.
BARE = """
import json, os, sqlite3
os.makedirs("bare")
database = sqlite3.connect("bare/state.db", isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA synchronous = FULL")
database.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, content TEXT)")

def write(value, name):
    with open(f"bare/.{name}.tmp", "wb") as file:
        file.write(json.dumps(value).encode())
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"bare/.{name}.tmp", f"bare/{name}.json")
    folder = os.open("bare", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)

def commit():
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO rows (content) VALUES (?)", ("x" * 500,))
    database.execute("COMMIT")

def read(name):
    with open(f"bare/{name}.json", "rb") as file:
        return json.loads(file.read())
"""


@pytest.fixture(scope="module")
def durations(tmp_path_factory):
    """The milliseconds of each kind of cell, executed in turns."""
    root = tmp_path_factory.mktemp("live")
    (root / "nbpipe.toml").touch()
    cells = ["%load_ext nbpipe", BARE + LOOP, "x = 1"]
    for n in range(CELLS):
        cells += [
            f"%%asset a{n}\na{n} = x + {n}",
            f"p{n} = x + {n}\nwrite(p{n}, 'p{n}')\ncommit()",
            f"r{n} = read('p{n}')",
            f"q{n} = x + {n}",
            "loop()",
        ]
    notebook = write_notebook(root / "notebook.ipynb", cells)
    with persons_kernel(notebook) as kernel:

        def run(position):
            return kernel.run(cell_source(notebook, position), f"cell-{position}")

        for position in range(3):
            run(position)
        found = {name: [] for name in ("first", "by hand", "load", "read", "plain", "loop", "again")}
        for turn, kinds in enumerate((("first", "by hand"), ("load", "read", "plain", "loop"), ("again", "by hand"))):
            for n in range(CELLS):
                if turn == 2:
                    kernel.run(f"%force a{n}", "force")
                for kind in kinds:
                    position = 3 + 5 * n + {"by hand": 1, "read": 2, "plain": 3, "loop": 4}.get(kind, 0)
                    took, shown = run(position)
                    found[kind].append(took)
                    assert {"first": "materialized", "again": "forced", "load": "loaded"}.get(kind, "") in shown
    # the first of all opens the store and imports what it needs
    medians = {name: statistics.median(each[1:]) for name, each in found.items()}
    medians["slowness"] = measuring.slower(medians["loop"] - medians["plain"])
    return medians


@pytest.mark.parametrize(("kind", "when"), [("first", "the first time"), ("again", "once more")])
def test_a_trivial_asset_cell_costs_little_more_than_the_same_by_hand(figures, durations, kind, when):
    limit = durations["by hand"] + 5 * durations["slowness"]
    figures.note("live: plain cell + file + durable transaction", durations["by hand"])
    figures.check(f"live: a trivial asset cell, {when}, against that + 5 ms", durations[kind], limit)


def test_loading_costs_little_more_than_reading_the_file(figures, durations):
    limit = durations["read"] + 3 * durations["slowness"]
    figures.note("live: a plain cell that reads the file", durations["read"])
    figures.note("live: a plain cell", durations["plain"])
    figures.check("live: loading an asset that is up to date, against reading + 3 ms", durations["load"], limit)
