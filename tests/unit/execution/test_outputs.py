"""Outputs are kept within limits, and what is dropped is said."""

from __future__ import annotations

import pytest

from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.execution.outputs import CellOutputs

LIMITS = OutputLimits(record=10_000, output=2_000, count=5)


def cell(room: int = 10_000) -> CellOutputs:
    return CellOutputs(LIMITS, room)


def display(text: str, kind: str = "text/plain") -> dict[str, object]:
    return {"output_type": "display_data", "data": {kind: text}, "metadata": {}}


def texts(outputs: CellOutputs) -> list[str]:
    return [output["text"] if "text" in output else output["data"]["text/plain"] for output in outputs.outputs()]


def test_text_to_one_stream_becomes_one_output():
    outputs = cell()
    for part in ("a", "b", "c"):
        outputs.print("stdout", part)
    outputs.print("stderr", "d")
    outputs.print("stdout", "e")
    assert texts(outputs) == ["abc", "d", "e"]
    assert outputs.cut() == {}


@pytest.mark.parametrize("part", [1, 7, 999, 1_000, 1_001, 5_000, 50_000])
def test_of_long_text_the_beginning_and_the_end_are_kept(part):
    text = "".join(chr(ord("a") + i % 26) for i in range(50_000))
    outputs = cell()
    for at in range(0, len(text), part):
        outputs.print("stdout", text[at : at + part])
    (kept,) = texts(outputs)
    head, notice, tail = kept.partition("\n[nbpipe: ")
    dropped = outputs.cut()["characters"]
    assert text.startswith(head)
    assert notice
    assert text.endswith(tail.partition("]\n")[2])
    assert len(head) + len(tail.partition("]\n")[2]) + dropped == len(text)
    assert len(head) == 1_000
    assert 1_000 <= len(tail.partition("]\n")[2]) < 1_000 + max(part, 2)
    assert f"{dropped:,} characters" in kept


def test_a_display_that_is_too_big_is_replaced_by_a_word_about_it():
    outputs = cell()
    assert outputs.show(display("h" * 3_000, "text/html")) == 0
    assert "3,0" in texts(outputs)[0]
    assert "text/html" in texts(outputs)[0]
    assert outputs.cut() == {"outputs": 1}


def test_outputs_beyond_the_count_are_dropped_and_counted():
    outputs = cell()
    positions = [outputs.show(display(str(i))) for i in range(8)]
    assert positions == [0, 1, 2, 3, 4, None, None, None]
    assert texts(outputs)[-1] == "[nbpipe: 3 outputs of this cell were too many or too big, and are not kept]\n"


def test_nothing_is_added_when_the_record_is_full_but_errors():
    outputs = cell(room=10)
    assert outputs.show(display("x" * 100)) is None
    lines = [*("u" * 1_000), "t" * 1_000_000]
    assert outputs.show({"output_type": "error", "ename": "E", "evalue": "v" * 1_000_000, "traceback": lines}) == 0
    error = outputs.outputs()[0]
    assert (len(error["evalue"]), len(error["traceback"]), len(error["traceback"][-1])) == (10_000, 200, 10_000)


def test_an_updated_display_counts_by_its_new_size():
    outputs = cell()
    at = outputs.show(display("a"))
    assert at is not None
    before = outputs.size
    outputs.update(at, {"text/plain": "b" * 100}, {})
    assert outputs.size == before + 99
    outputs.update(at, {"text/plain": "c" * 5_000}, {})
    assert "too big" in texts(outputs)[0]
    outputs.update(17, {"text/plain": "nowhere"}, {})


def test_an_updated_display_does_not_grow_beyond_the_record():
    outputs = cell(room=500)
    at = outputs.show(display("a"))
    assert at is not None
    outputs.update(at, {"text/plain": "b" * 1_500}, {})
    assert "too big to keep" in texts(outputs)[0]


def test_cleared_outputs_leave_room_again():
    outputs = cell()
    for _ in range(8):
        outputs.show(display("x"))
    outputs.clear()
    assert (outputs.size, outputs.outputs(), outputs.cut()) == (0, [], {})
    assert outputs.show(display("y")) == 0
