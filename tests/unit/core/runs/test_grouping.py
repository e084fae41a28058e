from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.core.runs import grouping
from nbpipe.core.runs.grouping import group, waiting
from nbpipe.core.runs.merging import Block, merge


def problem(text):
    """Read `A1 B2<1 A3<1,2`: a notebook, a number, and the numbers that it waits for."""
    notebooks, before, number = [], [], {}
    for index, word in enumerate(text.split()):
        head, _, others = word.partition("<")
        number[head[1:]] = index
        notebooks.append(ord(head[0]) - ord("A"))
        before.append([number[other] for other in others.split(",") if other])
    return notebooks, before


def written(blocks):
    return " ".join(chr(ord("A") + block.notebook) + "".join(str(cell + 1) for cell in block.cells) for block in blocks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("A1 A2 A3", "A123"),
        ("A1 B2 A3", "A13 B2"),
        ("A1 B2<1 A3", "A13 B2"),
        ("A1 B2<1 A3<2", "A1 B2 A3"),
        ("A1 B2<1 A3<2 B4<3", "A1 B2 A3 B4"),
        ("A1 B2 A3<2", "B2 A13"),
        ("A1 B2<1 C3<1 A4<2,3", "A1 B2 C3 A4"),
        ("A1 B2 C3 A4<2 B5<3", "C3 B25 A14"),
        ("A1 B2 A3<2 B4<1", "A1 B24 A3"),
        ("A1 A2<1 B3<2 B4<3 C5<4 C6<1", "A12 B34 C56"),
    ],
)
def test_few_steps_in_a_workable_order(text, expected):
    assert written(group(*problem(text))) == expected


def test_groups_that_have_nothing_to_do_with_each_other_are_solved_apart():
    chains = " ".join(
        f"{a}{2 * i} {b}{2 * i + 1}<{2 * i}" for i, (a, b) in enumerate(["AB", "CD", "EF", "GH", "IJ", "KL", "MN"])
    )
    assert len(group(*problem(chains))) == 14


def test_only_direct_needs_are_waited_for():
    notebooks, before = problem("A1 B2<1 C3<2 C4<1")
    blocks = group(notebooks, before)
    assert written(blocks) == "A1 B2 C34"
    assert waiting(blocks, before) == ((), (0,), (0, 1))
    assert waiting(group(*problem("A1 B2<1 C3<2")), problem("A1 B2<1 C3<2")[1]) == ((), (0,), (1,))


@st.composite
def problems(draw, cells, notebooks):
    count = draw(st.integers(1, cells))
    owners = [draw(st.integers(0, notebooks - 1)) for _ in range(count)]
    before = [sorted(draw(st.sets(st.integers(0, cell - 1), max_size=3))) if cell else [] for cell in range(count)]
    return owners, before


def acyclic(blocks, before):
    """Tell whether the blocks can be put in an order at all."""
    left = dict(enumerate(waiting(blocks, before)))
    while left:
        free = [index for index, others in left.items() if not set(others) & left.keys()]
        if not free:
            return False
        for index in free:
            del left[index]
    return True


def partitions(cells, owners):
    """Yield every way to put cells into blocks of one notebook each."""
    if not cells:
        yield []
        return
    for rest in partitions(cells[1:], owners):
        yield [[cells[0]], *rest]
        for index, block in enumerate(rest):
            if owners[block[0]] == owners[cells[0]]:
                yield [*rest[:index], [cells[0], *block], *rest[index + 1 :]]


def fewest(owners, before):
    sizes = (
        len(way)
        for way in partitions(list(range(len(owners))), owners)
        if acyclic([Block(owners[block[0]], tuple(block)) for block in way], before)
    )
    return min(sizes)


def assert_workable(blocks, owners, before):
    assert sorted(cell for block in blocks for cell in block.cells) == list(range(len(owners)))
    assert all(owners[cell] == block.notebook for block in blocks for cell in block.cells)
    done = set()
    for block in blocks:
        done |= set(block.cells)
        assert all(set(before[cell]) <= done for cell in block.cells)


def assert_irreducible(blocks, before):
    for first in range(len(blocks)):
        for second in range(first + 1, len(blocks)):
            if blocks[first].notebook == blocks[second].notebook:
                both = Block(blocks[first].notebook, blocks[first].cells + blocks[second].cells)
                others = [block for index, block in enumerate(blocks) if index not in (first, second)]
                assert not acyclic([both, *others], before)


@given(problems(cells=8, notebooks=3))
def test_small_problems_get_as_few_steps_as_brute_force_finds(drawn):
    blocks = group(*drawn)
    assert_workable(blocks, *drawn)
    assert len(blocks) == fewest(*drawn)


@given(problems(cells=40, notebooks=6))
def test_no_two_steps_of_a_big_problem_can_be_merged(drawn):
    blocks = group(*drawn)
    assert_workable(blocks, *drawn)
    assert_irreducible(blocks, drawn[1])


@given(problems(cells=12, notebooks=4))
def test_the_way_for_big_problems_is_right_for_small_ones_too(drawn):
    part = grouping._Problem(*drawn)
    blocks = merge(grouping._Greedy(part).blocks(), part.before)
    assert_workable(blocks, *drawn)
    assert_irreducible(blocks, drawn[1])


@given(problems(cells=30, notebooks=5))
def test_the_same_problem_gets_the_same_steps(drawn):
    assert group(*drawn) == group(*drawn)


@pytest.mark.parametrize("notebooks", [1, 2, 50, 20_000])
def test_a_chain_of_20_000_cells_works(notebooks):
    owners = [cell % notebooks for cell in range(20_000)]
    blocks = group(owners, [[cell - 1] if cell else [] for cell in range(20_000)])
    assert len(blocks) == (1 if notebooks == 1 else 20_000)
    assert all(a.cells[-1] < b.cells[0] for a, b in pairwise(blocks))
