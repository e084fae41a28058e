"""Projects of many notebooks, as people write them: what is measured should look like what is used."""

from __future__ import annotations

from pathlib import Path

from tests.notebooks import Cell, code, markdown, parameters, write_notebook

_IMPORTS = "import math\n\nimport numpy as np\nimport pandas as pd\n"

_HELPERS = '''
RATES = {{"EUR": 1.0, "USD": 0.92, "GBP": 1.17}}
LIMIT = {number}

def clean(table, columns=("amount", "currency")):
    """Return the rows that are complete."""
    kept = table.dropna(subset=list(columns))
    return kept[kept["amount"] > LIMIT].assign(day=lambda t: pd.to_datetime(t["day"]))

def in_euros(table):
    # one rate for the whole table
    return table["amount"] * table["currency"].map(RATES).fillna(1.0)
'''

_FIRST = """
%%asset {name} --group g{group}
# Orders as they came in.
rows = [(day, amount, "EUR") for day, amount in zip(range(days), range(LIMIT, LIMIT + days))]
table = pd.DataFrame(rows, columns=["day", "amount", "currency"])
{name} = clean(table)
{name}.head()
"""

_NEXT = """
%%asset {name} --group g{group} --owner team@example.org
# Totals of {up}, for those who pay.
joined = {up}.assign(euros=in_euros({up}))
summary = joined.groupby("currency")["euros"].agg(["sum", "mean"])
for column in summary.columns:
    if summary[column].isna().any():
        summary[column] = summary[column].fillna(0.0)
scale = math.sqrt(len(summary) or 1)
{name} = {up}.assign(share=[value / scale for value in joined["euros"]])
{name}.head()
"""


def write_project(root: Path, *, notebooks: int, assets: int) -> None:
    """Write notebooks of `assets` asset cells each; each reads one before it, some of another notebook.

    Assets are called `a0`, `a1`, ... through all notebooks.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / "nbpipe.toml").touch()
    for number in range(notebooks):
        write_notebook(root / f"group{number // 25}" / f"notebook{number}.ipynb", _cells(number, assets))


def _cells(number: int, assets: int) -> list[str | Cell]:
    cells: list[str | Cell] = [
        markdown(f"# Notebook {number}\n\nWhat it is about."),
        "%load_ext nbpipe",
        _IMPORTS,
        parameters("days = 30\nregion = 'north'"),
        _HELPERS.format(number=number),
    ]
    first = number * assets
    for asset in range(first, first + assets):
        if asset == 0:
            cells.append(code(_FIRST.format(name="a0", group=0).lstrip()))
            continue
        # each reads the one before it or one of the notebook before: deep and wide, never a cycle
        up = asset - 1 if asset % assets else asset - assets // 2 - 1
        cells.append(code(_NEXT.format(name=f"a{asset}", up=f"a{up}", group=number % 10).lstrip()))
        if asset % 5 == 0:
            cells.append(f"a{asset}.plot()")
    return cells


def chain(length: int) -> list[str]:
    """Return the sources of asset cells of which each reads the one before."""
    return ["%%asset a0\na0 = 0", *(f"%%asset a{n}\na{n} = a{n - 1} + 1" for n in range(1, length))]
