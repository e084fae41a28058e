"""Time comes from the system, or from a file that a test writes."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from nbpipe import clock
from nbpipe.testing import ClockFile

_READS = re.compile(
    r"\btime\.(time|monotonic|sleep|perf_counter|process_time)(_ns)?\(|\bdatetime\.(now|utcnow|today)\(|(?<!`)\bdate\.today\("
)
_ASK = """
import sys
from nbpipe import clock
for line in sys.stdin:
    print(clock.now().timestamp(), clock.elapsed(), clock.new_id(), flush=True)
"""


@pytest.fixture
def time(tmp_path, monkeypatch):
    """A time that goes on only when a test says so."""
    moment = [1000.0]
    monkeypatch.setattr("nbpipe.clock.time.monotonic", lambda: moment[0])
    made = ClockFile(tmp_path / "clock")
    clock.follow(tmp_path / "clock")

    def pass_by(seconds):
        moment[0] += seconds

    made.pass_by = pass_by
    yield made
    clock.follow(None)


def test_nobody_else_reads_the_clock():
    package = Path(clock.__file__).parent
    texts = {str(file.relative_to(package)): file.read_text(encoding="utf-8") for file in package.rglob("*.py")}
    assert [name for name, text in texts.items() if _READS.search(text)] == ["clock.py"]


def test_without_a_file_time_is_that_of_the_system():
    before, now, after = clock.now_ns(), clock.now(), clock.now_ns()
    assert before / 1e9 - 1e-3 <= now.timestamp() <= after / 1e9 + 1e-3
    assert clock.monotonic() <= clock.elapsed()
    assert clock.seconds_until(now) <= 0


def test_a_file_lets_time_jump_and_go_faster(time):
    began, elapsed = clock.now(), clock.elapsed()
    assert began == time.now()
    time.pass_by(2)
    assert clock.now() - began == timedelta(seconds=2)
    time.jump(-3600)
    assert clock.now() - began == timedelta(seconds=2 - 3600)
    time.go(10)
    time.pass_by(1)
    assert clock.now() - began == timedelta(seconds=12 - 3600)
    assert clock.seconds_until(began) == pytest.approx(358.8)
    assert clock.elapsed() - elapsed == pytest.approx(12)
    assert int(clock.new_id()[:12], 16) == int(time.now().timestamp() * 1000)


def test_signs_of_life_and_files_keep_the_pace_of_the_system(time):
    monotonic, files = clock.monotonic(), clock.now_ns()
    time.go(100)
    time.jump(3600)
    time.pass_by(1)
    assert clock.monotonic() - monotonic == 1
    assert clock.now_ns() - files < 3600e9


def test_other_processes_follow(tmp_path):
    time = ClockFile(tmp_path / "clock")
    command = [sys.executable, "-c", _ASK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=time.variables) as one:

        def asked():
            one.stdin.write("\n")
            one.stdin.flush()
            return [float(word) for word in one.stdout.readline().split()[:2]]

        wall, elapsed = asked()
        time.jump(86_400)
        later, still = asked()
        assert later - wall - 86_400 == pytest.approx(still - elapsed, abs=1e-3)
