"""`daemon`: carry out what schedules, sensors and backfills ask for, until it is told to stop."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

import click
import msgspec

from nbpipe.commands.surface import current_surface, does_nothing_here
from nbpipe.commands.workspace import Workspace
from nbpipe.core.counted import counted
from nbpipe.core.runs.tasks import DEFAULT_KERNEL

if TYPE_CHECKING:
    from nbpipe.daemon.bell import Bell
    from nbpipe.daemon.log import Log
    from nbpipe.daemon.processes import Processes

_GLANCE = 0.25
_MIGRATIONS = "alembic"
#: Environments that are kept warm besides this process's own.
_MOST = 3


class DaemonEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a daemon ended."""

    left_running: tuple[str, ...] = ()
    """Runs that go on in processes of their own."""


@click.command("daemon")
@click.option("--once", is_flag=True, help="Look at each schedule and sensor once, carry out what they ask for, end.")
@click.option("--until-idle", is_flag=True, help="End when nothing is due, waits or runs.")
@click.option(
    "--on-stop",
    type=click.Choice(["handover", "finish"]),
    default="handover",
    show_default=True,
    help="What becomes of runs when it is told to stop: they go on without it, or it waits for their ends.",
)
@click.pass_obj
def command(workspace: Workspace, *, once: bool, until_idle: bool, on_stop: str) -> DaemonEnd:
    """Carry out what schedules, sensors, jobs and backfills ask for; Ctrl-C or SIGTERM stops it.

    Any number of daemons may work on one state store: one leads, the others wait to take over. With --json its log is
    JSON, a line for each entry.
    """
    if does_nothing_here("the daemon"):
        return DaemonEnd()
    _open_store(workspace)
    from nbpipe.daemon.bell import Bell
    from nbpipe.daemon.log import LineLog
    from nbpipe.daemon.processes import Processes
    from nbpipe.daemon.starting import CommandStarter
    from nbpipe.execution.stop_signals import stop_signals
    from nbpipe.execution.warm import owned

    bell = Bell()
    log = LineLog(sys.stdout, json=current_surface().data, secrets=lambda: workspace.secrets)
    warm = workspace.config.executor.kernels == "warm"
    with (
        stop_signals(lambda _: bell.ring("stop")),
        owned(
            kernels=_other_kernels(workspace), libraries=lambda: workspace.project.imported, warm=warm
        ) as warm_processes,
    ):
        processes = Processes(CommandStarter(root=workspace.root, env=workspace.env, warm=warm_processes))
        lead(workspace, processes, bell, log, once=once, until_idle=once or until_idle)
        if on_stop == "finish":
            _finish(processes, bell, log)
        left = tuple(run_id for run_id, started in processes.runs.items() if started.code is None)
        log("stopped" + (f"; {counted(len(left), 'run')} still under way" if left else ""), event="stopped")
    return DaemonEnd(left_running=left)


def _open_store(workspace: Workspace) -> None:
    """Open the state store; if that has brought it up to date, begin anew: the code for that has no place here."""
    before = _MIGRATIONS in sys.modules
    _ = workspace.store
    if _MIGRATIONS in sys.modules and not before:
        workspace.close()
        sys.stdout.flush()
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very program


def lead(workspace: Workspace, processes: Processes, bell: Bell, log: Log, *, once: bool, until_idle: bool) -> None:
    """Lead, or stand by, until the bell rings `stop`; in the main thread, as all that a daemon decides.

    Args:
        workspace: the project.
        processes: start what is carried out.
        bell: wakes and stops it.
        log: what it says.
        once: look at each schedule and sensor once.
        until_idle: end when nothing is left to do.

    Raises:
        RefusedError: it was to end when nothing is left to do, and another process leads.
    """
    from nbpipe.commands.daemon_project import SavedWorkspace
    from nbpipe.core.automation.records import Lease
    from nbpipe.daemon.assembly import parts_of
    from nbpipe.daemon.lease import Candidate
    from nbpipe.daemon.loop import Daemon
    from nbpipe.daemon.parts import Duty, Part
    from nbpipe.execution.workers import this_worker

    project = SavedWorkspace(workspace)
    store = workspace.store

    def parts(lease: Lease) -> list[Part]:
        return parts_of(
            Duty(
                store=store,
                lease=lease,
                project=project,
                processes=processes,
                log=log,
                bell=bell,
                once=once,
                until_idle=until_idle,
            )
        )

    candidate = Candidate(store, workspace.env, this_worker())
    Daemon(store, candidate, parts, bell=bell, log=log, until_idle=until_idle).run()


def _finish(processes: Processes, bell: Bell, log: Log) -> None:
    """Wait until the runs that were started have ended, or somebody asks a second time."""
    running = [started for started in processes.runs.values() if started.code is None]
    if running:
        log(
            f"waiting for {counted(len(running), 'run')} to end; a second signal leaves them to themselves",
            event="finishing",
        )
    while any(started.code is None for started in running):
        if "stop" in bell.wait(_GLANCE):
            return


def _other_kernels(workspace: Workspace) -> list[str]:
    """Return the kernels of the project's notebooks that are not Jupyter's usual one.

    That one is this process's own environment, as a rule, which the processes of runs need anyway.
    """
    locations = workspace.config.locations
    used: Counter[str] = Counter()
    for notebook in workspace.definitions.notebooks.values():
        location = locations.get(notebook.location)
        used[(location.kernel if location else None) or notebook.kernel or DEFAULT_KERNEL] += 1
    del used[DEFAULT_KERNEL]
    return [name for name, _ in used.most_common(_MOST)]
