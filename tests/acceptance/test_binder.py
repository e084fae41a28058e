"""The files that turn the repository into an image on Binder, run the way Binder runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PARTS = ("binder", "nbpipe", "notebooks", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """Return a copy of what Binder needs, without what work in the repository left there."""
    folder = tmp_path_factory.mktemp("binder") / "repository"
    folder.mkdir()
    leftovers = shutil.ignore_patterns(".nbpipe", ".ipynb_checkpoints", "__pycache__")
    for name in PARTS:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=leftovers)
        else:
            shutil.copy2(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment(checkout) -> dict[str, str]:
    """Install from `binder/requirements.txt` in a fresh environment, and return variables that make it current."""
    folder = checkout.parent / "environment"
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", "binder/requirements.txt"]
    subprocess.run(pip, cwd=checkout, check=True)
    foreign = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, "PATH": f"{folder / 'bin'}{os.pathsep}{kept['PATH']}"}


def test_the_program_that_builds_images_takes_our_python_and_installs_the_checkout():
    """`--no-build` prints what would be built, and needs no docker."""
    tool = [sys.executable, "-m", "repo2docker", "--no-build", "--no-run", "--debug", "."]
    done = subprocess.run(tool, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "python=3.12" in said
    copied, installed = said.index(" src/ ${REPO_DIR}/\n"), said.index("pip install --no-cache-dir -r")
    assert copied < installed, "the requirements are installed before the checkout is there"
    assert "./binder/postBuild" in said


def test_the_image_holds_what_the_tutorials_need(checkout, environment):
    subprocess.run(["./binder/postBuild"], cwd=checkout, env=environment, check=True)


def test_the_quickstart_runs_there_as_a_job(checkout, environment):
    """The installed package does it, not the sources: it is imported from the environment."""
    shutil.rmtree(checkout / "nbpipe")
    job = ["nbpipe", "materialize", "+continent_stats"]
    subprocess.run(job, cwd=checkout / "notebooks", env=environment, check=True)
