"""What the value of a sensor's cell means, and when a failed run is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nbpipe.core.automation.definitions import JobDef
from nbpipe.core.automation.requests import Answer, PartitionsRequest, RunRequest, SkipReason, read_answer
from nbpipe.core.automation.retries import LONGEST_DELAY, retry_at
from nbpipe.errors import DefinitionError

A, B = RunRequest(run_key="a"), RunRequest(run_key="b")
KEYS = PartitionsRequest("customers", add=("x",))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Answer(reason="nothing to do")),
        (False, Answer(reason="nothing to do")),
        ([], Answer(reason="nothing to do")),
        (True, Answer(runs=(RunRequest(),))),
        (SkipReason("no file"), Answer(reason="no file")),
        (SkipReason(), Answer(reason="nothing to do")),
        (A, Answer(runs=(A,))),
        ([A, B], Answer(runs=(A, B))),
        ((each for each in (A, B)), Answer(runs=(A, B))),
        ([A, RunRequest(run_key="a", tags={"x": "y"})], Answer(runs=(A,))),
        ([RunRequest(), RunRequest()], Answer(runs=(RunRequest(), RunRequest()))),
        (KEYS, Answer(partitions=(KEYS,))),
        ([KEYS, A], Answer(runs=(A,), partitions=(KEYS,))),
    ],
)
def test_answers(value: Any, expected: Answer):
    assert read_answer(value) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("run", "the sensor's value is 'run' (str): it can be a RunRequest"),
        (7, "is 7 (int)"),
        ({"run_key": "a"}, "(dict)"),
        ([A, "b"], "is 'b' (str) in its list"),
        (RunRequest(run_key=""), "a run key is a text of 1 to 500 characters"),
        (RunRequest(run_key="x" * 501), "a run key is a text of 1 to 500 characters"),
        (RunRequest(priority=2**63), "a priority is a whole number from -1,000,000 to 1,000,000, this is 922"),
        (RunRequest(priority=1.5), "a priority is a whole number"),
        (RunRequest(partition_key=3), "a partition key is a text, this is 3 (int)"),
    ],
)
def test_nonsense_is_told(value: Any, text: str):
    with pytest.raises(DefinitionError) as caught:
        read_answer(value)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"retries": 0}, [None]),
        ({"retries": 2}, [0, 0, None]),
        ({"retries": 3, "retry_delay": 10, "backoff": "constant"}, [10, 10, 10, None]),
        ({"retries": 3, "retry_delay": 10, "backoff": "linear"}, [10, 20, 30, None]),
        ({"retries": 3, "retry_delay": 10, "backoff": "exponential"}, [10, 20, 40, None]),
    ],
)
def test_delays(options: dict[str, Any], seconds: list[float | None]):
    ended = datetime(2024, 3, 1, tzinfo=UTC)
    for attempt, delay in enumerate(seconds, 1):
        expected = None if delay is None else ended + timedelta(seconds=delay)
        assert retry_at(JobDef(name="j", **options), attempt, ended) == expected


def test_a_delay_grows_no_further_than_a_day():
    job = JobDef(name="j", retries=1000, retry_delay=10, backoff="exponential")
    ended = datetime(2024, 3, 1, tzinfo=UTC)
    assert retry_at(job, 900, ended) == ended + timedelta(seconds=LONGEST_DELAY)
