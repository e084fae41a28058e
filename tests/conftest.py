"""What every test stands on: no settings of the person who runs it, and no trace left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Variables that would let the machine's own set-up into a test, or tell a kernel whose notebook it runs.
_FOREIGN = ("JPY_", "JUPYTER", "IPYTHON", "MPLBACKEND", "NBPIPE_", "PAPERMILL_")


@pytest.fixture(scope="session", autouse=True)
def private_jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give this test process folders of its own for Jupyter, IPython and matplotlib.

    They last as long as the process: kernels started by different tests share them, as they would on a
    person's machine. Kernels and commands started by tests inherit them.
    """
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_FOREIGN):
                patch.delenv(name)
        for name, folder in {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
            "MPLCONFIGDIR": "matplotlib",
        }.items():
            (home / folder).mkdir()
            patch.setenv(name, str(home / folder))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        yield home


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty project folder, which is also the current folder."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "nbpipe.toml").touch()
    monkeypatch.chdir(root)
    return root
