"""What a job, a schedule or a sensor needs, wherever it is declared: said in words that suit a magic and a table."""

from __future__ import annotations

import re

from nbpipe.core.automation.definitions import HIGHEST_PRIORITY, JobDef, ScheduleDef, SensorDef
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.errors import DeclarationError, SelectionError

#: How a run can end, which a sensor can wait for.
ENDINGS = ("success", "failure", "canceled")

_NAME = re.compile(r"\w[\w.-]*")
_OWN_NAME = re.compile(r"^selection, (?=column \d)")


def check_automation_name(name: str, what: str) -> None:
    """Refuse a name that can't stand for a job, a schedule or a sensor.

    Raises:
        DeclarationError: says what a name is made of.
    """
    if _NAME.fullmatch(name) is None:
        raise DeclarationError(f"{name!r} can't be the name of a {what}: use letters, digits and _ . - only")


def check_selection(text: str) -> None:
    """Refuse a selection that can't be read.

    Raises:
        DeclarationError: with the column of the trouble, the text with a mark below it, and what to write.
    """
    try:
        parse_selection(text)
    except SelectionError as error:
        raise DeclarationError(_OWN_NAME.sub("", str(error)), column=error.column) from None


def check_job(job: JobDef) -> None:
    """Refuse a job that lacks something, or has too much.

    Raises:
        DeclarationError: says what.
    """
    check_automation_name(job.name, "job")
    if job.selection and job.notebook:
        raise DeclarationError(
            f"a job runs a selection of assets or a notebook, not both: this has {job.selection!r} and {job.notebook!r}"
            " (a path with blanks needs quotes)"
        )
    if not (job.selection or job.notebook):
        raise DeclarationError("a job needs something to run: a selection of assets, or a notebook")
    if job.retries == 0 and (job.retry_delay or job.backoff != "constant"):
        raise DeclarationError("a delay and a backoff do nothing without retries: say how many")
    if abs(job.priority) > HIGHEST_PRIORITY:
        raise DeclarationError(f"a priority is a whole number from {-HIGHEST_PRIORITY:,} to {HIGHEST_PRIORITY:,}")


def check_schedule(schedule: ScheduleDef) -> None:
    """Refuse a schedule that lacks something, or has too much.

    Raises:
        DeclarationError: says what.
    """
    check_automation_name(schedule.name, "schedule")
    if schedule.job and schedule.selection:
        raise DeclarationError(
            f"a schedule runs a job or a selection of assets, not both: this has {schedule.job!r} and "
            f"{schedule.selection!r}"
        )
    if not (schedule.job or schedule.selection):
        raise DeclarationError("a schedule needs something to run: a job, or a selection of assets")
    if not (schedule.crons or schedule.at):
        raise DeclarationError(
            "a schedule needs times: a cron expression such as 0 6 * * 1-5, or single moments such as 2024-12-31T18:00"
        )


def check_sensor(sensor: SensorDef) -> None:
    """Refuse a sensor that lacks something, or has too much.

    Raises:
        DeclarationError: says what.
    """
    check_automation_name(sensor.name, "sensor")
    if sensor.kind != "run" and sensor.job is None:
        raise DeclarationError("a sensor needs a job to run")
    if sensor.kind == "cell":
        return
    if sensor.assets and sensor.statuses:
        raise DeclarationError("a sensor waits for assets or for runs, not for both: make two of it")
    if not (sensor.assets or sensor.statuses):
        raise DeclarationError(
            "a sensor without a cell of its own needs something to wait for: assets, or how runs end "
            f"({', '.join(ENDINGS)})"
        )
    if sensor.kind == "asset" and (sensor.jobs or sensor.notify):
        raise DeclarationError("which jobs, and whom to notify, is for sensors that wait for runs: take it out")
    if sensor.kind == "run" and not (sensor.job or sensor.notify):
        raise DeclarationError("a sensor that waits for runs needs a job to run, or somebody to notify")
