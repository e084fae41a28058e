"""The command of a kernelspec is filled in as Jupyter does it."""

from __future__ import annotations

import sys

import pytest

from nbpipe.execution.kernels.connections import command as filled


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["python", "-m", "k", "-f", "{connection_file}"], [sys.executable, "-m", "k", "-f", "/c.json"]),
        (["/opt/k", "{resource_dir}/start", "{connection_file}"], ["/opt/k", "/specs/k/start", "/c.json"]),
        (["python3.99", "{prefix}"], ["python3.99", sys.prefix]),
    ],
)
def test_names_in_braces_are_filled_in(argv, command):
    assert filled(argv, "/c.json", "/specs/k") == command
