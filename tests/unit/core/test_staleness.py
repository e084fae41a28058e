from datetime import timedelta

import pytest

from nbpipe.core.definitions import AssetOptions, ParameterDef
from nbpipe.core.graph import AssetGraph
from nbpipe.core.reasons import code_reasons, duration_text
from nbpipe.core.records import AssetState
from nbpipe.core.staleness import assess, out_of_date
from tests.unit.core.assets import NOON, changed, made, project, spec

RAW = spec(
    "raw",
    files=("data/x.csv",),
    parameters=("n",),
    code=(("body", "1:a"), ("constant:LIMIT", "1:c"), ("helper:clean", "1:h"), ("module:m.load()", "1:m")),
)
ORDERS = spec("orders", "raw", index=1)
REPORT = spec("report", "orders ~audit", index=2)
AUDIT = spec("audit", index=3, files=("f",))

FILES = {"data/x.csv": "x1", "f": "f1"}
BEFORE = {
    "raw": made(RAW, files={"data/x.csv": "x1"}, parameters={"n": "10"}, parameter_defaults={"n": "10"}),
    "orders": made(ORDERS),
    "report": made(REPORT),
    "audit": made(AUDIT, files={"f": "f1"}),
}


def look(specs=(), states=None, files=None, *, now=NOON, default="10", parameters=None):
    """Assess the project after the given changes."""
    today = {one.key: one for one in (RAW, ORDERS, REPORT, AUDIT)} | {one.key: one for one in specs}
    definitions = project(*today.values(), parameters={"a.ipynb": (ParameterDef(name="n", default=default),)})
    hashes = FILES | (files or {})
    known = {key: state for key, state in (BEFORE | (states or {})).items() if state is not None}
    return assess(
        definitions,
        AssetGraph.of(definitions),
        known,
        files=lambda path: hashes.get(path, ""),
        now=now,
        parameters=parameters,
    )


def stale(found):
    return {key: one.reasons for key, one in found.items() if one.stale}


def with_code(spec, **components):
    code = dict(spec.code) | {name.replace("_", ":", 1): value for name, value in components.items()}
    return changed(spec, code=tuple(sorted((name, value) for name, value in code.items() if value)))


DOWNSTREAM = {"orders": ("upstream raw is stale",), "report": ("upstream orders is stale",)}


def test_nothing_changed():
    found = look()
    assert stale(found) == {}
    assert {one.status for one in found.values()} == {"fresh"}
    assert list(found) == ["audit", "raw", "orders", "report"]


@pytest.mark.parametrize(
    ("what", "today", "reasons"),
    [
        ("an edit", with_code(RAW, body="1:b"), ("code changed",)),
        ("a comment: the code's hash stays", with_code(RAW), ()),
        ("a helper", with_code(RAW, helper_clean="1:x"), ("helper clean() changed",)),
        ("a constant", with_code(RAW, constant_LIMIT="1:x"), ("constant LIMIT changed",)),
        (
            "a function of a module",
            changed(RAW, code=(*RAW.code[:3], ("module:m.load()", "1:x"))),
            ("m.load() changed",),
        ),
        ("an option", with_code(RAW, options="1:o"), ("options changed",)),
        (
            "body and helper, with another constant",
            with_code(RAW, body="1:b", helper_clean="1:x", constant_LIMIT=None, constant_TOP="1:t"),
            ("code changed", "helper clean() changed"),
        ),
        (
            "a helper became a constant",
            with_code(RAW, helper_clean=None, constant_clean="1:t"),
            ("helper clean() is gone", "constant clean is new"),
        ),
        (
            "another algorithm",
            changed(RAW, code=tuple((name, value.replace("1:", "2:")) for name, value in RAW.code)),
            ("code is compared in a new way since nbpipe was updated",),
        ),
        (
            "one more file",
            changed(RAW, files=("data/x.csv", "f")),
            ("file f is a new input",),
        ),
        ("one more parameter", changed(RAW, parameters=("m", "n")), ()),
    ],
)
def test_code_of_one_asset(what, today, reasons):
    found = look([today])
    assert found["raw"].reasons == reasons
    assert stale(found) == ({"raw": reasons} | DOWNSTREAM if reasons else {})


def test_undoing_an_edit_makes_it_fresh_again():
    assert stale(look([with_code(RAW, body="1:b")]))
    assert not stale(look([RAW]))


@pytest.mark.parametrize(
    ("files", "reasons"),
    [
        ({"data/x.csv": "x2"}, ("file data/x.csv changed",)),
        ({"data/x.csv": ""}, ("file data/x.csv is gone",)),
        ({"other.csv": "new"}, ()),
    ],
)
def test_files(files, reasons):
    assert look(files=files)["raw"].reasons == reasons


def test_a_file_that_is_gone_is_a_reason_although_the_text_that_named_it_names_no_file_now():
    found = look([changed(RAW, files=())], files={"data/x.csv": ""})["raw"]
    assert (found.reasons, found.notes) == (("file data/x.csv is gone",), ())


def test_a_file_that_is_there_and_no_input_any_more_is_no_reason():
    assert look([changed(RAW, files=())])["raw"].reasons == ()
    assert look([with_code(changed(RAW, files=()), body="1")], files={"data/x.csv": ""})["raw"].reasons == (
        "code changed",
    )


def test_files_of_a_pattern():
    one = spec("all", files=("glob:data/*.csv",))
    found = look([one], {"all": made(one, files={"glob:data/*.csv": "p"})}, {"glob:data/*.csv": "q"})
    assert found["all"].reasons == ("files data/*.csv changed",)


@pytest.mark.parametrize(
    ("made_with", "recorded", "default", "given", "reasons", "notes"),
    [
        ("10", "10", "10", None, (), ()),
        ("10", "10", "0xA", None, (), ()),
        ("10", "10", "20", None, ("parameter n: 10 -> 20",), ()),
        ("20", "10", "10", None, (), ("made with n=20 (default 10)",)),
        ("20", "10", "20", None, (), ()),
        ("20", "10", "30", None, ("parameter n: 20 -> 30",), ()),
        ("10", "10", "10", {"n": "20"}, ("parameter n: 10 -> 20",), ()),
        ("20", "10", "10", {"n": "20"}, (), ()),
        ("20", "10", "10", {}, ("parameter n: 20 -> 10",), ()),
        ("20", "10", "10", {"other": "1"}, ("parameter n: 20 -> 10",), ()),
        ("'a'", "'a'", '"a"', None, (), ()),
        ("1", "1", "True", None, ("parameter n: 1 -> True",), ()),
        ("x()", "x()", "y()", None, ("parameter n: x() -> y()",), ()),
        ("'" + "a" * 50 + "'", "1", "2", None, ("parameter n: '" + "a" * 38 + "… -> 2",), ()),
    ],
)
def test_parameters_reached_also_through_setup_names(made_with, recorded, default, given, reasons, notes):
    state = made(RAW, files={"data/x.csv": "x1"}, parameters={"n": made_with}, parameter_defaults={"n": recorded})
    found = look(states={"raw": state}, default=default, parameters=given)
    assert (found["raw"].reasons, found["raw"].notes) == (reasons, notes)
    assert found["orders"].stale is bool(reasons)
    assert found["orders"].notes == ()


def test_a_parameter_that_was_not_reached_before_is_a_reason():
    state = made(RAW, files={"data/x.csv": "x1"})
    assert look(states={"raw": state})["raw"].reasons == ("parameter n is new",)


def test_an_upstream_with_other_content():
    newer = made(RAW, "data 2", version=2, files={"data/x.csv": "x1"}, parameters={"n": "10"})
    assert stale(look(states={"raw": newer})) == {
        "orders": ("upstream raw has newer data",),
        "report": ("upstream orders is stale",),
    }


def test_an_upstream_recomputed_to_identical_content_leaves_downstream_fresh():
    again = made(RAW, version=2, files={"data/x.csv": "x1"}, parameters={"n": "10"})
    assert stale(look(states={"raw": again})) == {}


def test_an_upstream_stale_and_with_newer_data_is_one_reason():
    newer = made(RAW, "data 2", version=2, files={"data/x.csv": "x1"}, parameters={"n": "10"})
    found = look([with_code(RAW, body="1:b")], {"raw": newer})
    assert found["orders"].reasons == ("upstream raw has newer data",)


def test_an_opaque_upstream_promises_no_early_cut_off_and_says_so():
    newer = made(RAW, "bytes 2", version=2, opaque=True, files={"data/x.csv": "x1"}, parameters={"n": "10"})
    found = look(states={"raw": newer})
    assert found["orders"].reasons == ("upstream raw has newer data",)
    assert found["orders"].notes == (
        "raw is a pickle: only its bytes can be compared, and they may differ for equal content",
    )


def test_an_upstream_rolled_back_is_held_and_its_readers_are_out_of_date():
    back = made(RAW, "data 1", version=1, held=True)
    orders = made(ORDERS, input_versions={"raw": 2})
    found = look([with_code(RAW, body="1:b")], {"raw": back, "orders": orders}, {"data/x.csv": "x2"})
    assert (found["raw"].status, found["raw"].reasons) == ("fresh", ())
    assert found["raw"].notes == ("held at version 1 (rolled back)",)
    assert found["orders"].reasons == ("upstream raw was rolled back",)


def test_a_held_asset_is_fresh_whatever_happens_above():
    found = look([with_code(RAW, body="1:b")], {"orders": made(ORDERS, version=3, held=True)})
    assert (found["orders"].status, found["orders"].out_of_date) == ("fresh", False)
    assert found["report"].stale is False


@pytest.mark.parametrize(
    ("hours", "reasons", "notes"),
    [
        (1, (), ("made 1 hour ago, fresh for 2 hours",)),
        (3, ("fresh for 2 hours, which have passed",), ("made 3 hours ago, fresh for 2 hours",)),
    ],
)
def test_fresh_for(hours, reasons, notes):
    one = spec("web", options=AssetOptions(fresh_for=7200))
    below = spec("below", "web")
    found = look([one, below], {"web": made(one), "below": made(below)}, now=NOON + timedelta(hours=hours))
    assert (found["web"].reasons, found["web"].notes) == (reasons, notes)
    assert found["below"].stale is bool(reasons)


def test_what_reads_nothing_watched_tells_its_age_and_the_remedies():
    one = spec("web")
    (note,) = look([one], {"web": made(one)}, now=NOON + timedelta(days=3))["web"].notes
    assert (
        note == "made 3 days ago; it reads nothing that is watched: %force web makes it again, --fresh-for sets a limit"
    )


def test_an_order_only_upstream_never_makes_stale():
    found = look([with_code(AUDIT, body="new")])
    assert set(stale(found)) == {"audit"}
    assert not stale(look(states={"audit": made(AUDIT, "other", version=2, files={"f": "f1"})}))
    assert set(stale(look(states={"audit": None}))) == {"audit"}


def test_an_asset_renamed_with_its_history_stays_fresh_and_its_readers_changed_code():
    renamed = changed(RAW, key="source")
    orders = changed(ORDERS, upstream=("source",), inputs=("source",), code=(("body", "reads source"),))
    found = look([renamed, orders], {"source": BEFORE["raw"], "raw": None})
    assert found["source"].status == "fresh"
    assert found["orders"].reasons == ("code changed", "upstream source is new")


def test_an_upstream_that_is_not_read_any_more_is_a_reason_of_its_own_only_if_the_code_is_the_same():
    orders = changed(ORDERS, upstream=(), inputs=())
    assert look([orders])["orders"].reasons == ("upstream raw is gone",)
    assert look([with_code(orders, body="1")])["orders"].reasons == ("code changed",)


def test_a_missing_upstream_makes_stale_but_not_out_of_date():
    found = look(states={"raw": None})
    assert (found["raw"].status, found["raw"].reasons, found["raw"].out_of_date) == (
        "missing",
        ("never materialized",),
        True,
    )
    assert found["orders"].reasons == ("upstream raw is missing",)
    assert not found["orders"].out_of_date


def test_a_failed_attempt_counts_until_an_attempt_succeeds():
    failed = made(ORDERS, failed_at=NOON, error="ValueError: no rows\nmore")
    found = look(states={"orders": failed})
    assert found["orders"].status == "failed"
    assert found["orders"].reasons == ("the latest attempt failed: ValueError: no rows",)
    assert found["orders"].out_of_date
    assert found["report"].reasons == ("upstream orders failed",)


def test_a_long_error_is_cut_visibly():
    reason, *_ = look(states={"orders": made(ORDERS, failed_at=NOON, error="x" * 1000)})["orders"].reasons
    assert reason == f"the latest attempt failed: {'x' * 199}…"


def test_a_first_attempt_that_failed():
    found = look(states={"orders": AssetState(asset="orders", failed_at=NOON)})
    assert (found["orders"].status, found["orders"].reasons) == (
        "failed",
        ("the latest attempt failed", "never materialized"),
    )


@pytest.mark.parametrize("activity", ["queued", "running"])
def test_what_a_run_does_comes_first_and_staleness_stays_known(activity):
    found = look([with_code(RAW, body="1:b")], {"raw": made(RAW, files={"data/x.csv": "x1"}, activity=activity)})
    assert (found["raw"].status, found["raw"].stale) == (activity, True)
    assert found["orders"].status == "stale"


def test_each_file_is_hashed_once():
    asked = []
    specs = [spec(f"a{index}", files=("big.csv",)) for index in range(5)]
    definitions = project(*specs)

    def files(path):
        asked.append(path)
        return "h"

    states = {one.key: made(one, files={"big.csv": "h"}) for one in specs}
    found = assess(definitions, AssetGraph.of(definitions), states, files=files, now=NOON)
    assert not stale(found)
    assert asked == ["big.csv"]


def test_circles_are_assessed_too():
    definitions = project(spec("a", "b"), spec("b", "a"), spec("c", "b"))
    assert len(assess(definitions, AssetGraph.of(definitions), {}, files=FILES.__getitem__, now=NOON)) == 3


@pytest.mark.parametrize(
    ("one", "states", "parameters", "reasons"),
    [
        (RAW, {}, {"n": "10"}, ()),
        (RAW, {}, {"n": "11"}, ("parameter n: 10 -> 11",)),
        (RAW, {"raw": None}, {"n": "10"}, ("never materialized",)),
        (with_code(RAW, body="1:b"), {}, {"n": "10"}, ("code changed",)),
        (with_code(RAW, body="1:b"), {"raw": made(RAW, held=True)}, {"n": "11"}, ()),
        (ORDERS, {}, {"n": "11"}, ()),
        (ORDERS, {"raw": made(RAW, "data 2", version=2)}, {}, ("upstream raw has newer data",)),
        (ORDERS, {"raw": made(with_code(RAW, body="1:b"))}, {}, ()),
        (ORDERS, {"raw": None}, {}, ()),
    ],
)
def test_one_asset_when_its_turn_comes(one, states, parameters, reasons):
    known = {key: state for key, state in (BEFORE | states).items() if state is not None}
    assert out_of_date(one, known, parameters=parameters, files=FILES.__getitem__, now=NOON) == reasons


def test_a_chain_of_20_000_assets_works():
    specs = [spec(f"n{index:05}", f"n{index - 1:05}" if index else "") for index in range(20_000)]
    definitions = project(*specs)
    states = {one.key: made(one) for one in specs[1:]}
    found = assess(definitions, AssetGraph.of(definitions), states, files=FILES.__getitem__, now=NOON)
    assert found["n19999"].reasons == ("upstream n19998 is stale",)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (3600, "1 hour"),
        (86_400, "1 day"),
        (100_000, "27 hours"),
    ],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_equal_code_has_no_reasons():
    assert code_reasons(RAW.code, RAW.code) == ()
