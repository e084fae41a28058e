"""What a live cell is told about the partitions that it declares, before anything is executed."""

import pytest

from tests.live import person
from tests.notebooks import write_notebook

#: name: (cells, the one that is run, part of what is said)
REFUSED = {
    "a malformed set": (
        ["%%asset a --partitions dialy:2024-01-01\na = 1"],
        0,
        "UsageError: --partitions: column 1: there is no kind of partitions 'dialy': did you mean 'daily'?",
    ),
    "partition without partitions": (["%%asset a\na = partition.key"], 0, "line 2: asset 'a' has no partitions"),
    "its own name": (
        ["%%asset a --partitions daily:2024-01-01\na = [a]"],
        0,
        "read the partition before by --map a=offset(-1)",
    ),
    "a mapping of nothing": (["%%asset a --map far_aawy=all\na = 1"], 0, "did you mean 'far_away'?"),
    "an asset of this notebook that doesn't fit": (
        ["%%asset b --partitions monthly:2024-01-01\nb = 1", "%%asset a --partitions static:x,y\na = b"],
        1,
        "asset 'a': the mapping between b (monthly:2024-01-01) and this asset (static:x,y) doesn't fit",
    ),
    "an asset of another notebook that doesn't fit": (
        ["%%asset a --partitions static:x,y\na = far_away"],
        0,
        "asset 'a': the mapping between far_away (daily:2024-01-01) and this asset (static:x,y) doesn't fit",
    ),
}


@pytest.mark.parametrize(("cells", "number", "said"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_declaration_is_refused_before_anything_is_executed(project, cells, number, said):
    write_notebook(project / "other.ipynb", ["%%asset far_away --partitions daily:2024-01-01\nfar_away = 1"])
    with person(project, cells) as me:
        shown = me.run(number)
        assert said in shown.said
        assert "Traceback" not in shown.out
        assert me.state("a").current is None
