import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbpipe.core.definitions import CellDef, CellRef, Diagnostic, NotebookDef, ParameterDef
from nbpipe.core.graph import AssetGraph
from nbpipe.core.runs.parameter_checks import parameters_for
from nbpipe.core.runs.planning import plan_notebook, plan_run
from nbpipe.core.selection import resolve
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.errors import ParameterError, RefusedError, UnknownNameError
from tests.resolving import define
from tests.unit.core.assets import chain, project, spec


def plan(definitions, selection="*", materialized=(), **wanted):
    graph = AssetGraph.of(definitions)
    selected = resolve(parse_selection(selection), graph, definitions.assets)
    return plan_run(
        definitions, graph, selected, env="default", selection=selection, materialized=materialized, **wanted
    )


def written(run):
    return [(step.notebook, " ".join(step.assets), step.after) for step in run.steps]


def cell(index, kind, notebook="a.ipynb", **fields):
    return CellDef(ref=CellRef(notebook, index, f"{notebook}:{index}"), kind=kind, source_hash="", **fields)


def test_one_notebook_is_one_step():
    run = plan(project(*chain("a", "b", "c")))
    assert written(run) == [("a.ipynb", "a b c", ())]
    assert [one.key for one in run.assets] == ["a", "b", "c"]
    assert run.notebooks == {"a.ipynb": "content of a.ipynb"}
    assert (run.env, run.selection, run.mode) == ("default", "*", "all")


def test_notebooks_that_feed_each_other_take_turns():
    definitions = project(
        spec("raw", notebook="in.ipynb"),
        spec("model", "raw", notebook="ml.ipynb"),
        spec("scores", "model", notebook="in.ipynb", index=1),
        spec("other", notebook="in.ipynb", index=2),
    )
    assert written(plan(definitions)) == [
        ("in.ipynb", "raw other", ()),
        ("ml.ipynb", "model", (0,)),
        ("in.ipynb", "scores", (1,)),
    ]


def test_only_what_is_selected_is_planned_and_waited_for():
    definitions = project(
        spec("a", notebook="a.ipynb"), spec("b", "a", notebook="b.ipynb"), spec("c", "b", notebook="a.ipynb", index=1)
    )
    assert written(plan(definitions, "a c", materialized={"b"})) == [("a.ipynb", "a c", ())]


def test_an_order_only_upstream_is_waited_for():
    definitions = project(spec("a", notebook="a.ipynb"), spec("b", "~a", notebook="b.ipynb"))
    assert written(plan(definitions)) == [("a.ipynb", "a", ()), ("b.ipynb", "b", (0,))]


def test_assets_of_one_cell_come_along_and_it_is_said():
    pair = {"siblings": ("train", "test", "rest"), "index": 1}
    definitions = project(
        spec("train", **pair), spec("test", **pair), spec("rest", **pair), spec("fit", "train", index=2)
    )
    run = plan(definitions, "train fit")
    assert written(run) == [("a.ipynb", "train test rest fit", ())]
    assert run.notes == ("test, rest are made too: by the same cell as train",)
    assert not plan(definitions, "fit train test rest").notes
    assert plan(definitions, "rest").notes == ("train, test are made too: by the same cell as rest",)


@pytest.mark.parametrize(
    ("cells", "selection", "order"),
    [
        # setup cells run in document order, other assets are skipped
        ([cell(0, "setup"), cell(1, "parameters"), cell(5, "setup")], "a b", (0, 1, 2, 3, 5)),
        # a cell waits for what it reads although that stands below; the rest keeps its place
        ([cell(0, "setup"), cell(5, "setup")], "late early", (0, 5, 6, 4)),
        # view cells run if they show what is made
        ([cell(5, "view", shows=("b",)), cell(7, "view", shows=("late",))], "a b", (2, 3, 5)),
        # a view cell above the asset that it shows waits for it
        ([cell(0, "view", shows=("b",)), cell(1, "setup")], "a b", (1, 2, 3, 0)),
        # what a view cell binds for assets counts as setup
        ([cell(0, "view", binds=("pd",), shows=("late",))], "a", (0, 2)),
        # other cells stay out
        ([cell(0, "skipped"), cell(1, "other"), cell(5, "broken")], "a", (2,)),
        # a view cell brings those whose names it uses
        (
            [
                cell(0, "view", shows=("a",)),
                cell(5, "view", shows=("a",)),
                cell(7, "view", shows=("a", "b"), uses=(5,)),
            ],
            "b",
            (3, 5, 7),
        ),
    ],
)
def test_the_order_of_cells(cells, selection, order):
    assets = [spec("a", index=2), spec("b", "a", index=3), spec("late", "early", index=4), spec("early", index=6)]
    definitions = project(*assets, cells={"a.ipynb": cells})
    (step,) = plan(definitions, selection, materialized={"a", "early"}).steps
    assert step.order == order
    assert [one.index for one in step.cells] == sorted(one.ref.index for one in definitions.notebooks["a.ipynb"].cells)
    assert {one.index for one in step.cells if one.action == "skip"}.isdisjoint(order)


def test_the_assets_of_a_step_are_in_order_of_execution():
    definitions = project(spec("below", "above", index=1), spec("above", index=2), spec("c", index=0))
    (step,) = plan(definitions).steps
    assert (step.assets, step.order) == (("c", "above", "below"), (0, 2, 1))


def views(run):
    return {
        (step.index, one.index): one.shows
        for step in run.steps
        for one in step.cells
        if one.action == "view" and one.shows
    }


def test_a_view_cell_runs_once_after_all_that_it_shows():
    definitions = project(
        spec("a", notebook="a.ipynb"),
        spec("b", "a", notebook="b.ipynb"),
        spec("c", "b", notebook="a.ipynb", index=1),
        cells={
            "a.ipynb": [
                cell(2, "view", shows=("a",)),
                cell(3, "view", shows=("a", "c")),
                cell(4, "view", shows=("b",)),
            ],
            "b.ipynb": [cell(5, "view", "b.ipynb", shows=("a",)), cell(6, "view", "b.ipynb", shows=("c",))],
        },
    )
    assert views(plan(definitions)) == {(0, 2): ("a",), (2, 3): ("a", "c"), (2, 4): ("b",), (1, 5): ("a",)}
    assert views(plan(definitions, "b", materialized={"a"})) == {}


@pytest.mark.parametrize(
    ("selection", "materialized", "works"),
    [
        ("report", (), "report raw orders"),
        ("report", {"raw"}, "report orders"),
        ("report", {"orders"}, None),
        ("report lonely", {"raw"}, "report lonely orders"),
        ("rep* and not lonely", {"raw"}, "rep* and not lonely orders"),
        ("+report", (), None),
        ("deep", (), "+deep"),
        ("deep lonely", (), "+(deep lonely)"),
    ],
)
def test_what_needs_something_never_materialized_is_refused_with_a_selection_that_works(selection, materialized, works):
    deep = [spec(f"d{index}", f"d{index - 1}" if index else "", index=10 + index) for index in range(7)]
    definitions = project(
        spec("raw"), spec("orders", "raw", index=1), spec("report", "orders", index=2), spec("lonely", index=3),
        *deep, spec("deep", "d6", index=20),
    )  # fmt: skip
    if works is None:
        assert plan(definitions, selection, materialized).steps
        return
    with pytest.raises(RefusedError) as caught:
        plan(definitions, selection, materialized)
    assert str(caught.value).endswith(f"This selection would work: {works}")
    assert plan(definitions, works, materialized).steps


def test_the_refusal_names_what_is_missing():
    with pytest.raises(RefusedError, match=r"^c needs b, which has never been materialized, nor a above it\."):
        plan(project(*chain("a", "b", "c")), "c")


def test_without_a_selection_text_the_names_themselves_are_suggested():
    definitions = project(*chain("a", "b"))
    with pytest.raises(RefusedError, match=r"would work: b a$"):
        plan_run(definitions, AssetGraph.of(definitions), ["b"], env="default", materialized=())


def test_a_broken_asset_is_refused_with_what_is_wrong_and_where():
    problem = Diagnostic(
        severity="error", code="x", message="nothing is called 'y'", notebook="a.ipynb", cell=3, line=2, assets=("b",)
    )
    definitions = project(*chain("a", "b"), diagnostics=(problem,))
    assert plan(definitions, "a").steps
    with pytest.raises(RefusedError, match=r"b can't be run: nothing is called 'y' \(a.ipynb, cell 3, line 2\)"):
        plan(definitions, "*")


def test_a_circle_is_refused_with_its_path():
    definitions = project(spec("a", "c"), spec("b", "a", index=1), spec("c", "b", index=2), spec("d", index=3))
    assert plan(definitions, "d").steps
    with pytest.raises(RefusedError, match="a -> b -> c -> a"):
        plan(definitions, "b")


def test_an_upstream_that_is_defined_nowhere_is_refused():
    with pytest.raises(RefusedError, match="it depends on 'ghost', which no notebook defines"):
        plan(project(spec("b", "ghost")))


def test_an_unknown_asset_is_refused():
    definitions = project(*chain("a"))
    with pytest.raises(UnknownNameError):
        plan_run(definitions, AssetGraph.of(definitions), ["b"], env="default", materialized=())


def parameters(**defaults):
    return tuple(ParameterDef(name=name, default=default) for name, default in defaults.items())


def test_each_notebook_takes_the_parameters_that_it_has():
    definitions = project(
        spec("a", notebook="a.ipynb"),
        spec("b", "a", notebook="b.ipynb"),
        parameters={"a.ipynb": parameters(n="10", city="'Bonn'"), "b.ipynb": parameters(n="1")},
    )
    run = plan(definitions, parameters={"n": 5, "city": "Ulm"})
    assert [dict(step.parameters) for step in run.steps] == [{"n": 5, "city": "Ulm"}, {"n": 5}]
    with pytest.raises(ParameterError, match="any of the 2 notebooks"):
        plan(definitions, parameters={"zzz": 5})
    with pytest.raises(ParameterError, match=r"'cty': did you mean 'city'\? \(a.ipynb has city, n\)"):
        plan(definitions, "a", parameters={"cty": "x"})
    with pytest.raises(ParameterError, match="no parameter 'city'"):
        plan(definitions, "b", materialized={"a"}, parameters={"city": "x"})


def test_a_parameter_that_only_assets_read_which_are_not_selected_is_told():
    definitions = project(
        spec("orders", parameters=("low",)),
        spec("daily", "orders", index=1),
        parameters={"a.ipynb": parameters(low="1", show="1")},
    )
    given = {"low": 2, "show": 3}
    assert plan(definitions, "daily", materialized={"orders"}, parameters=given).notes == (
        "parameter low changes nothing that is selected: it is for orders, of which stored values are used",
    )
    assert not plan(definitions, "+daily", parameters=given).notes


def test_a_notebook_without_parameters_says_how_to_give_it_some():
    with pytest.raises(ParameterError, match=r"a.ipynb has no parameters. Give the tag `parameters`"):
        plan(project(*chain("a")), parameters={"n": 1})


@pytest.mark.parametrize(
    ("default", "annotation", "value", "wrong"),
    [
        ("10", None, 5, None),
        ("10", None, "x", "is a whole number"),
        ("10", None, 2.5, "is a whole number"),
        ("10", None, True, "is a whole number"),
        ("1.5", None, 2, None),
        ("1.5", None, "2", "is a number"),
        ("True", None, 1, "is True or False"),
        ("'a'", None, "b", None),
        ("'a'", None, 2024, "is text (p = 'a'), not 2024. For text write p='\"2024\"'"),
        ("[1]", None, [2, "x"], None),
        ("[1]", None, {"a": 1}, "is a list"),
        ("(1, 2)", None, [2], None),
        ("{}", None, {"a": 1}, None),
        ("None", None, "anything", None),
        ("10", None, None, None),
        ("date(2024, 1, 1)", None, "2024-01-01", None),
        ("None", "int", "x", "is a whole number"),
        ("None", "int | None", 3, None),
        ("None", "Optional[str]", 3, "is text or None"),
        ("None", "list[int]", [1], None),
        ("10", "Path", "x", "is a whole number"),
    ],
)
def test_values_of_another_type_are_refused(default, annotation, value, wrong):
    notebook = NotebookDef(path="a.ipynb", parameters=(ParameterDef(name="p", default=default, annotation=annotation),))
    if wrong is None:
        assert parameters_for([notebook], {"p": value}) == {"a.ipynb": {"p": value}}
        return
    with pytest.raises(ParameterError) as caught:
        parameters_for([notebook], {"p": value})
    assert wrong in str(caught.value)


def test_a_whole_notebook_runs_as_run_all():
    cells = [cell(0, "setup"), cell(2, "skipped"), cell(3, "view", shows=("a",)), cell(4, "other"), cell(5, "broken")]
    definitions = project(
        spec("a", "z", index=1), cells={"a.ipynb": cells}, parameters={"a.ipynb": parameters(year="2023")}
    )
    run = plan_notebook(definitions, "a.ipynb", env="default", parameters={"year": 2024})
    (step,) = run.steps
    assert (step.whole, step.order, step.assets, dict(step.parameters)) == (
        True,
        (0, 1, 3, 4, 5),
        ("a",),
        {"year": 2024},
    )
    assert {one.action for one in step.cells} == {"run", "skip"}
    assert resolve(parse_selection(run.selection), AssetGraph.of(definitions), definitions.assets) == ("a",)


def test_what_a_whole_notebook_leaves_out_is_not_shown_either():
    shown = cell(2, "view", shows=("a",))
    below = cell(3, "view", uses=(2,))
    definitions = project(spec("a", index=1), spec("b", index=4), cells={"a.ipynb": [cell(0, "setup"), shown, below]})
    run = plan_notebook(definitions, "a.ipynb", env="default", left_out={"a": "a has none"})
    assert [one.action for one in run.steps[0].cells] == ["run", "skip", "skip", "skip", "run"]
    assert (run.steps[0].order, run.steps[0].assets, [one.key for one in run.assets]) == ((0, 4), ("b",), ["b"])
    assert run.notes == ("left out: a has none", "left out: cells 3, 4, which show what is left out")


def test_an_unknown_notebook_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean 'a.ipynb'"):
        plan_notebook(project(*chain("a")), "a.ipyn", env="default")


def test_an_empty_selection_is_an_empty_plan():
    definitions = project(*chain("a"))
    run = plan_run(definitions, AssetGraph.of(definitions), [], env="default", materialized=())
    assert (run.steps, run.assets) == ((), ())


@pytest.mark.parametrize("size", [1, 100, 20_000])
def test_a_chain_of_20_000_assets_works(size):
    specs = [
        spec(
            f"n{index:05}",
            f"n{index - 1:05}" if index else "",
            notebook=f"{index // size:05}.ipynb",
            index=index % size,
        )
        for index in range(20_000)
    ]
    run = plan(project(*specs))
    assert len(run.steps) == 20_000 // size
    assert [key for step in run.steps for key in step.assets] == [one.key for one in specs]


@st.composite
def projects(draw):
    count = draw(st.integers(1, 30))
    places = {}
    specs = []
    for number in range(count):
        notebook = f"{draw(st.sampled_from('abcd'))}.ipynb"
        free = [index for index in range(40) if index not in places.setdefault(notebook, set())]
        index = draw(st.sampled_from(free))
        places[notebook].add(index)
        above = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else ()
        specs.append(spec(f"n{number}", " ".join(f"n{one}" for one in sorted(above)), notebook=notebook, index=index))
    return specs, draw(st.sets(st.integers(0, count - 1), min_size=1))


@given(projects())
def test_everything_is_made_once_and_after_what_it_needs(drawn):
    specs, chosen = drawn
    definitions = project(*specs)
    selected = {f"n{number}" for number in chosen}
    run = plan_run(
        definitions,
        AssetGraph.of(definitions),
        selected,
        env="default",
        materialized=definitions.assets.keys() - selected,
    )
    made, ended = [], set()
    for step in run.steps:
        assert ended.issuperset(step.after)
        makers = {one.index: one.assets for one in step.cells if one.action == "asset"}
        for key in (key for index in step.order for key in makers.get(index, ())):
            assert set(made) >= selected.intersection(definitions.assets[key].upstream)
            made.append(key)
        ended.add(step.index)
    assert sorted(made) == sorted(selected)
    assert [key for step in run.steps for key in step.assets] == made


def test_a_view_cell_is_read_with_the_view_cells_whose_names_it_uses():
    definitions = define("%%asset a\n1", "%%asset b\n2", "x = a", "print(a)", "plot(x, b)")
    assert [one.uses for one in definitions.notebooks["nb.ipynb"].cells] == [(), (), (), (), (2,)]
    (step,) = plan(definitions, "b", materialized={"a"}).steps
    assert step.order == (1, 2, 4)
