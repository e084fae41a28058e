"""What an asset cell costs in a person's kernel, beside a plain cell that does the same work by hand."""

from __future__ import annotations

import inspect
import statistics
from typing import NamedTuple

import pytest

from tests.benchmarks import figures as measuring
from tests.benchmarks.kernels import persons_kernel
from tests.notebooks import cell_source, write_notebook

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

CELLS = 25

#: Positions of the kinds of cell in each block of the notebook.
KINDS = {"asset": 0, "by hand": 1, "read": 2, "plain": 3, "loop": 4}
#: What is executed in turns, and what an asset cell says then.
TURNS = {
    "first": ("asset", "by hand", "plain", "loop"),
    "load": ("asset", "read", "plain", "loop"),
    "again": ("asset", "by hand", "plain", "loop"),
}
LIMITS = {"first": 5.0, "load": 3.0, "again": 5.0}
ROUNDS = 3
TELLS = {"first": "materialized", "load": "loaded", "again": "forced"}

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


class Cost(NamedTuple):
    """What asset cells cost beyond the plain cells just beside them, in milliseconds."""

    asset: float
    by_hand: float
    beyond: float
    slowness: float

    @property
    def meant(self) -> float:
        """What it would be on the machine for which the limits are meant."""
        return self.beyond / self.slowness


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """The best of at most three rounds: other work on the machine only adds."""
    best = {}
    for _ in range(ROUNDS):
        for turn, found in _round(tmp_path_factory.mktemp("live")).items():
            cost = _cost(found)
            best[turn] = min(cost, best.get(turn, cost), key=lambda each: each.meant)
        if all(cost.meant <= LIMITS[turn] for turn, cost in best.items()):
            break
    return best


def _round(root):
    """Return the duration of each kind of cell in each turn, of a new project and a new kernel."""
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
        return {turn: _turns(run, kernel, turn, kinds) for turn, kinds in TURNS.items()}


def _turns(run, kernel, turn, kinds):
    """Execute cells of these kinds in turns; return the duration of each."""
    found = {kind: [] for kind in kinds}
    for n in range(CELLS):
        if turn == "again":
            kernel.run(f"%force a{n}", "force")
        for kind in kinds:
            took, shown = run(3 + 5 * n + KINDS[kind])
            found[kind].append(took)
            assert kind != "asset" or TELLS[turn] in shown
    # the first of all opens the store and imports what it needs
    return {kind: each[1:] for kind, each in found.items()}


def _cost(found):
    asset, by_hand, plain, loop = found.values()
    return Cost(
        asset=statistics.median(asset),
        by_hand=statistics.median(by_hand),
        beyond=statistics.median(ours - theirs for ours, theirs in zip(asset, by_hand, strict=True)),
        slowness=measuring.slower(statistics.median(loop) - statistics.median(plain)),
    )


@pytest.mark.parametrize(("turn", "when"), [("first", "the first time"), ("again", "once more")])
def test_a_trivial_asset_cell_costs_little_more_than_the_same_by_hand(figures, costs, turn, when):
    cost = costs[turn]
    figures.note(f"live: a plain cell + file + durable transaction, {when}", cost.by_hand)
    figures.note(f"live: a trivial asset cell, {when}", cost.asset)
    figures.check("live: beyond that", cost.beyond, LIMITS[turn] * cost.slowness)


def test_loading_costs_little_more_than_reading_the_file(figures, costs):
    cost = costs["load"]
    figures.note("live: a plain cell that reads the file", cost.by_hand)
    figures.note("live: loading an asset that is up to date", cost.asset)
    figures.check("live: beyond that", cost.beyond, LIMITS["load"] * cost.slowness)
