"""`doctor`: looks at everything that nbpipe stands on, and names a remedy for what is wrong."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Literal

import click
import msgspec

from nbpipe import __version__, clock
from nbpipe.commands.place import Place
from nbpipe.commands.validate import diagnostics
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import ACTIVE_RUN
from nbpipe.core.runs.tasks import DEFAULT_KERNEL
from nbpipe.errors import NbpipeError

_DISTRIBUTION = "jupyterlab-nbpipe"
_INSTALL = f"in this environment, run: {sys.executable} -m pip install {_DISTRIBUTION}"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LONG = timedelta(hours=1)
_NAMED = 5

Level = Literal["ok", "note", "problem"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    check: str
    level: Level
    message: str
    remedy: str | None = None


@click.command("doctor")
@click.pass_obj
def command(place: Place) -> list[Check]:
    """Check the installation and the project; each problem comes with a remedy."""
    found = [_python(), _packages()]
    try:
        with Workspace.open(place.folder, env=place.env) as workspace:
            for look in (_project, _definitions, _file_system, _state, _storage, _kernels, _daemon, _runs):
                found += _looked(look, workspace)
    except NbpipeError as error:
        found.append(Check(check="project", level="problem", message=str(error), remedy="correct the configuration"))
    return found


def _looked(look: Callable[[Workspace], Iterator[Check]], workspace: Workspace) -> list[Check]:
    """Return what one look finds; an error of ours is a finding, and its message holds the remedy."""
    try:
        return list(look(workspace))
    except NbpipeError as error:
        return [Check(check=look.__name__.strip("_").replace("_", " "), level="problem", message=str(error))]


def _python() -> Check:
    return Check(check="python", level="ok", message=f"{platform.python_version()} ({sys.executable})")


def _packages() -> Check:
    """Look for the packages that the distribution requires, whatever their versions."""
    try:
        required = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        message = f"nbpipe {__version__}, imported from a folder and not installed"
        return Check(check="packages", level="problem", message=message, remedy=_INSTALL)
    versions, missing = [], []
    for requirement in required:
        match = _NAME.match(requirement)
        if match is None or "extra ==" in requirement:
            continue
        try:
            versions.append(f"{match[0]} {importlib.metadata.version(match[0])}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(match[0])
    if missing:
        return Check(check="packages", level="problem", message=f"missing: {', '.join(missing)}", remedy=_INSTALL)
    return Check(check="packages", level="ok", message=f"nbpipe {__version__}; {', '.join(versions)}")


def _project(workspace: Workspace) -> Iterator[Check]:
    file = workspace.config.file or "no configuration file: all is default"
    yield Check(check="project", level="ok", message=f"{workspace.root} ({file}), environment {workspace.env!r}")


def _definitions(workspace: Workspace) -> Iterator[Check]:
    definitions = workspace.definitions
    message = f"{len(definitions.assets)} assets in {len(definitions.notebooks)} notebooks"
    errors = sum(each.severity == "error" for each in diagnostics(workspace))
    if errors:
        yield Check(
            check="definitions", level="problem", message=f"{message}, {errors} errors", remedy="see `nbpipe validate`"
        )
    elif warnings := len(diagnostics(workspace)):
        message = f"{message}, {warnings} warning{'s' if warnings > 1 else ''}"
        yield Check(check="definitions", level="note", message=message, remedy="see `nbpipe validate`")
    else:
        yield Check(check="definitions", level="ok", message=message)


def _file_system(workspace: Workspace) -> Iterator[Check]:
    from nbpipe.storage.filesystems import is_network

    if is_network(workspace.root) and workspace.config.state is None:
        yield Check(
            check="file system",
            level="note",
            message="the project is on a network file system: its SQLite state may be used by one host only",
            remedy="in nbpipe.toml set `state` to a PostgreSQL URL, or to a SQLite path on a local disk",
        )
    else:
        yield Check(check="file system", level="ok", message="fit for the state store")


def _state(workspace: Workspace) -> Iterator[Check]:
    from nbpipe.storage.health import damage

    revision = workspace.store.revision()
    broken = damage(workspace.config.state_url(workspace.root), root=workspace.root)
    if broken:
        yield Check(
            check="state",
            level="problem",
            message=f"the state store is damaged: {'; '.join(broken)}",
            remedy="restore its file from a backup, or move it away and materialize everything again",
        )
    else:
        yield Check(check="state", level="ok", message=f"{_state_name(workspace)}, revision {revision}, undamaged")


def _state_name(workspace: Workspace) -> str:
    return workspace.config.state or "SQLite in .nbpipe/state.db"


def _storage(workspace: Workspace) -> Iterator[Check]:
    from nbpipe.io.targets import StoreTarget

    for name in workspace.io:
        manager = workspace.io.manager(name)
        stored = manager.store("probe", StoreTarget(env=workspace.env, asset="doctor", uid=clock.new_id()))
        manager.delete(stored)
        place = manager.local_path(stored).partition(f"/{stored.path}")[0]
        yield Check(check=f"storage {name}", level="ok", message=f"{place} can be written")


def _kernels(workspace: Workspace) -> Iterator[Check]:
    from nbpipe.execution.kernels.specs import installed_kernels

    installed = installed_kernels()
    wanted = {notebook.kernel or DEFAULT_KERNEL for notebook in workspace.definitions.notebooks.values()}
    for name in sorted(wanted | ({DEFAULT_KERNEL} if not wanted else set())):
        kernel = installed.get(name)
        if kernel is None:
            yield Check(
                check=f"kernel {name}",
                level="problem",
                message=f"not installed; there are: {', '.join(installed) or 'none'}",
                remedy="install it, or choose another in the notebook or as `kernel` of its location in nbpipe.toml",
            )
        elif not kernel.found:
            yield Check(
                check=f"kernel {name}",
                level="problem",
                message=f"its program {kernel.program} is not there",
                remedy=f"remove it (jupyter kernelspec remove {name}) and install it again",
            )
        else:
            yield Check(check=f"kernel {name}", level="ok", message=f"{kernel.folder}; {_start(workspace, name)}")


def _start(workspace: Workspace, kernel: str) -> str:
    from nbpipe.execution.warm import warmth

    if workspace.config.executor.memory is not None and sys.platform != "linux":
        return "their memory is not limited, which takes Linux; they are started afresh"
    if workspace.config.executor.kernels == "plain":
        return "kernels are started afresh: nbpipe.toml says so"
    return warmth(kernel)


def _daemon(workspace: Workspace) -> Iterator[Check]:
    from nbpipe.commands.daemon_presence import leader, sleeping

    lease = leader(workspace)
    if lease is not None:
        message = f"process {lease.worker.pid} on {lease.worker.host} leads environment {lease.env!r}"
        yield Check(check="daemon", level="ok", message=message)
        return
    asleep = sleeping(workspace)
    if asleep:
        names = ", ".join(asleep[:_NAMED]) + (f" and {len(asleep) - _NAMED} more" if len(asleep) > _NAMED else "")
        message = f"none is running: nothing happens for {names}"
        yield Check(check="daemon", level="note", message=message, remedy="nbpipe daemon")
    else:
        yield Check(check="daemon", level="ok", message="none is running, and nothing waits for one")


def _runs(workspace: Workspace) -> Iterator[Check]:
    from nbpipe.commands.daemon_presence import leader

    workspace.settle()
    active = [run for run in workspace.store.runs(limit=1_000) if run.status in ACTIVE_RUN]
    led = leader(workspace) is not None  # then they have their turn
    waiting = [run for run in active if not led and run.worker is None and clock.now() - run.created_at > _LONG]
    for run in waiting:
        yield Check(
            check="runs",
            level="problem",
            message=f"run {run.id} has been waiting since {run.created_at:%Y-%m-%d %H:%M} UTC, and no process took it",
            remedy=f"nbpipe daemon, or nbpipe runs cancel {run.id}",
        )
    if not waiting:
        yield Check(check="runs", level="ok", message=f"{len(active)} active, none stuck")
