"""One server for each test file, one browser for each test process, and no error left unseen."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.ui.lab import Lab, Notebook7

#: The machine may be busy with other tests.
PATIENCE = 120.0

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_Kind = TypeVar("_Kind", bound=Lab)
_NO_NEWS = '{"checkForUpdates": false, "doNotDisturbMode": true, "fetchNews": "false"}'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ui)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return the Chromium of this machine; none is downloaded."""
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert path is not None, "the tests of the user interface need Chromium: run .ci/browser"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, headless=True, args=_BROWSER_ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return JupyterLab in a page; its folder `root` is the test file's to fill."""
    with _application("jupyterlab", Lab, browser, tmp_path_factory.mktemp("lab")) as found:
        yield found


@pytest.fixture(scope="module")
def notebook7(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook7]:
    """Return Notebook 7 in a page; its folder `root` is the test file's to fill."""
    with _application("notebook", Notebook7, browser, tmp_path_factory.mktemp("notebook7")) as found:
        yield found


@pytest.fixture(autouse=True)
def no_errors_in_the_page(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test during which the page reported an error."""
    yield
    for name in {"lab", "notebook7"}.intersection(request.fixturenames):
        found: Lab = request.getfixturevalue(name)
        assert found.take_errors() == []


@contextmanager
def _application(module: str, kind: type[_Kind], browser: Browser, home: Path) -> Iterator[_Kind]:
    """Start the server of an application, and load it in a page."""
    port, token = _free_port(), secrets.token_hex(16)
    command, environment = _server_command(module, home, port, token), _environment(home)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for_server(process, f"http://127.0.0.1:{port}/api/status?token={token}", home / "server.log")
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            found = kind(context.new_page(), f"http://127.0.0.1:{port}", token, home / "notebooks")
            yield found
            found.close()
            context.close()
        finally:
            _stop(process)


def _server_command(module: str, home: Path, port: int, token: str) -> list[str]:
    (home / "notebooks").mkdir()
    application = {"jupyterlab": "LabApp", "notebook": "JupyterNotebookApp"}[module]
    return [
        sys.executable,
        "-m",
        module,
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={home / 'notebooks'}",
        "--LabApp.extension_manager=readonly",
        f"--{application}.expose_app_in_browser=True",
    ]


def _environment(home: Path) -> dict[str, str]:
    """Return this process's variables with folders of its own for the server."""
    environ = dict(os.environ)
    for name, folder in {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }.items():
        (home / folder).mkdir()
        environ[name] = str(home / folder)
    news = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(_NO_NEWS)
    return environ


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_server(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                json.load(answer)
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)  # nothing can be awaited before the server answers


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server with the kernels it started."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
