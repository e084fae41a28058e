"""Call the command line in tests: in this process, or in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nbpipe.cli.main import main

NBPIPE = Path(sys.executable).with_name("nbpipe")


class Answer(NamedTuple):
    """What a command said."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it said as JSON."""
        return json.loads(self.out)


class Terminal:
    """Calls commands in this process, where they cost no start of Python."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Answer:
        """Carry out a command."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(words)
        out, err = self._capsys.readouterr()
        return Answer(int(stop.value.code or 0), out, err)

    def json(self, *words: str) -> Any:
        """Carry out a command that succeeds, and return its data."""
        answer = self(*words, "--json")
        assert answer.status == 0, answer.err
        return answer.data


def nbpipe(folder: Path, *words: str, **options: Any) -> Answer:
    """Carry out a command in a process of its own."""
    done = subprocess.run(
        [NBPIPE, *words],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )
    return Answer(done.returncode, done.stdout, done.stderr)
