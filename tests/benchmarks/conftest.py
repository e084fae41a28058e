"""What benchmarks share: the table of their figures, and commands that are started as a person would."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.benchmarks.figures import HEADINGS, Figures

_FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config):
    config.stash[_FIGURES] = Figures()


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[_FIGURES].all
    if figures:
        terminalreporter.section("figures")
        for line in (HEADINGS, *(figure.line() for figure in figures)):
            terminalreporter.write_line(line)


@pytest.fixture
def figures(request):
    return request.config.stash[_FIGURES]


@pytest.fixture(scope="session")
def programs():
    """The folder of `nbpipe`, `papermill` and others of this environment."""
    return Path(sys.executable).parent


@pytest.fixture(scope="session", autouse=True)
def compiled():
    """Let Python keep what it compiles, as it does unless told otherwise: without, imports take twice as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setattr(sys, "dont_write_bytecode", False)
        yield


@pytest.fixture(scope="session")
def environ(compiled):
    """What started programs find in their environment."""
    return dict(os.environ)
